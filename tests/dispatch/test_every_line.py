"""At every line that the calling thread runs here: an exception as of a signal handler, or a handler that uses the queues itself.

Python runs signal handlers between two bytecodes. A trace function stands in for that: it is called before each line, with the
frame, as a handler is, and so each line is hit in turn and not by chance.
"""

from __future__ import annotations

import concurrent.futures
import os
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

import llm_sync
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.dispatch.queue import ProviderRequestQueue
from llm_sync.errors import BatchError, ClientClosedError

PATIENCE_S = 10.0
PROMPT_S = 2.0  # for what takes no time
OURS = os.path.dirname(llm_sync.__file__)
FUTURES = os.path.join("concurrent", "futures", "_base.py")


class TooLateError(RuntimeError):
    """What the handler of an alarm raises; a RuntimeError, as "can't start new thread" is."""


def at_line(number: int, what: Callable[[], object], handler: Callable[[], object], *, futures: bool = False) -> bool:
    """Run ``what``, and ``handler`` before its line ``number`` (1 …) in llm_sync, or in concurrent.futures too; did it come?"""
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

    def trace(frame: FrameType, *_: object) -> Any:
        name = frame.f_code.co_filename
        return local if name.startswith(OURS) or (futures and name.endswith(FUTURES)) else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        # In a generator: an exception thrown at the end of an except block leaves the handled one behind (CPython does not pop
        # it), in the generator's state instead of this thread's, where every later exception would have it as its context.
        next(what() for _ in range(1))
    finally:
        sys.settrace(before)
    return came


def answer() -> int:
    """The call of all requests here."""
    return 1


USES: dict[str, Callable[[ConcurrentLLMManager], object]] = {
    "call": lambda manager: manager.call("a", answer, timeout=PATIENCE_S),
    "run": lambda manager: manager.run([("a", answer), ("b", answer), ("a", answer)]),
    "map": lambda manager: list(manager.map([("a", answer), ("b", answer), ("a", answer)], window=2)),
    "map, exceptions in place": lambda manager: list(manager.map([("a", answer)] * 3, window=2, return_exceptions=True)),
    "submit": lambda manager: manager.submit("a", answer).result(PATIENCE_S),
    "cancel": lambda manager: [future.cancel() for future in [manager.submit("a", answer) for _ in range(3)]],
    "as_completed": lambda manager: list(concurrent.futures.as_completed([manager.submit("a", answer) for _ in range(2)])),
    "status": lambda manager: (manager.submit("a", answer), manager.status()),
    "close": lambda manager: (manager.submit("a", answer), manager.close(True)),
}
IN_A_HANDLER: dict[str, Callable[[ConcurrentLLMManager], object]] = {
    "call": USES["call"],
    "submit": lambda manager: manager.submit("a", answer),
    "status": lambda manager: manager.status(),
    "close": lambda manager: manager.close(),
    "close, cancelling": lambda manager: manager.close(True),
}


def new_manager() -> ConcurrentLLMManager:
    """One whose queues have a listener, which runs on the calling thread too."""
    return ConcurrentLLMManager(lambda name: ProviderRequestQueue(name, emit=lambda _: None))


def raise_too_late() -> None:
    """What the handler does."""
    raise TooLateError


def in_time(what: Callable[[], Any]) -> Any:
    """Run it in another thread, which must end."""
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(what()), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert done, "it hangs or fails"
    return done[0]


@pytest.mark.parametrize("use", [name for name in USES if name not in ("as_completed", "close")])
def test_an_exception_at_any_line_comes_out(use: str) -> None:
    """It is raised as it is, at once; no request stays behind, and the next one is answered."""
    number, came = 0, True
    while came:
        number += 1
        manager = new_manager()
        began = time.monotonic()
        came = False
        try:
            came = at_line(number, lambda: USES[use](manager), raise_too_late)  # noqa: B023  (called at once)
        except TooLateError:
            came = True
        else:
            assert not came, f"line {number}: the exception is lost"
        assert time.monotonic() - began < PROMPT_S, f"line {number}"
        assert in_time(lambda: manager.call("a", answer)) == 1, f"line {number}"  # noqa: B023
        until = time.monotonic() + PATIENCE_S
        while any(status.queued or status.in_flight for status in manager.status().values()):
            assert time.monotonic() < until, f"line {number}: {manager.status()}"
        in_time(lambda: (manager.close(),))  # noqa: B023
    assert number > 50


@pytest.mark.parametrize("inner", IN_A_HANDLER)
@pytest.mark.parametrize("use", USES)
@pytest.mark.timeout(60)
def test_a_handler_may_use_the_queues_at_any_line(use: str, inner: str) -> None:
    """Its call is answered, or refused because it closed them; what it interrupted goes on; nothing hangs."""
    number, came = 0, True
    while came:
        number += 1
        manager = new_manager()
        given: list[Any] = []

        def handler() -> None:
            try:
                given.append(IN_A_HANDLER[inner](manager))  # noqa: B023
            except ClientClosedError:
                assert use == "close", f"line {number}"  # noqa: B023

        try:
            came = at_line(number, lambda: USES[use](manager), handler, futures=True)  # noqa: B023
        except (ClientClosedError, BatchError, concurrent.futures.CancelledError):
            assert inner.startswith("close"), f"line {number}"
        if came and inner == "submit" and use != "close":
            assert given[0].result(PATIENCE_S) == 1, f"line {number}"
        manager.close(True)
    assert number > 50
