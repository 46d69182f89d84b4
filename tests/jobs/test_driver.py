"""The steps of jobs: their calls in threads of their own, and how they are stopped."""

from __future__ import annotations

import math
import threading

import pytest

from llm_sync.errors import ProviderError, ResponseValidationError
from llm_sync.jobs.driver import StepsInTurn
from llm_sync.jobs.needs import NEXT_SLICE, Call, Sleep
from llm_sync.runtime import clock
from llm_sync.runtime.cancellation import CallControl


def in_turn(steps):
    """The steps, and an event that is set when a call has ended."""
    ended = threading.Event()
    return StepsInTurn(steps, CallControl(), ended.set), ended


def test_a_call_s_result_and_error_come_back_to_the_steps():
    """What nobody foresaw in an answer comes as an error of this library."""
    seen = []

    def fails(error):
        raise error

    def steps():
        seen.append((yield Call(lambda: 7)))
        for error in (ProviderError("no"), KeyError("id")):
            try:
                yield Call(lambda error=error: fails(error))
            except ProviderError as caught:  # noqa: PERF203
                seen.append(type(caught))

    turn, ended = in_turn(steps())
    while not turn.is_over:
        assert turn.go_on() == math.inf
        ended.wait(0.5)
        ended.clear()
    assert seen == [7, ProviderError, ResponseValidationError]


def test_steps_say_when_they_want_to_go_on():
    """At once after a slice, in some seconds after a sleep, after a call whenever that ends."""
    go_on = threading.Event()

    def steps():
        yield NEXT_SLICE
        yield Sleep(clock.now() + 100)
        yield Call(go_on.wait)

    turn, _ = in_turn(steps())
    assert 99 < turn.go_on() <= 100
    turn._wakes_at = 0.0
    assert turn.go_on() == math.inf
    go_on.set()


@pytest.mark.parametrize("is_create", [True, False])
def test_a_stop_waits_for_the_answer_to_a_create_and_for_nothing_else(is_create):
    """So that the job's id is noted; another call is aborted, and its answer is not needed."""
    started, answer, noted = threading.Event(), threading.Event(), []

    def make():
        started.set()
        answer.wait(5)
        return "id"

    def steps():
        noted.append((yield Call(make, is_create=is_create)))
        yield Sleep(clock.now() + 100)

    turn, _ = in_turn(steps())
    turn.go_on()
    started.wait(5)
    timer = threading.Timer(0.05, answer.set)
    timer.start()
    turn.stop(5.0)
    timer.join()
    assert noted == (["id"] if is_create else [])
    assert turn.is_over
    assert turn._control.aborted
