"""What a dialect says of background answers: how one is asked for, found again and cancelled. Data and pure functions."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

PENDING = frozenset({"queued", "in_progress", "pending", "running"})
"""Words for an answer that is not there yet, of OpenAI's API and of servers that copy it."""

_ID = re.compile(r"[\w.:=+/~-]{1,8192}", re.ASCII)


class BackgroundJob(NamedTuple):
    """An answer that is being made. ``id``: the provider's. ``kept_s``: seconds for which the answer can be fetched, counted from
    its creation; None: as long as the provider says in its documentation."""

    id: str
    kept_s: float | None = None


class BackgroundWire(ABC):
    """How one API makes one answer in the background. ``reads_once``: whether the answer is gone once it was fetched."""

    reads_once: ClassVar[bool] = False

    @abstractmethod
    def asked(self, payload: Mapping[str, Any], window: str | None, *, stored: bool) -> dict[str, Any]:
        """The payload that asks for the answer of ``payload`` in the background.

        ``window``: the request's completion_window. ``stored``: whether the provider may keep it until it is fetched: False
        only where the request itself says otherwise.
        """

    def create_path(self) -> str | None:
        """What follows base_url to ask for an answer; None: as directly."""
        return None

    @abstractmethod
    def job(self, body: Any) -> BackgroundJob | None:
        """The job that any body whatsoever of a good reply tells of, to a create or a poll; None for an answer."""

    @abstractmethod
    def path(self, job: str) -> str:
        """What follows base_url to fetch an answer."""

    def answer(self, body: Any) -> Any:
        """The part of a final body that a direct call would have got."""
        return body

    def cancel_path(self, job: str) -> str | None:
        """What follows base_url to cancel one by a POST; None where that cannot be done."""
        return None

    def windows(self) -> bool:
        """Whether it takes a completion_window."""
        return False


def job_id(value: Any) -> str | None:
    """An id that can be put into a path, written down and shown; None for anything else."""
    return value if isinstance(value, str) and _ID.fullmatch(value) and ".." not in value and value != "." else None
