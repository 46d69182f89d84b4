"""One job: what it is made of, how far it has come, and its notes in the journal."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The steps of a job, in the order in which they are noted. Until CREATING nothing can have been bought.
CUT, UPLOADED, CREATING, CREATED, COLLECTED, CLEANED = STEPS = (
    *("cut", "uploaded", "creating", "created", "collected", "cleaned"),
)
DROPPED = "dropped"  # it was not made, or answered nothing: its lines are free again
LOST = "lost"  # it may have been made, and cannot be found: its lines are not sent again without leave
OPEN = (CREATING, CREATED, LOST)
"""The steps at which lines of a job may be answered, or billed, and have no outcome yet."""

_FACTS = ("provider", "model", "group", "settings", "requests", "at", "file", "fence", "id", "others", "why", "created_at")

# What these facts are in the journal; all others are texts.
_KINDS: dict[str, Any] = {"requests": int, "at": (int, float), "created_at": (int, float), "others": (list, tuple)}


@dataclass
class Job:
    """One job. ``id`` is ours, and begins the custom ids of its requests.

    ``group``: what its requests have in common (see BatchWire.group). ``settings``: the hash of the settings that they were made
    under. ``requests``: how many there are. ``first``: the number of its first request in the table of members. ``at``: seconds
    since the epoch when it was noted last that it is about to be made. ``file``: its uploaded file. ``fence``: the newest job of
    the account before it was made. ``remote``: the provider's id. ``others``: jobs that may be this one instead. ``why``: why
    it is lost or was dropped.
    """

    id: str
    provider: str
    model: str
    group: str = ""
    settings: str = ""
    requests: int = 0
    first: int = 0
    step: str = CUT
    at: float = 0.0
    created_at: float = 0.0
    file: str = ""
    fence: str = ""
    remote: str = ""
    others: tuple[str, ...] = ()
    why: str = ""
    # Of this run only:
    looks: int = 0
    next_look: float = 0.0  # monotonic
    word: str = ""  # the provider's word at the last look
    done: int = 0
    size: int = 0  # bytes of its file
    charges: dict[int, Any] = field(default_factory=dict)  # what was reserved for its requests, where money is limited

    @property
    def is_open(self) -> bool:
        """Whether its lines may have been answered, and have no outcome yet."""
        return self.step in OPEN

    def custom_id(self, number: int) -> str:
        """The id of one of its requests: unique in all jobs of all runs, and of characters that every provider takes."""
        return f"{self.id}-{number}"

    def number(self, custom_id: Any) -> int | None:
        """The number of the request that an id stands for; None if it is none of this job's."""
        start, _, number = custom_id.rpartition("-") if isinstance(custom_id, str) else ("", "", "")
        if start != self.id or not (number.isascii() and number.isdigit()) or len(number) > len(str(self.requests)):
            return None
        return int(number) if int(number) < self.requests else None

    def note(self, step: str, **facts: Any) -> dict[str, Any]:
        """Come to a step, with new facts; return the journal's note of it."""
        self.step = step
        for name, value in facts.items():
            setattr(self, "remote" if name == "id" else name, value)
        return {"job": self.id, "step": step, **facts}

    def read(self, note: Mapping[str, Any]) -> None:
        """Come to the step of a note that an earlier run has written. Raises KeyError, TypeError for one that was edited."""
        kinds = {name: _KINDS.get(name, str) for name in _FACTS if name in note}
        for name, kind in kinds.items():
            if not isinstance(note[name], kind):
                raise TypeError(f"{name} of job {self.id} is {type(note[name]).__name__}")
        self.step = str(note["step"])
        for name in kinds:
            value = tuple(note[name]) if name == "others" else note[name]
            setattr(self, "remote" if name == "id" else name, value)


def new_run() -> str:
    """A name for the jobs of one run: no other run has the same."""
    return f"ls{os.urandom(5).hex()}"


def wall_clock() -> float:
    """Seconds since the epoch: how old a job is counts across runs."""
    return time.time()
