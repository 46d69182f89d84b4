"""Facts about requests: frozen, told in order, and logged one line each at the level they deserve."""

from __future__ import annotations

import copy
import dataclasses
import logging
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import llm_sync
from llm_sync import events
from llm_sync.client.client import LLMClient
from llm_sync.config import ConfigLoader
from llm_sync.errors import ProviderUnavailableError
from llm_sync.events import (
    Adjusted,
    AttemptEnded,
    AttemptStarted,
    CacheHit,
    Event,
    Finished,
    Queued,
    Rerouted,
    Retrying,
    Started,
    Waiting,
    log_event,
)
from llm_sync.models import Usage
from llm_sync.simulator import Response, Simulator

KINDS = (Queued, Started, AttemptStarted, AttemptEnded, Waiting, Retrying, Rerouted, Adjusted, Finished, CacheHit)


def logged(caplog: pytest.LogCaptureFixture, event: Event) -> tuple[str, str]:
    """The level and line of an event."""
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "llm_sync.requests"):
        log_event(event)
    (record,) = caplog.records
    return record.levelname, record.getMessage()


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_is_frozen_and_travels(kind: type[Event]) -> None:
    """A fact does not change, pickles and copies; it knows its provider, request and time."""
    event = kind("openai", 7)
    assert (event.provider, event.key) == ("openai", 7)
    assert event.at > 0
    assert pickle.loads(pickle.dumps(event)) == copy.copy(event) == event  # noqa: S301  (made here)
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.provider = "other"  # type: ignore[misc]


def test_no_kind_is_forgotten() -> None:
    """Every event class has a level of its own in the log."""
    defined = {value for value in vars(events).values() if isinstance(value, type) and issubclass(value, Event)}
    assert defined - {Event} == set(KINDS) == set(events._LEVELS)


@pytest.mark.parametrize(
    ("event", "level", "line"),
    [
        (Queued("p", 1, model="m", depth=2), "DEBUG", "Queued provider=p key=1 model=m depth=2"),
        (
            CacheHit("p", 1, model="m", elapsed=0.25, usage=Usage(3, 4), saved=0.00125),
            "INFO",
            "CacheHit provider=p key=1 model=m queued=False elapsed=0.250 saved=0.00125 input_tokens=3 output_tokens=4",
        ),
        (Started("p", 1, waited=0.5), "INFO", "Started provider=p key=1 waited=0.500"),
        (AttemptStarted("p", 1, 2, 9.0), "DEBUG", "AttemptStarted provider=p key=1 number=2 timeout=9.000"),
        (AttemptEnded("p", 1, 2, 0.25, 503), "DEBUG", "AttemptEnded provider=p key=1 number=2 elapsed=0.250 status=503"),
        (Waiting("p", 1, 3.0, "pace"), "DEBUG", "Waiting provider=p key=1 seconds=3.000 reason=pace"),
        (
            Retrying("p", 1, 2, "E", "it broke", 4, 0.5),
            "WARNING",
            "Retrying provider=p key=1 number=2 error=E message='it broke' most=4 seconds=0.500",
        ),
        (Adjusted("p", 1, "seed dropped"), "WARNING", "Adjusted provider=p key=1 text='seed dropped' lost=True"),
        (Adjusted("p", 1, "renamed", False), "INFO", "Adjusted provider=p key=1 text=renamed lost=False"),
        (Finished("p", 1, elapsed=2.0), "INFO", "Finished provider=p key=1 elapsed=2.000"),
        (Finished("p", 1, "E", "it broke", 2.0), "ERROR", "Finished provider=p key=1 error=E message='it broke' elapsed=2.000"),
        (
            Finished("p", 1, elapsed=2.0, usage=Usage(11, 7, None, 2), cost=0.0000123),
            "INFO",
            "Finished provider=p key=1 elapsed=2.000 cost=0.0000123 input_tokens=11 output_tokens=7 reasoning_tokens=2",
        ),
        (Finished("p", 1, "cancelled"), "INFO", "Finished provider=p key=1 error=cancelled elapsed=0.000"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Event) else "",
)
def test_each_fact_is_one_line_at_its_level(caplog: pytest.LogCaptureFixture, event: Event, level: str, line: str) -> None:
    """Errors for final failures, warnings for retries and losses, the rest below; what is unknown is left out."""
    assert logged(caplog, event) == (level, line)


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "\x1b[2J", "a\u2028b", "a\x00b", "\u202eabc"])
def test_what_a_provider_says_cannot_forge_a_line_or_reach_the_terminal(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Line ends, escape sequences and direction marks are shown, not written."""
    _, line = logged(caplog, Retrying("p", 1, 1, "E", text))
    assert line.isprintable()
    assert f" message={text!r} " in line


def test_a_request_tells_its_story_in_order(write_config: Callable[[str], str], caplog: pytest.LogCaptureFixture) -> None:
    """Queued, started, an attempt that fails, the retry, an attempt that answers, finished: under one key."""
    answers = iter([Response(503, {"error": {"message": "overloaded"}})])
    with Simulator(on_request=lambda record: next(answers, None)) as failing:
        text = f"providers: {{openai: {{api_key: k, base_url: {failing.url()}, retry_base: 0}}}}"
        with caplog.at_level(logging.DEBUG, "llm_sync.requests"), LLMClient(ConfigLoader().load_text(text)) as client:
            client.generate("x", "gpt-4o-mini")
    told = [record.getMessage().split() for record in caplog.records if record.name == "llm_sync.requests"]
    assert [words[0] for words in told] == [
        *("Queued", "Started", "AttemptStarted", "AttemptEnded", "Retrying", "Waiting"),
        *("AttemptStarted", "AttemptEnded", "Finished"),
    ]
    assert {words[2] for words in told} == {"key=1"}


def test_a_final_failure_is_one_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """ERROR is for what fails in the end, once."""
    with Simulator(on_request=lambda record: Response(503, {"error": {"message": "overloaded"}})) as failing:
        text = f"providers: {{openai: {{api_key: k, base_url: {failing.url()}, retry_base: 0, max_retries: 1}}}}"
        with LLMClient(ConfigLoader().load_text(text)) as client, pytest.raises(ProviderUnavailableError):
            client.generate("x", "gpt-4o-mini")
    levels = [record.levelname for record in caplog.records if record.levelno >= logging.WARNING]
    assert levels == ["WARNING", "ERROR"]


def test_the_library_is_silent_by_default() -> None:
    """A program that sets up no logging sees nothing on standard error, not even of failures."""
    program = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(llm_sync.__file__).parents[1])!r})\n"
        "from llm_sync.events import *\n"
        "from llm_sync.events import log_event, logger\n"
        "log_event(Finished('p', 1, 'E', 'it broke')); logger('client').error('broken')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert (done.stdout, done.stderr) == ("", "")
