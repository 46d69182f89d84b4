"""What the library logs, on standard error: in words by default and with -v, as it was logged with -vv."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from llm_sync import events
from llm_sync.cli.streams import shown

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
# Their errors are final failures, which the command itself reports.
_REPORTED = ("llm_sync.requests", "llm_sync.providers")


@contextmanager
def on_stderr(verbose: int) -> Iterator[None]:
    """Show the ``llm_sync`` loggers: warnings (0), what requests go through too (1), or everything (2 and more)."""
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(_Plain("llm-sync: %(levelname)s %(name)s: %(message)s") if verbose > 1 else _Words())
    if not verbose:
        output.addFilter(lambda record: not (record.name in _REPORTED and record.levelno >= logging.ERROR))
    logger = logging.getLogger("llm_sync")
    level, propagate = logger.level, logger.propagate
    logger.addHandler(output)
    logger.setLevel(_LEVELS[min(verbose, 2)])
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(output)
        logger.setLevel(level)
        logger.propagate = propagate


class _Plain(logging.Formatter):
    """A line a fact, with its logger's name."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return shown(text) if sys.stderr.isatty() else text


class _Words(logging.Formatter):
    """A sentence a fact, no traceback."""

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", None)
        text = f"llm-sync: {words(event) if isinstance(event, events.Event) else record.getMessage()}"
        return shown(text) if sys.stderr.isatty() else text


def words(event: events.Event) -> str:
    """What happened to a request, for a person."""
    return f"{event.provider}: {_what(event)}"


def _what(event: events.Event) -> str:
    if isinstance(event, events.Retrying):
        return f"attempt {event.number} fails, another one follows: {event.message or event.error}"
    if isinstance(event, events.Adjusted):
        return event.text
    if isinstance(event, events.Started):
        return f"request {event.key} starts" + (f" after {event.waited:.1f} s in the queue" if event.waited >= 0.1 else "")
    if isinstance(event, events.Finished):
        end = "is answered" if event.error is None else f"ends with {event.error}"
        return f"request {event.key} {end} after {event.elapsed:.1f} s"
    return f"request {event.key}: {type(event).__name__}"
