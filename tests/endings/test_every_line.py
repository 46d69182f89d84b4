"""A whole client at the lines that its calling thread runs: the exception of an alarm, or a signal handler that uses the client.

tests/dispatch/test_every_line.py does so at every line of the queues; here every few lines of all that is ours, from the public
call on, the first call of a client included.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from endings_apparatus import PATIENCE_S

import llm_sync
from llm_sync import BatchError, ClientClosedError, ModelRequest

OURS = os.path.dirname(llm_sync.__file__)
each_step = pytest.mark.parametrize("step", [17, pytest.param(5, marks=pytest.mark.soak)])  # lines
PROMPT_S = 2.0  # for what takes no time


class TooLateError(RuntimeError):
    """What the handler of an alarm raises."""


def at_line(number: int, what: Callable[[], object], handler: Callable[[], object]) -> bool:
    """Run ``what``, and ``handler`` before its line ``number`` (1 …) in llm_sync; whether it came to that."""
    count, came = 0, False

    def local(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count, came
        count += event == "line"
        if count == number and not came:
            came = True
            sys.settrace(None)
            handler()
            return None
        return local

    before = sys.gettrace()
    sys.settrace(lambda frame, *_: local if frame.f_code.co_filename.startswith(OURS) else None)
    try:
        # In a generator: an exception thrown at the end of an except block leaves the handled one behind (CPython does not pop
        # it), in the generator's state instead of this thread's, where every later exception would have it as its context.
        next(what() for _ in range(1))
    finally:
        sys.settrace(before)
    return came


def requests(count: int = 2):
    """So many."""
    return [ModelRequest(f"n{number}", "a/m") for number in range(count)]


USES: dict[str, Callable[[Any], object]] = {
    "generate": lambda client: client.generate("n", wait_timeout=PATIENCE_S),
    "concurrent": lambda client: client.generate_responses_concurrent(requests()),
    "map": lambda client: list(client.map(iter(requests(3)), window=2, return_exceptions=True)),
    "submit": lambda client: client.submit(requests(1)[0]).result(PATIENCE_S),
    "listing": lambda client: client.list_all_models(),
}


def each_line(open_client: Any, upstream: Any, step: int) -> Any:
    """A client and a line number after the other; every other client has asked something before."""
    number = 1
    while True:
        client = open_client(upstream)
        client.add_listener(lambda _: None)
        if number % 2:
            client.generate("warm")
        yield number, client
        client.close(cancel_pending=True, grace=0)
        number += step


@each_step
@pytest.mark.parametrize("use", USES)
@pytest.mark.timeout(120)
def test_the_exception_of_a_handler_comes_out(upstream, open_client, use, step):
    """As it is and at once, also from the input of map and from a listener; the client answers the next request."""

    def raise_too_late() -> None:
        raise TooLateError

    for number, client in each_line(open_client, upstream, step):
        began = time.monotonic()
        try:
            came = at_line(number, lambda: USES[use](client), raise_too_late)  # noqa: B023
        except TooLateError:
            came = True
        else:
            assert not came, f"line {number}: the exception is lost"
        assert time.monotonic() - began < PROMPT_S, f"line {number}"
        assert client.generate("after", wait_timeout=PATIENCE_S).text == "echo after"
        if not came:
            break
    assert number > 100


@each_step
@pytest.mark.parametrize("inner", ["generate", "submit", "close"])
@pytest.mark.parametrize("use", ["generate", "map"])
@pytest.mark.timeout(120)
def test_a_handler_may_use_the_client(upstream, open_client, use, inner, step):
    """It is answered, or closes it; what it interrupted goes on or is refused; nothing hangs."""
    for number, client in each_line(open_client, upstream, step):
        given: list[Any] = []

        def handler() -> None:
            if inner == "close":
                client.close()  # noqa: B023
            else:
                given.append(USES[inner](client).text)  # noqa: B023

        try:
            came = at_line(number, lambda: USES[use](client), handler)  # noqa: B023
        except (ClientClosedError, BatchError):
            assert inner == "close"
            came = True
        if not came:
            break
        assert given == ([] if inner == "close" else ["echo n" if inner == "generate" else "echo n0"])
    assert number > 100
