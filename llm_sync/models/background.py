"""A request whose answer is made in the background: the provider takes it, works on it, and is asked for the answer later."""

from __future__ import annotations

from typing import ClassVar

from llm_sync.models.frozen import dataclass
from llm_sync.models.prepared import PreparedRequest


@dataclass(frozen=True, repr=False, eq=False)
class BackgroundRequest(PreparedRequest):
    """A PreparedRequest that goes ``via: background``.

    ``body`` is that of a direct call, so that caches and budgets see the same request; the provider adds what asks for a
    background answer when it sends. ``job``: the provider's id of the answer, if it was asked for before: then nothing is sent,
    the answer is fetched.
    """

    in_background: ClassVar[bool] = True
    job: str = ""
