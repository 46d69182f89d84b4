"""What the steps of jobs wait for. They run in the thread that runs the batch; only calls are made in a thread of their own."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Call(NamedTuple):
    """A blocking call, whose result or error the steps get. ``is_create``: it makes a job, so a stop waits for its answer."""

    make: Callable[[], Any]
    is_create: bool = False


class Sleep(NamedTuple):
    """Go on at this time of ``runtime.clock``; 0: as soon as others had their turn."""

    until: float


NEXT_SLICE = Sleep(0.0)

JobSteps = Generator["Call | Sleep", Any, T]
"""Steps that return a T."""
