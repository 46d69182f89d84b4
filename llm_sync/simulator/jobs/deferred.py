"""Answers that are made later: background answers, and deferred ones that can be read once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llm_sync.simulator.jobs.settings import JobPlan
from llm_sync.simulator.server.response import Response


@dataclass
class DeferredAnswer:
    """``due``: when it is made; ``gone``: from when on nobody can fetch it (both simulated Unix times). ``make`` makes it.

    ``response`` is None until it is made. ``cancelled``: when it was cancelled. Used under the store's lock.
    """

    id: str
    owner: tuple[str, str]
    created: float
    due: float
    gone: float
    plan: JobPlan
    make: Callable[[], Response | None]
    bill: Callable[[tuple[int, int], str], None]
    facts: dict[str, Any]
    tier: str | None = None
    response: Response | None = None
    lost: bool = False
    cancelled: float | None = None
    read: bool = False
    polls: int = 0

    def advance(self, now: float) -> None:
        """Makes the answer if it is due, and bills it. A cancelled one is made only if the cancel has no effect."""
        if self.response is not None or self.lost or now < self.due:
            return
        if self.cancelled is None or self.plan.cancel_ignored:
            self._make(1.0)

    def cancel(self, now: float) -> None:
        """Stops the answer. The prompt is billed, and the part of the output that was made by now."""
        self.advance(now)
        if self.response is not None or self.cancelled is not None:
            return
        self.cancelled = now
        if not self.plan.cancel_ignored:
            self._make((now - self.created) / max(1e-9, self.due - self.created))

    def _make(self, share: float) -> None:
        response = self.make()
        if response is None:
            self.lost = True
            return
        if response.tokens is not None:
            self.bill((response.tokens[0], int(response.tokens[1] * share)), self.tier or response.tier)
        if self.cancelled is None or self.plan.cancel_ignored:
            self.response = response
