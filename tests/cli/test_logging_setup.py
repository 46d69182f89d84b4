from __future__ import annotations

import logging
import re

import pytest

from llm_sync import events
from llm_sync.cli.console import logging_setup


@pytest.fixture
def logger() -> logging.Logger:
    """The one requests are logged by."""
    return logging.getLogger("llm_sync.requests")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            events.Retrying("openai", 1, number=2, error="RateLimitError", message="slow down", most=4, seconds=1.25),
            "openai: attempt 2 of 4 failed, trying again in 1.2 s: slow down",
        ),
        (
            events.Retrying("openai", 1, number=2, error="RateLimitError", most=4, seconds=62.4),
            "openai: attempt 2 of 4 failed, trying again in 62 s: RateLimitError",
        ),
        (events.Adjusted("openai", 1, text="temperature is dropped"), "openai: temperature is dropped"),
        (events.Started("openai", 3, waited=0.01), "openai: request 3 starts"),
        (events.Started("openai", 3, waited=1.25), "openai: request 3 starts after 1.2 s in the queue"),
        (events.Finished("openai", 3, elapsed=2.0), "openai: request 3 is answered after 2.0 s"),
        (
            events.Finished("openai", 3, error="RateLimitError", elapsed=2.0),
            "openai: request 3 ends with RateLimitError after 2.0 s",
        ),
    ],
)
def test_events_in_words(event: events.Event, words: str) -> None:
    """What a user reads names the provider and has no field names."""
    assert logging_setup.describe(event) == words


def test_warnings_are_words_by_default(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """Without -v a retry is one sentence, and lower levels are not shown."""
    with logging_setup.log_to_stderr(0):
        events.log_event(events.Started("openai", 1))
        events.log_event(events.Retrying("openai", 1, number=1, message="slow down", most=4, seconds=2.0))
    assert capsys.readouterr().err == "llm-sync: openai: attempt 1 of 4 failed, trying again in 2.0 s: slow down\n"


def test_final_failures_are_left_to_the_command(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """By default a failure is printed once."""
    with logging_setup.log_to_stderr(0):
        events.log_event(events.Finished("openai", 1, error="RateLimitError", message="slow down"))
    assert capsys.readouterr().err == ""


def test_verbose_once_is_words(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """-v adds starts and ends."""
    with logging_setup.log_to_stderr(1):
        events.log_event(events.AttemptStarted("openai", 1))
        events.log_event(events.Finished("openai", 1, elapsed=1.0))
    assert capsys.readouterr().err == "llm-sync: openai: request 1 is answered after 1.0 s\n"


def test_verbose_twice_is_everything(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """-vv has a line a fact: when, how grave, whose, and its fields, as key=value pairs."""
    with logging_setup.log_to_stderr(2):
        events.log_event(events.AttemptStarted("openai", 1, number=1, timeout=120.0))
    line = capsys.readouterr().err
    assert re.fullmatch(
        r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=debug logger=llm_sync.requests message=AttemptStarted "
        r"provider=openai key=1 number=1 timeout=120.000\n",
        line,
    )


def test_a_traceback_needs_an_option(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """A listener that fails is a sentence by default, and a traceback with -vv."""
    for verbose in (0, 2):
        with logging_setup.log_to_stderr(verbose):
            logging.getLogger("llm_sync.dispatch").error("a listener fails", exc_info=ValueError("why"))
    plain, pairs, trace = capsys.readouterr().err.splitlines()
    assert plain == "llm-sync: a listener fails"
    assert pairs.endswith('level=error logger=llm_sync.dispatch message="a listener fails"')
    assert trace == "ValueError: why"


def test_the_programs_logging_is_left_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that calls ``main`` keeps its own set-up."""
    logger = logging.getLogger("llm_sync")
    before = (list(logger.handlers), logger.level, logger.propagate)
    with logging_setup.log_to_stderr(2):
        assert logger.level == logging.DEBUG
        assert not logger.propagate  # the root logger would say everything again
    assert (list(logger.handlers), logger.level, logger.propagate) == before
