"""Simulated providers for clients that nobody here wrote. Runs in an environment of its own: make interop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llm_sync.simulator import Response, Simulator

ERRORS: dict[str, dict[int, Any]] = {
    "openai": {
        429: {"error": {"message": "Slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}},
        500: {"error": {"message": "Broken", "type": "server_error", "param": None, "code": None}},
    },
    "anthropic": {
        429: {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}, "request_id": "req_1"},
        500: {"type": "error", "error": {"type": "api_error", "message": "Broken"}, "request_id": "req_1"},
    },
    "gemini": {
        429: {"error": {"code": 429, "message": "Slow down", "status": "RESOURCE_EXHAUSTED"}},
        500: {"error": {"code": 500, "message": "Broken", "status": "INTERNAL"}},
    },
}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A started simulator that must not have failed inside, nor been asked for a stream."""
    with Simulator() as started:
        yield started
        assert started.faults == []
        assert started.stream_attempts == 0


@pytest.fixture
def failing() -> Iterator[Callable[[str, int], Simulator]]:
    """Makes simulators that answer every request of a dialect with this status, in its own shape."""
    started: list[Simulator] = []

    def make(dialect: str, status: int) -> Simulator:
        answer = Response(status, ERRORS[dialect][status])
        started.append(Simulator(on_request=lambda _record: answer).start())
        return started[-1]

    yield make
    for each in started:
        each.stop()
        assert each.faults == []
