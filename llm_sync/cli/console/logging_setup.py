"""What the library logs, on standard error: in words by default and with -v, as ``key=value`` pairs with -vv, or as JSON."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from llm_sync import events
from llm_sync.cli.console import streams
from llm_sync.cli.console.log_format import json_line, pairs_line

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
# Their errors are final failures, which the command itself reports.
_REPORTED = ("llm_sync.requests", "llm_sync.providers")


@contextmanager
def on_stderr(verbose: int, *, quiet: bool = False, content: bool = False) -> Iterator[None]:
    """Show the ``llm_sync`` loggers: warnings (0), what requests go through too (1), or everything (2 and more).

    ``quiet``: errors only. ``content``: prompts and answers too, which are not logged otherwise, however verbose.
    """
    output = _Messages(verbose)
    if not verbose:
        output.addFilter(lambda record: not (record.name in _REPORTED and record.levelno >= logging.ERROR))
    logger, private = logging.getLogger("llm_sync"), events.content_logger()
    before = logger.level, logger.propagate, private.level
    logger.addHandler(output)
    logger.setLevel(logging.ERROR if quiet else _LEVELS[min(verbose, 2)])
    logger.propagate = False
    if content:
        private.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(output)
        logger.setLevel(before[0])
        logger.propagate = before[1]
        private.setLevel(before[2])


class _Messages(logging.Handler):
    """Writes beside whatever else is drawn on the terminal."""

    def __init__(self, verbose: int) -> None:
        super().__init__()
        self._verbose = verbose

    def emit(self, record: logging.LogRecord) -> None:
        """One record, one line (and a traceback after it with -vv); never raises."""
        try:
            self._write(record)
        except Exception:  # noqa: BLE001  (a log that cannot be written must not fail a request)
            self.handleError(record)

    def _write(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        facts = _facts(record, event)
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info and self._verbose > 1 else ""
        if streams.manner.as_json:
            told = words(event) if isinstance(event, events.Event) else _what_happened(record)
            if trace:
                facts = {**facts, "traceback": trace}
            streams.tell(json_line(record.levelname, record.name, told, facts, record.created))
        elif self._verbose > 1 or record.name == events.CONTENT:
            told = type(event).__name__ if isinstance(event, events.Event) else _what_happened(record)
            line = pairs_line(record.levelname, record.name, told, facts, record.created)
            streams.tell(f"{line}\n{trace}".rstrip("\n"))
        else:
            told = words(event) if isinstance(event, events.Event) else record.getMessage()
            color = streams.YELLOW if record.levelno >= logging.WARNING else streams.DIM
            streams.say(told, record.levelname, streams.RED if record.levelno >= logging.ERROR else color)


def _facts(record: logging.LogRecord, event: object) -> Mapping[str, Any]:
    if isinstance(event, events.Event):
        told = events.facts(event)
        if "message" in told:
            told["reason"] = told.pop("message")  # the line has a message of its own
        return told
    found = getattr(record, "facts", None)
    return found if isinstance(found, dict) else {}


def _what_happened(record: logging.LogRecord) -> str:
    return str(getattr(record, "what", None) or record.getMessage())  # without the facts, which are told beside it


def words(event: events.Event) -> str:
    """What happened to a request, for a person."""
    return f"{event.provider}: {_what(event)}"


def _what(event: events.Event) -> str:
    if isinstance(event, events.Retrying):
        wait = f"{event.seconds:.0f}" if event.seconds >= 9.95 else f"{event.seconds:.1f}"
        return f"attempt {event.number} of {event.most} failed, trying again in {wait} s: {event.message or event.error}"
    if isinstance(event, events.Adjusted):
        return event.text
    if isinstance(event, events.Started):
        return f"request {event.key} starts" + (f" after {event.waited:.1f} s in the queue" if event.waited >= 0.1 else "")
    if isinstance(event, events.Finished):
        end = "is answered" if event.error is None else f"ends with {event.error}"
        return f"request {event.key} {end} after {event.elapsed:.1f} s"
    return f"request {event.key}: {type(event).__name__}"
