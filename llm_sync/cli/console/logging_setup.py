"""The library's log on standard error: in words by default and with -v, as ``key=value`` pairs with -vv, or as JSON."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from llm_sync import events
from llm_sync.cli.console.log_format import json_line, pairs_line
from llm_sync.cli.console.messages import print_message, write_stderr
from llm_sync.cli.console.output_settings import settings
from llm_sync.cli.console.terminal import DIM, RED, YELLOW

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
# What these loggers log at ERROR are final failures, which the command itself reports.
_REPORTED_BY_COMMAND = ("llm_sync.requests", "llm_sync.providers")


@contextmanager
def log_to_stderr(verbose: int, *, quiet: bool = False, content: bool = False) -> Iterator[None]:
    """Show the ``llm_sync`` loggers. ``verbose``: 0 warnings, 1 also when requests start and end, 2 and more everything.

    ``quiet``: errors only. ``content``: prompts and answers too, which are not logged otherwise at any level.
    """
    handler = _StderrHandler(verbose)
    if not verbose:
        handler.addFilter(lambda record: not (record.name in _REPORTED_BY_COMMAND and record.levelno >= logging.ERROR))
    logger, private = logging.getLogger("llm_sync"), events.content_logger()
    before = logger.level, logger.propagate, private.level
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR if quiet else _LEVELS[min(verbose, 2)])
    logger.propagate = False
    if content:
        private.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
        private.setLevel(before[2])


class _StderrHandler(logging.Handler):
    """Writes to standard error; pauses the progress display."""

    def __init__(self, verbose: int) -> None:
        super().__init__()
        self._verbose = verbose

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record as one line, and with -vv its traceback; never raise."""
        try:
            self._write(record)
        except Exception:  # noqa: BLE001  (a log that cannot be written must not fail a request)
            self.handleError(record)

    def _write(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if not settings.as_json and self._verbose <= 1 and record.name != events.CONTENT:
            text = describe(event) if isinstance(event, events.Event) else record.getMessage()
            color = RED if record.levelno >= logging.ERROR else YELLOW if record.levelno >= logging.WARNING else DIM
            print_message(text, record.levelname, color)
            return
        facts = _facts(record, event)
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info and self._verbose > 1 else ""
        if settings.as_json:
            message = describe(event) if isinstance(event, events.Event) else _message_without_facts(record)
            facts = {**facts, "traceback": trace} if trace else facts
            write_stderr(json_line(record.levelname, record.name, message, facts, record.created))
        else:
            message = type(event).__name__ if isinstance(event, events.Event) else _message_without_facts(record)
            line = pairs_line(record.levelname, record.name, message, facts, record.created)
            write_stderr(f"{line}\n{trace}".rstrip("\n"))


def _facts(record: logging.LogRecord, event: object) -> Mapping[str, Any]:
    if isinstance(event, events.Event):
        facts = events.facts(event)
        if "message" in facts:
            facts["reason"] = facts.pop("message")  # the line has a message of its own
        return facts
    attached = getattr(record, "facts", None)
    return attached if isinstance(attached, dict) else {}


def _message_without_facts(record: logging.LogRecord) -> str:
    return str(getattr(record, "what", None) or record.getMessage())


def describe(event: events.Event) -> str:
    """What happened to a request, in words."""
    return f"{event.provider}: {_describe_request(event)}"


def _describe_request(event: events.Event) -> str:
    if isinstance(event, events.Retrying):
        wait = f"{event.seconds:.0f}" if event.seconds >= 9.95 else f"{event.seconds:.1f}"
        return f"attempt {event.number} of {event.most} failed, trying again in {wait} s: {event.message or event.error}"
    if isinstance(event, events.Rerouted):
        billed = "; it may be billed" if event.possibly_billed else ""
        return f"{event.model} failed{billed}, {event.target} is asked instead: {event.message or event.error}"
    if isinstance(event, events.Adjusted):
        return event.text
    if isinstance(event, events.Started):
        return f"request {event.key} starts" + (f" after {event.waited:.1f} s in the queue" if event.waited >= 0.1 else "")
    if isinstance(event, events.Finished):
        end = "is answered" if event.error is None else f"ends with {event.error}"
        return f"request {event.key} {end} after {event.elapsed:.1f} s"
    return f"request {event.key}: {type(event).__name__}"
