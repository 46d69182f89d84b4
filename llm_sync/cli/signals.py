"""Ctrl-C, SIGTERM and SIGHUP: the first one ends the command in order, the second one ends the process at once."""

from __future__ import annotations

import os
import signal

from llm_sync.cli.console import terminal

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs as much as a bare start of Python
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any

second_signal_text: Callable[[], str] | None = None
"""Gives what a command has to say on standard error when the second signal ends the process."""


class Terminated(KeyboardInterrupt):
    """SIGTERM; code that handles Ctrl-C handles it too."""


class HungUp(Terminated):
    """SIGHUP: the terminal was closed, or its connection lost."""


_EXCEPTIONS = {"SIGINT": KeyboardInterrupt, "SIGTERM": Terminated, "SIGHUP": HungUp}  # by name: Windows has no SIGHUP


class SignalHandlers:
    """A context manager: inside it SIGINT raises KeyboardInterrupt in the main thread, SIGTERM Terminated, SIGHUP HungUp.

    A second signal ends the process at once, except a second SIGHUP: when a terminal is closed, both the shell and the
    kernel send one. A signal that the caller ignores (``nohup``, or ``&`` in a script) stays ignored.
    """

    def __init__(self) -> None:
        self._former: dict[int, Any] = {}
        self._received = False

    def __enter__(self) -> None:
        for name in _EXCEPTIONS:
            number = getattr(signal, name, None)
            if number is None:
                continue
            former = signal.getsignal(number)
            if former is signal.SIG_IGN:
                continue
            self._former[number] = former
            try:
                signal.signal(number, self._handle)
            except ValueError:  # not the main thread; asking which thread this is would load threading
                del self._former[number]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if not self._received:
            self._received = True
            raise _EXCEPTIONS[name]
        if name != "SIGHUP":
            terminal.restore()
            _write_last_text()
            os._exit(128 + number)


def _write_last_text() -> None:
    """Write ``second_signal_text``, past the buffer that the interrupted code may be writing to."""
    if second_signal_text is not None:
        try:
            os.write(2, second_signal_text().encode("utf-8", "backslashreplace"))
        except OSError:
            return
