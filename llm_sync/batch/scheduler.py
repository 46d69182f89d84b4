"""The providers' walks through the index: each sends its own requests in the order of the input, and waits for no other."""

from __future__ import annotations

import contextlib
import errno
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty
from typing import Any

from llm_sync.batch.context import Work
from llm_sync.batch.plan import Plan
from llm_sync.batch.sender import Ended, Sender
from llm_sync.batch.state.index import IN_JOURNAL, Entry
from llm_sync.batch.state.journal import Journal
from llm_sync.batch.state.records import Key
from llm_sync.batch.summary import LaneView, Snapshot
from llm_sync.batch.tally import Tally
from llm_sync.dispatch.shutdown import GRACE_S
from llm_sync.errors import ClientClosedError, QueueFullError
from llm_sync.events import logger

AHEAD = 4  # requests that wait in a provider's queue beside those in flight: no worker waits for the next
TICK_S = 0.2
RECENT_S = 60
# Failures of the account or the provider as a whole: the next request fares no better.
HOPELESS = frozenset({"AuthenticationError", "PermissionDeniedError", "QuotaExceededError"})

_log = logger("batch")


class Lane:
    """One provider's walk. ``held`` says why it is sent nothing more."""

    def __init__(self, provider: str, work: Work, earlier: Tally, to_send: int) -> None:
        config = work.client.config.providers[provider]
        self.provider = provider
        self.walk = work.slots.to_send(work.routes.of(provider))
        room = 2 * config.concurrency + AHEAD
        self.room = room if config.max_queue is None else min(room, config.concurrency + config.max_queue)
        self.next: tuple[int, Entry] | None = None  # taken from the walk, but not queued yet
        self.in_flight: dict[int, Future[Any]] = {}
        self.tally = Tally()
        self.tally.include(earlier)
        self.total = earlier.outcomes + to_send
        self.sent = 0
        self.retries = 0
        self.hopeless = 0  # failures of that kind in a row
        self.held: str | None = None
        self.reasons: dict[str, str] = {}  # what the first failure of each class says
        self.began: float | None = None
        self.ended = 0.0
        self._recent: deque[tuple[int, int]] = deque(maxlen=RECENT_S)  # (second, requests that ended in it)

    def count(self, end: Ended, give_up_after: int) -> None:
        """Take in a request's end."""
        self.ended = time.monotonic()
        if end.head is None:
            return
        self.sent += end.attempts > 0
        self.retries += max(0, end.attempts - 1)
        self.tally.add(end.head)
        if end.reason:
            self.reasons.setdefault(end.head.outcome, end.reason)
        second = int(self.ended)
        count = self._recent.pop()[1] if self._recent and self._recent[-1][0] == second else 0
        self._recent.append((second, count + 1))
        # A cool-down too long to sit out is as good as a closed door: what is asked meanwhile fails unsent.
        hopeless = end.head.outcome in HOPELESS or (end.attempts == 0 and end.head.outcome == "RateLimitError")
        self.hopeless = self.hopeless + 1 if hopeless else 0
        if give_up_after and self.hopeless >= give_up_after and self.held is None:
            self.held = f"{self.hopeless} requests in a row failed with {end.head.outcome}"

    @property
    def left(self) -> int:
        """How many have no outcome."""
        return self.total - self.tally.outcomes

    def withdraw(self) -> None:
        """Cancel what is queued."""
        for slot, future in reversed(list(self.in_flight.items())):  # last first: no worker takes the next one meanwhile
            if future.cancel():
                del self.in_flight[slot]

    def view(self, now: float, status: Any) -> LaneView:
        """The lane at this moment."""
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
            (now if self.in_flight else self.ended) - self.began if self.began is not None else 0.0,
            status.cooling_down_until,
            self.held,
        )


class Lanes:
    """All walks of one run. ``progress`` hears of its state a few times a second, in the thread that runs it."""

    def __init__(self, work: Work, journal: Journal, plan: Plan, progress: Callable[[Snapshot], object] | None) -> None:
        self._work = work
        self._journal = journal
        self._unsure = plan.unsure
        self._progress = progress
        self._sender = Sender(work, journal)
        self._began = time.monotonic()
        self._told_at = 0.0
        self.lanes = {
            name: Lane(name, work, plan.kept.get(name, Tally()), plan.to_send[name])
            for name in work.client.config.providers
            if name in plan.to_send or name in plan.kept
        }
        self._others = Tally()  # of lines that could not be read, and of providers that are configured no more
        for provider, tally in plan.kept.items():
            if provider not in self.lanes:
                self._others.include(tally)

    def run(self) -> None:
        """Send everything, and return when all of it has an outcome, or its lane is held.

        Whatever ends it early, what is in flight gets 5 s; its outcome is in the journal then. Raises OSError when the
        journal cannot be written, and what ends the run from outside.
        """
        try:
            while self._fill():
                self._take_in()
                self._look_after()
        except BaseException:
            self._stop()
            raise
        self._look_after(last=True)

    def snapshot(self) -> Snapshot:
        """The run at this moment."""
        now, status = time.monotonic(), self._work.client.status()
        tally = Tally()
        tally.include(self._others)
        for lane in self.lanes.values():
            tally.include(lane.tally)
        views = tuple(lane.view(now, status[lane.provider]) for lane in self.lanes.values())
        return Snapshot(views, tally, now - self._began)

    def _fill(self) -> bool:
        """Give every lane with room its next requests; whether anything is under way or left."""
        busy = False
        for lane in self.lanes.values():
            while lane.held is None and len(lane.in_flight) < lane.room and self._send_next(lane):
                pass
            busy = busy or bool(lane.in_flight) or (lane.next is not None and lane.held is None)
        return busy

    def _send_next(self, lane: Lane) -> bool:
        """Queue the lane's next request; False when there is none, or no room for it."""
        lane.next = lane.next or next(lane.walk, None)
        if lane.next is None:
            return False
        slot, entry = lane.next
        key = Key(self._work.selection.position(slot), *self._work.routes.named(entry.route))
        if lane.began is None:
            lane.began = time.monotonic()
        try:
            sent = self._sender.submit(slot, entry, self._unsure.get(key, 0))
        except QueueFullError:  # others use the client, too
            return False
        lane.next = None
        if isinstance(sent, Ended):
            self._count(sent)
            self._go_on_after(sent)
        else:
            lane.in_flight[slot] = sent
        return True

    def _take_in(self) -> None:
        """Wait a moment for a request to end, and take in all that have."""
        try:
            end = self._sender.ended.get(timeout=TICK_S)
            while True:
                self._count(end)
                self._go_on_after(end)
                end = self._sender.ended.get_nowait()
        except Empty:
            return

    def _count(self, end: Ended) -> None:
        """Take in a request's end."""
        lane = self.lanes[end.provider]
        lane.in_flight.pop(end.slot, None)
        lane.count(end, self._work.options.give_up_after)
        if end.head is not None and end.head.unsure:
            self._unsure[end.head.key] = end.head.unsure
        if self._work.options.fail_fast and end.head is not None and not end.head.answered:
            for each in self.lanes.values():
                each.held = each.held or f"a request failed with {end.head.outcome}"
        for each in self.lanes.values():
            if each.held is not None:
                each.withdraw()

    def _go_on_after(self, end: Ended) -> None:
        """Note where its record stands; raises what lets the run not go on."""
        if self._journal.failure is not None:
            raise self._journal.failure
        if end.head is None:
            raise end.trouble or ClientClosedError("the client was closed while the batch ran", guidance="Run it again.")
        route = self._work.routes.number(end.head.provider, end.head.model)
        self._work.slots.set(end.slot, Entry(IN_JOURNAL, route, end.place))

    def _look_after(self, *, last: bool = False) -> None:
        """Now and then: the disk, the journal's place, and whoever watches."""
        now = time.monotonic()
        if not last and now - self._told_at < TICK_S:
            return
        self._told_at = now
        if not self._journal.is_at_its_path():
            raise FileNotFoundError(errno.ENOENT, "it was moved or deleted", self._journal.path)
        self._journal.sync(now=last)
        if self._progress is not None:
            self._progress(self.snapshot())

    def _stop(self) -> None:
        """Send nothing more, give what is in flight its last seconds, and take in what comes of it."""
        self._sender.stop()
        for lane in self.lanes.values():
            lane.withdraw()
        if self._sender.busy:
            _log.warning("waiting up to %g s for what is in flight; Ctrl-C now ends at once", GRACE_S)
        try:
            self._wait_for_the_rest(GRACE_S)
        finally:
            self._sender.abort()
            self._wait_for_the_rest(GRACE_S)

    def _wait_for_the_rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            busy = self._sender.busy
            with contextlib.suppress(Empty):
                while True:
                    self._count(self._sender.ended.get(timeout=TICK_S if busy else 0))
            if not busy or time.monotonic() >= until:
                return
