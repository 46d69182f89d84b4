"""Runs one command as a child of this process: its exit status, and signals that go to it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP")


def run_child(argv: Sequence[str], environ: Mapping[str, str], report: Callable[[str], None] | None = None) -> int:
    """Run ``argv`` with this environment and wait for it. Returns its exit status, 128+n when signal n ended it.

    Returns 127 if there is no such command and 126 if it cannot be run; ``report`` gets the reason (None: standard error). The
    command inherits the standard streams and the descriptors that a shell opened for this process (``<(…)``). SIGTERM and
    SIGHUP are forwarded to it, and SIGINT unless the terminal has sent it to the command already; in another than the main
    thread, which alone may set handlers, nothing is forwarded.
    """
    report = report or _to_stderr
    name = argv[0]
    with _forward_signals() as child:
        try:
            child.start(argv, environ)
        except FileNotFoundError:
            report(f"{name!r} cannot be run: there is no such command, or the interpreter it names does not exist")
            return 127
        except PermissionError:
            report(f"{name!r} cannot be run: permission denied (is it executable, and a file?)")
            return 126
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            report(f"{name!r} cannot be run: {reason}")
            return 126
        status = child.wait()
    return 128 - status if status < 0 else status


def with_direct_loopback(environ: Mapping[str, str]) -> dict[str, str]:
    """A copy of an environment in which requests to this machine go through no proxy: it would look for 127.0.0.1 on its own."""
    changed = dict(environ)
    for name in ("NO_PROXY", "no_proxy"):
        changed[name] = ",".join(filter(None, (environ.get(name) or environ.get(name.swapcase()), "127.0.0.1,localhost")))
    return changed


class _Child:
    """The process of the command, and the signals that arrived before it was started."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pending: list[int] = []

    def start(self, argv: Sequence[str], environ: Mapping[str, str]) -> None:
        program = shutil.which(argv[0], path=environ.get("PATH")) if os.name == "nt" else None
        # Running a command of the caller is the purpose; no shell is involved. close_fds=False: files opened by Python are not
        # inheritable, so the command inherits only descriptors that this process was given for it.
        self._process = subprocess.Popen([program or argv[0], *argv[1:]], env=dict(environ), close_fds=False)  # noqa: S603
        for number in self._pending:
            self._process.send_signal(number)

    def wait(self) -> int:
        if self._process is None:
            raise RuntimeError("the command was not started")
        return self._process.wait()

    def forward(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and _in_foreground():
            return  # Ctrl-C reached the command, too: a second SIGINT could make it abort
        if self._process is None:
            self._pending.append(number)
        else:
            with contextlib.suppress(OSError):
                self._process.send_signal(number)


@contextlib.contextmanager
def _forward_signals() -> Iterator[_Child]:
    """Forwards signals to the child while it runs. Does nothing outside the main thread, which alone may set handlers."""
    child = _Child()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in _FORWARDED:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # keep it ignored (nohup)
                before[number] = signal.signal(number, child.forward)
    try:
        yield child
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


@contextlib.contextmanager
def block_signals() -> Iterator[None]:
    """Blocks signals in threads started here: a signal that one of them took would not wake the main thread in its wait."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {getattr(signal, name) for name in _FORWARDED})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _in_foreground() -> bool:
    """Whether this process is in the foreground group of its terminal, so that Ctrl-C also reaches the command."""
    if os.name != "posix":
        return True  # the console notifies every attached process
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _to_stderr(message: str) -> None:
    sys.stderr.write(f"llm-sync: {message}\n")
