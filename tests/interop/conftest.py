"""Simulated providers for clients that nobody here wrote. Runs in an environment of its own: make interop."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from llm_sync.simulator import Simulator

PIXEL = (  # a PNG
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def pixel() -> str:
    """A picture, in base64."""
    return PIXEL


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A started simulator that must not have failed inside, nor been asked for a stream."""
    with Simulator() as started:
        yield started
        assert started.faults == []
        assert started.stream_attempts == 0


@pytest.fixture
def failing() -> Iterator[Callable[[str], Simulator]]:
    """Makes simulators that answer every request with this error, by its word in behaviour scripts."""
    started: list[Simulator] = []

    def make(word: str) -> Simulator:
        started.append(Simulator(script={"rules": [{"error": word}]}).start())
        return started[-1]

    yield make
    for each in started:
        each.stop()
        assert each.faults == []
