"""The requests of one provider in one run: what is sent next, what is in flight, and what has come of the others."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future
from typing import Any

from llm_sync.batch.context import BatchContext
from llm_sync.batch.late_records import Change
from llm_sync.batch.missing_models import MissingModels
from llm_sync.batch.sender import RequestEnd
from llm_sync.batch.state.index import Entry
from llm_sync.batch.summary import LaneView, Tally
from llm_sync.models.grammar import counted

QUEUED_AHEAD = 4  # requests in a provider's queue beside those in flight, so that no worker waits for the next
RECENT_S = 60
MAX_LOCAL_TROUBLE = 5  # failures in a row that come from this side: the next request would fail, too
# Failures of the account: likewise.
HOPELESS = frozenset({"AuthenticationError", "PermissionDeniedError", "QuotaExceededError"})


class Lane:
    """The requests of one provider. ``paused``: why it gets no more requests in this run."""

    def __init__(self, provider: str, context: BatchContext, kept: Tally, to_send: int) -> None:
        config = context.client.config.providers[provider]
        self.provider = provider
        self.entries = context.index.to_send(context.routes.of(provider))
        room = 2 * context.line_routes.concurrency(provider) + QUEUED_AHEAD
        self.room = room if config.max_queue is None else min(room, config.concurrency + config.max_queue)
        self._concurrency = config.concurrency
        self.next: tuple[int, Entry] | None = None  # read from the index, but not queued yet
        self.in_flight: dict[int, Future[Any]] = {}
        self.tally = Tally()
        self.tally.include(kept)
        self.total = kept.outcomes + to_send
        self.sent = 0
        self.retries = 0
        self.cached = 0  # answers of this run that came from a cache
        self.repeated = 0  # requests that got a copy of an equal one's outcome
        self.saved = 0.0  # USD
        self.hopeless = 0  # failures of the account in a row
        self.local_trouble = 0  # failures from this side in a row
        self.missing = MissingModels()
        self.changed = 0  # lines that were not sent, because they changed while the batch ran
        self.first_change = ""
        self.waiting = 0  # requests whose answers are made in the background, and stay there for the next run
        self.first_waiting = ""
        self.paused: str | None = None
        self.paused_by = ""  # the error class
        self.reasons: dict[str, str] = {}  # the message of the first failure of each class
        self.first_failed: dict[str, int] = {}  # and the position of its line
        self.began: float | None = None
        self.ended = 0.0
        self._recent: deque[tuple[int, int]] = deque(maxlen=RECENT_S)  # (second, requests ended in it)

    def count(self, end: RequestEnd, give_up_after: int) -> None:
        """Count a request's end, and pause the lane after too many failures in a row that the next request would share."""
        self.ended = time.monotonic()
        if end.changed:
            self.changed += 1
            self.first_change = self.first_change or end.changed
        if end.waiting:
            self.waiting += 1
            self.first_waiting = self.first_waiting or end.waiting
        if end.stop:
            self.paused, self.paused_by = self.paused or end.stop, "BudgetExceededError"
        if end.head is None:
            return
        self.sent += end.attempts > 0
        self.retries += max(0, end.attempts - 1)
        self.cached += end.cached
        self.saved += end.saved
        self.tally.add(end.head)
        if end.reason:
            self.reasons.setdefault(end.head.outcome, end.reason)
            self.first_failed.setdefault(end.head.outcome, end.head.position)
        second = int(self.ended)
        count = self._recent.pop()[1] if self._recent and self._recent[-1][0] == second else 0
        self._recent.append((second, count + 1))
        # During a cool-down longer than max_cool_down, the rate gate refuses every request without sending it.
        hopeless = end.head.outcome in HOPELESS or (end.attempts == 0 and end.head.outcome == "RateLimitError")
        self.hopeless = self.hopeless + 1 if hopeless else 0
        self.local_trouble = self.local_trouble + 1 if end.local_trouble else 0
        if give_up_after and self.paused is None:
            if self.hopeless >= give_up_after:
                self.paused = f"{counted(self.hopeless, 'request')} in a row failed with {end.head.outcome}"
            elif self.local_trouble >= min(give_up_after, MAX_LOCAL_TROUBLE):
                self.paused = f"{counted(self.local_trouble, 'request')} in a row failed on the way to the provider: {end.reason}"

    @property
    def queued_ahead(self) -> int:
        """How many requests are in the provider's queue beside those that may be in flight."""
        return len(self.in_flight) - self._concurrency

    def replace(self, change: Change) -> None:
        """Count an outcome that another program added, instead of the one it replaces."""
        if change.before is not None:
            self.tally.add(change.before, -1)
        self.tally.add(change.head)
        if self.next is not None and self.next[0] == change.slot:
            self.next = None

    @property
    def why_left(self) -> str | None:
        """Why requests have no outcome at the end of the run."""
        if self.paused is None and self.changed:
            lines = "one line" if self.changed == 1 else f"{self.changed} lines"
            return f"{lines} cannot be sent as planned: {self.first_change}"
        if self.paused is None and self.waiting:
            answers = "an answer is" if self.waiting == 1 else f"{self.waiting} answers are"
            return f"{answers} still made in the background: {self.first_waiting}"
        return self.paused

    @property
    def left(self) -> int:
        """The number of requests without an outcome."""
        return self.total - self.tally.outcomes

    def withdraw(self) -> None:
        """Cancel the queued requests."""
        for slot, future in reversed(list(self.in_flight.items())):  # last first, so that no worker takes one meanwhile
            if future.cancel():
                del self.in_flight[slot]

    def view(self, now: float, status: Any) -> LaneView:
        """The current state."""
        since = now - RECENT_S
        recent = sum(count for second, count in self._recent if second > since)
        span = min(RECENT_S, now - self.began) if self.began is not None else 0.0
        return LaneView(
            self.provider,
            self.total,
            self.tally.outcomes,
            self.tally.failed.total(),
            status.in_flight,
            self.retries,
            recent / span if recent and span > 0 else None,
            max(0.0, (now if self.in_flight else self.ended) - self.began) if self.began is not None else 0.0,
            status.cooling_down_until,
            self.paused,
        )
