"""Ctrl-C, SIGTERM and SIGHUP: the first one ends the command in order, the second one ends the process at once."""

from __future__ import annotations

import os
import signal

from llm_sync.cli.console import streams

TYPE_CHECKING = False  # what type checkers take for True; typing itself costs as much as a bare start of Python
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM; whatever treats Ctrl-C treats it alike."""


class HungUp(Terminated):
    """SIGHUP: the terminal was closed, or its connection lost."""


_RAISED = {"SIGINT": KeyboardInterrupt, "SIGTERM": Terminated, "SIGHUP": HungUp}  # by name: Windows has no SIGHUP


class Interruptible:
    """While it is open as a context, SIGINT raises KeyboardInterrupt in the main thread, SIGTERM Terminated, SIGHUP HungUp.

    Whichever comes second ends the process without waiting for anything, but for another SIGHUP: where a terminal goes away,
    the shell sends one and the system another. A signal that the caller has ignored (``nohup``, or ``&`` in a script) stays
    ignored.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._heard = False

    def __enter__(self) -> None:
        for name in _RAISED:
            number = getattr(signal, name, None)
            if number is None:
                continue
            before = signal.getsignal(number)
            if before is signal.SIG_IGN:
                continue
            self._before[number] = before
            try:
                signal.signal(number, self._hear)
            except ValueError:  # only the main thread may; asking for its name would load threading
                del self._before[number]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if not self._heard:
            self._heard = True
            raise _RAISED[name]
        if name != "SIGHUP":
            streams.leave()
            os._exit(128 + number)
