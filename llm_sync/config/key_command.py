"""Runs api_key_command: once per process and command, with a limit on its time and on its output."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Hashable
from typing import IO, NamedTuple

COMMAND_TIMEOUT = 30.0  # seconds a command may take
MAX_OUTPUT = 64 * 1024  # bytes a command may print; a key is a line
_MIN_POLL, _MAX_POLL = 0.005, 0.1  # seconds between two looks at a command that has printed nothing


class CommandFailure(Exception):
    """The command gave no key. ``message`` continues "api_key_command NAME …"; ``guidance`` says what to do."""

    def __init__(self, message: str, guidance: str) -> None:
        super().__init__(message)
        self.message, self.guidance = message, guidance


class _Run:
    """One run of a command: ``ended`` is set after ``output`` or ``failure``."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.output: bytes | None = None
        self.failure: CommandFailure | None = None


_runs: dict[Hashable, _Run] = {}  # dict.setdefault is atomic: no lock is needed


def run_once(name: Hashable, words: Callable[[], list[str]], folder: str | None) -> bytes:
    """The standard output of a command that this process has run already, or runs now.

    ``name`` tells one run from another; ``words`` gives the command line and is called only if it has to run, in ``folder``.
    Other threads that ask for the same name wait for this run. A failed run is forgotten, so that the next call tries again.
    Raises CommandFailure, and what ``words`` raises.
    """
    key = (os.getpid(), name)  # a forked child would wait for ever for a run that began in its parent
    own = _Run()
    run = _runs.setdefault(key, own)
    if run is own:
        _execute(run, words, folder, forget=lambda: _runs.pop(key, None))
    elif not run.ended.wait(COMMAND_TIMEOUT + 5):
        raise _timeout()
    if run.output is None:
        words()  # raises what kept the command from being started
        failure = run.failure or CommandFailure("failed", "Run it by hand.")
        raise CommandFailure(failure.message, failure.guidance)  # a new one for each thread: a traceback belongs to one
    return run.output


def forget(name: Hashable) -> None:
    """Run the command again at the next call of ``run_once``."""
    _runs.pop((os.getpid(), name), None)


def _execute(run: _Run, words: Callable[[], list[str]], folder: str | None, forget: Callable[[], object]) -> None:
    try:
        run.output = _output(words(), folder)
    except CommandFailure as failure:
        run.failure = failure
    except BaseException:
        run.failure = CommandFailure("was interrupted", "Try again.")
        raise
    finally:
        if run.output is None:
            forget()
        run.ended.set()


def _output(words: list[str], folder: str | None) -> bytes:
    """What the command printed until it exited. Its own children may keep its output open: nobody waits for them."""
    deadline = time.monotonic() + COMMAND_TIMEOUT
    try:
        process = subprocess.Popen(  # noqa: S603  the command is the user's own, and no shell reads it
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it holds a NUL"
        raise CommandFailure(f"cannot be run: {reason}", "Give the full path of the program; no shell is used.") from None
    read = _read_with_thread if os.name == "nt" else _read_without_blocking
    assert process.stdout is not None  # noqa: S101  a pipe was asked for
    try:
        output = read(process, process.stdout, deadline)
        status = process.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise _timeout() from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if status:
        raise CommandFailure(f"ended with status {status}", "Run it by hand to see why.")
    return output


class _Output(NamedTuple):
    content: bytearray

    def add(self, chunk: bytes) -> None:
        self.content.extend(chunk)
        if len(self.content) > MAX_OUTPUT:
            raise CommandFailure(f"printed more than {MAX_OUTPUT // 1024} KiB", "It must print the key and nothing else.")


def _read_without_blocking(process: subprocess.Popen[bytes], stream: IO[bytes], deadline: float) -> bytes:
    from select import poll  # not select(), which refuses descriptors from 1024 on

    output = _Output(bytearray())
    pause = _MIN_POLL
    with stream:
        os.set_blocking(stream.fileno(), False)
        readable = poll()
        readable.register(stream)
        while True:
            exited = process.poll() is not None  # asked before reading: all that it printed is in the pipe then
            try:
                while chunk := os.read(stream.fileno(), 16 * 1024):
                    output.add(chunk)
                return bytes(output.content)  # closed by the last process that had it open
            except BlockingIOError:
                if exited:
                    return bytes(output.content)
            if time.monotonic() >= deadline:
                raise _timeout()
            pause = _MIN_POLL if readable.poll(1000 * pause) else min(2 * pause, _MAX_POLL)


def _read_with_thread(process: subprocess.Popen[bytes], stream: IO[bytes], deadline: float) -> bytes:
    """For Windows, whose pipes cannot be read without blocking. The thread ends when the pipe is closed."""
    output = _Output(bytearray())
    failures: list[CommandFailure] = []

    def read() -> None:
        with stream:
            try:
                while chunk := os.read(stream.fileno(), 16 * 1024):
                    output.add(chunk)
            except CommandFailure as failure:
                failures.append(failure)
                process.kill()

    thread = threading.Thread(target=read, name="llm-sync-key-command", daemon=True)
    thread.start()
    process.wait(max(0, deadline - time.monotonic()))
    thread.join(1)  # what the command printed before it exited
    if failures:
        raise failures[0]
    return bytes(output.content)


def _timeout() -> CommandFailure:
    return CommandFailure(f"did not end within {COMMAND_TIMEOUT:g} s", "Run it by hand to see what it waits for.")
