"""One bash for one page: it runs the page's commands in turn, at something that looks like a terminal to their output."""

from __future__ import annotations

import contextlib
import os
import pty
import selectors
import signal
import subprocess
import time
import tty
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_END = "\x1e"  # ASCII's record separator: no page shows one
_READY = f"printf '{_END}%d{_END}' $?; printf '{_END}' >&2\n"


class Ran(NamedTuple):
    """How a command ended and what it printed; standard output was a terminal, standard error a pipe."""

    status: int
    out: str
    err: str


class Shell:
    """A bash in ``folder``; variables, functions and background jobs last from one command to the next. Close it.

    Standard output is a terminal of 80 columns, as a reader's is; standard error is not one, so that nothing is redrawn there.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._script = folder.parent / "command.sh"
        self._status = 0
        self._out, terminal = pty.openpty()
        tty.setraw(terminal)
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE,
            stdout=terminal,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
        os.close(terminal)

    def run(self, command: str, timeout: float = 45.0) -> Ran:
        """Run one command, of one or more lines, which finds the last one's status in ``$?``.

        TimeoutError after ``timeout`` seconds.
        """
        self._script.write_text(f"(exit {self._status})\n{command}\n", encoding="utf-8")
        assert self._bash.stdin is not None
        assert self._bash.stderr is not None
        self._bash.stdin.write(f". '{self._script}' </dev/null\n{_READY}".encode())
        self._bash.stdin.flush()
        out, err = self._read({self._out: 2, self._bash.stderr.fileno(): 1}, command, time.monotonic() + timeout)
        if out.count(_END) != 2:
            raise RuntimeError(f"{command!r} ends the page's shell; so far it printed {out + err!r}")
        text, status, _ = out.split(_END)
        self._status = int(status)
        return Ran(self._status, text, err.removesuffix(_END))

    def _read(self, ends: dict[int, int], command: str, until: float) -> list[str]:
        """What comes through each descriptor until its number of separators has come."""
        found = dict.fromkeys(ends, b"")
        with selectors.DefaultSelector() as selector:
            for descriptor in ends:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(until - time.monotonic())
                if not ready:
                    raise TimeoutError(f"{command!r} does not end; so far it printed {found}")
                for key, _ in ready:
                    descriptor = key.fd
                    chunk = _read(descriptor)
                    found[descriptor] += chunk
                    if not chunk or found[descriptor].count(_END.encode()) >= ends[descriptor]:
                        selector.unregister(descriptor)
        return [found[descriptor].decode("utf-8", "backslashreplace") for descriptor in ends]

    def close(self) -> None:
        """End it and everything it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._bash.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.communicate()
        os.close(self._out)


def _read(descriptor: int) -> bytes:
    """What has come; nothing when the other end is closed, which Linux's terminals say with an error."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
