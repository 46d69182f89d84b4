"""Loggers whose filters, handlers and record factories cannot break the code that logs.

The logging of a program is foreign code: a filter that reads what only the request's thread has raises in a worker thread, where
it would end a request that was answered and paid for.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any

from llm_sync.runtime.interrupts import may_suppress

_reported: list[type] = []  # the class of the first exception, which was printed


class _GuardedLogger(logging.Logger):
    """A Logger that drops a record if logging it raises an exception."""

    applies: Callable[[], bool] | None = None  # None: always

    def _log(self, level: int, msg: object, args: Any, **options: Any) -> None:  # type: ignore[override]
        try:
            stacklevel = options.pop("stacklevel", 1) + 1  # one more frame: this one
            super()._log(level, msg, args, stacklevel=stacklevel, **options)
        except BaseException as error:
            if not may_suppress(error) or (self.applies is not None and not self.applies()):
                raise
            _report(self.name, error)


def guard(log: logging.Logger, applies: Callable[[], bool] | None = None) -> logging.Logger:
    """Turn ``log`` into a guarded logger, where ``applies()`` is true when it logs; return it. May be called repeatedly."""
    if not isinstance(log, _GuardedLogger):
        kind = type(log)
        log.__class__ = _GuardedLogger if kind is logging.Logger else type(kind.__name__, (_GuardedLogger, kind), {})
        log.applies = applies  # type: ignore[attr-defined]
    return log


def _report(name: str, error: BaseException) -> None:
    """Print the first exception, as logging itself does with errors of handlers, unless logging.raiseExceptions is off."""
    if logging.raiseExceptions and not _reported:
        _reported.append(type(error))
        with contextlib.suppress(Exception):  # no standard error, or an exception that cannot be printed
            sys.stderr.write(f"--- Logging error: a record of {name} was dropped, and further ones may be ---\n")
            traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
