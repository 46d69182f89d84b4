"""Steps, and the driver that runs them in the calling thread."""

from __future__ import annotations

from typing import Any

import pytest

from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import Blocking, HTTPCall, Pause, run


def test_a_step_gets_the_result_of_what_it_waits_for() -> None:
    """And what the steps return is the result of the whole."""

    def steps() -> Any:
        first = yield Blocking(lambda: 20)
        second = yield Blocking(lambda: 22)
        return first + second

    assert run(steps()) == 42


def test_a_step_gets_the_error_of_what_it_waits_for() -> None:
    """Where it waits, so that it can go on."""

    def fail() -> None:
        raise OSError("no")

    def steps() -> Any:
        try:
            yield Blocking(fail)
        except OSError as error:
            return str(error)

    assert run(steps()) == "no"


def test_an_error_of_a_step_comes_out() -> None:
    """As it is."""

    def steps() -> Any:
        yield Blocking(lambda: None)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run(steps())


def test_a_pause_ends_when_its_request_is_stopped() -> None:
    """However long it would have been."""
    control = CallControl()
    control.stop_retrying()
    Pause(3600, control).run()


def test_an_http_call_asks_its_client() -> None:
    """With all that it was made with."""
    asked: list[Any] = []

    class Client:
        def request(self, *arguments: Any, **options: Any) -> str:
            asked.append((arguments, options))
            return "reply"

    assert HTTPCall(Client(), "POST", "http://h", b"body", {"A": "b"}, 3.0, "control").run() == "reply"
    assert asked == [(("POST", "http://h", b"body", {"A": "b"}), {"timeout": 3.0, "control": "control"})]
