"""Ctrl-C and SIGTERM: the first one ends the command in order, the second one ends the process at once."""

from __future__ import annotations

import os
import signal

from llm_sync.cli import streams

TYPE_CHECKING = False  # what type checkers take for True; typing itself costs as much as a bare start of Python
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any, NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM; whatever treats Ctrl-C treats it alike."""


class Interruptible:
    """While it is open as a context, in the main thread, SIGINT raises KeyboardInterrupt and SIGTERM raises Terminated there.

    Whichever comes second ends the process without waiting for anything. A signal that the caller has ignored (``nohup``,
    or ``&`` in a script) stays ignored.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._heard = False

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
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

    def _hear(self, number: int, _frame: FrameType | None) -> NoReturn:
        if self._heard:
            streams.leave()
            os._exit(128 + number)
        self._heard = True
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
