"""Sends the planned requests: each provider gets its own in the order of the input, independently of the others."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable
from queue import Empty
from typing import TYPE_CHECKING

from llm_sync.batch.context import BatchContext
from llm_sync.batch.copied_records import copy_outcomes
from llm_sync.batch.ends_pause import EndsPause
from llm_sync.batch.lane import Lane
from llm_sync.batch.late_records import Change, LateRecords
from llm_sync.batch.plan import Plan
from llm_sync.batch.sender import RequestEnd, Sender
from llm_sync.batch.state.index import JOURNAL_LINE, TO_SEND, Entry
from llm_sync.batch.state.journal import Journal
from llm_sync.batch.state.records import Key
from llm_sync.batch.summary import Snapshot, Tally
from llm_sync.dispatch.shutdown import GRACE_S
from llm_sync.errors import ClientClosedError, QueueFullError
from llm_sync.events import logger

if TYPE_CHECKING:
    from llm_sync.batch.job_desk import JobDesk

TICK_S = 0.2

_log = logger("batch")


class Scheduler:
    """All lanes of one run. ``progress`` is called a few times a second, in the thread that calls ``run``."""

    def __init__(
        self,
        context: BatchContext,
        journal: Journal,
        plan: Plan,
        progress: Callable[[Snapshot], object] | None,
        jobs: JobDesk | None = None,
    ) -> None:
        self._context = context
        self._journal = journal
        self._unsure = plan.unsure
        self._truncated = plan.truncated
        self._progress = progress
        self._sender = Sender(context, journal)
        self.late = LateRecords(context, self._is_in_flight)
        self._is_read_ahead = False  # whether entries may have got an outcome after they were read from the index
        self._began = time.monotonic()
        self._looked_after_at = 0.0
        self._pause = EndsPause()
        self.lanes = {
            name: Lane(name, context, plan.kept.get(name, Tally()), plan.to_send[name])
            for name in context.client.config.providers
            if name in plan.to_send or name in plan.kept
        }
        self.jobs = jobs
        if jobs is not None:
            jobs.open(self._sender, self.lanes)
        self._others = Tally()  # lines that could not be read, and providers that are no longer configured
        for provider, tally in plan.kept.items():
            if provider not in self.lanes:
                self._others.include(tally)

    def run(self) -> None:
        """Send everything, and return when every request has an outcome or its lane is paused.

        If an exception ends it early, requests in flight get 5 s to finish, and the journal gets their outcomes. Raises OSError
        if the journal cannot be written, and any exception thrown into this thread.
        """
        try:
            while self._fill():
                self._process_ends(TICK_S if self.jobs is None else max(0.0, min(TICK_S, self.jobs.go_on())))
                self._look_after()
        except BaseException:
            self._stop()
            raise
        self._copy_repeated()
        self._look_after(last=True)

    def snapshot(self) -> Snapshot:
        """The current state."""
        now, status = time.monotonic(), self._context.client.status()
        tally = Tally()
        tally.include(self._others)
        for lane in self.lanes.values():
            tally.include(lane.tally)
        views = tuple(lane.view(now, status[lane.provider]) for lane in self.lanes.values())
        workers = () if self._context.engine is None else self._context.engine.views()
        jobs = () if self.jobs is None else self.jobs.views()
        return Snapshot(views, tally, now - self._began, workers, jobs)

    def _fill(self) -> bool:
        """Give every lane its next requests as far as there is room. Returns whether anything is in flight or left."""
        busy = False
        for lane in self.lanes.values():
            while lane.paused is None and len(lane.in_flight) < self._room(lane) and self._send_next(lane):
                pass
            if lane.missing.skipped and lane.next is None and not lane.in_flight:
                lane.paused = lane.paused or lane.missing.reason
            busy = busy or bool(lane.in_flight) or (lane.next is not None and lane.paused is None)
        return busy or (self.jobs is not None and self.jobs.is_busy)

    def _room(self, lane: Lane) -> int:
        """How many requests of a lane may be queued; more with a server on each machine of the engine."""
        room = None if self._context.engine is None else self._context.engine.room(lane.provider)
        return lane.room if room is None else lane.room + 2 * room

    def _send_next(self, lane: Lane) -> bool:
        """Queue the lane's next request. Returns False if there is none, or no room for it."""
        while lane.next is None or self._is_skipped(lane, *lane.next):
            lane.next = next(lane.entries, None)
            if lane.next is None:
                return False
        slot, entry = lane.next
        unsure = 0
        if self._unsure:
            unsure = self._unsure.get(Key(self._context.selection.position(slot), *self._context.routes.named(entry.route)), 0)
        if lane.began is None:
            lane.began = time.monotonic()
        try:
            sent = self._sender.submit(slot, entry, unsure)
        except QueueFullError:  # other callers use the client, too
            return False
        lane.next = None
        if isinstance(sent, RequestEnd):
            self._count(sent)
            if not sent.changed:
                self._note_outcome(sent)
        else:
            lane.in_flight[slot] = sent
        return True

    def _is_skipped(self, lane: Lane, slot: int, entry: Entry) -> bool:
        """Whether an entry read from the index is not to be sent: its model is given up, or it has got an outcome since."""
        if lane.missing and self._is_given_up(lane, entry):
            lane.missing.skipped += 1
            return True
        repeats = self._context.repeats
        if repeats is not None and self._context.options.dedupe and repeats.first(slot) is not None:
            return True  # it gets a copy at the end
        return self._is_read_ahead and self._context.index.get(slot).state != TO_SEND

    def _copy_repeated(self) -> None:
        """Give the requests that equal an earlier one a copy of its outcome."""
        if not self._context.options.dedupe or self._context.repeats is None:
            return
        for slot, head, offset, saved in copy_outcomes(self._context, self._journal):
            lane = self.lanes[str(head.provider)]
            lane.tally.add(head)
            lane.repeated += 1
            lane.saved += saved
            self._context.index.set(slot, Entry(JOURNAL_LINE, self._context.routes.number(head.provider, head.model), offset))

    def _is_given_up(self, lane: Lane, entry: Entry) -> bool:
        return lane.missing.is_given_up(self._context.routes.named(entry.route)[1])

    def _process_ends(self, seconds: float) -> None:
        """Wait briefly for a request to end, and process all that have ended."""
        ended, count = self._sender.ended, 0
        try:
            end = ended.get(timeout=seconds)
            pause = self._pause.seconds(self.lanes.values(), ended.qsize())
            while True:
                count += 1
                if end is not None:
                    self._count(end)
                    self._note_outcome(end)
                if pause:  # after the first is counted, as Ctrl-C may end the pause
                    time.sleep(pause)
                    pause = 0.0
                end = ended.get_nowait()
        except Empty:
            self._pause.count(count)

    def _count(self, end: RequestEnd) -> None:
        """Count a request's end, and pause lanes where that is called for."""
        lane, head, options = self.lanes[end.provider], end.head, self._context.options
        lane.in_flight.pop(end.slot, None)
        lane.count(end, options.give_up_after)
        if head is not None:
            if lane.missing.count(head, options.give_up_after):
                self._withdraw_missing(lane)
            if head.unsure:
                self._unsure[head.key] = head.unsure
            if options.fail_fast and not head.answered:
                for each in self.lanes.values():
                    each.paused = each.paused or f"a request failed with {head.outcome}"
        for each in self.lanes.values():
            if each.paused is not None:
                each.withdraw()

    def _withdraw_missing(self, lane: Lane) -> None:
        """Cancel the queued requests to models that are given up."""
        for slot, future in reversed(list(lane.in_flight.items())):
            if self._is_given_up(lane, self._context.index.get(slot)) and future.cancel():
                lane.missing.skipped += 1
                del lane.in_flight[slot]

    def _note_outcome(self, end: RequestEnd) -> None:
        """Put the outcome into the index. Raises an error if the run cannot continue."""
        if self._journal.failure is not None:
            raise self._journal.failure
        if end.head is None and (end.stop or end.waiting):
            return
        if end.head is None:
            raise (
                self._context.engine_failure
                or end.error
                or ClientClosedError("the client was closed while the batch ran", guidance="Run it again.")
            )
        route = self._context.routes.number(end.head.provider, end.head.model)
        self._context.index.set(end.slot, Entry(JOURNAL_LINE, route, end.offset))
        instead = self.late.take_instead(end.head, end.slot)
        former = self._truncated.pop(end.slot, None)
        if instead is None and former is not None and not end.head.answered:
            self._context.index.set(end.slot, former)  # its text is paid for, and better than none
            instead = Change(end.slot, self._context.store.head(former), end.head)
        if instead is not None:
            self._replace(instead)

    def take_late_records(self) -> bool:
        """Take records over that other programs have added to the journal, and return whether any outcome changed.

        Raises OSError; LLMConnectorError if another run has taken the journal over.
        """
        changed = False
        while (chunk := self._journal.examine()) or self._journal.is_behind:
            for change in self.late.take(chunk):
                changed = True
                self._replace(change)
        return changed

    def _replace(self, change: Change) -> None:
        self._is_read_ahead = True
        self.lanes[str(change.head.provider)].replace(change)

    def _is_in_flight(self, slot: int) -> bool:
        return any(slot in lane.in_flight for lane in self.lanes.values())

    def _look_after(self, *, last: bool = False) -> None:
        """A few times a second: check and sync the journal, and report progress."""
        now = time.monotonic()
        if not last and now - self._looked_after_at < TICK_S:
            return
        self._looked_after_at = now
        if self._context.engine_failure is not None:
            raise self._context.engine_failure
        if not self._journal.is_at_its_path():
            raise FileNotFoundError(errno.ENOENT, "it was moved or deleted", self._journal.path)
        self.take_late_records()
        self._journal.sync(now=last)
        if self._progress is not None:
            self._progress(self.snapshot())

    def _stop(self) -> None:
        """Send nothing more, give requests in flight some seconds to finish, process their ends, and report how far it came."""
        self._sender.stop()
        if self.jobs is not None:
            self.jobs.stop()
        for lane in self.lanes.values():
            lane.withdraw()
        if self._sender.busy:
            _log.warning("waiting up to %g s for requests in flight; press Ctrl-C again to stop at once", GRACE_S)
        try:
            self._wait_for_in_flight(GRACE_S)
        finally:
            self._sender.abort()
            self._wait_for_in_flight(GRACE_S)
            if self._progress is not None:
                with contextlib.suppress(Exception):  # it must not replace the reason for the stop
                    self._progress(self.snapshot())

    def _wait_for_in_flight(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            busy = self._sender.busy
            with contextlib.suppress(Empty):
                while True:
                    end = self._sender.ended.get(timeout=TICK_S) if busy else self._sender.ended.get_nowait()
                    if end is not None:
                        self._count(end)
            if not busy or time.monotonic() >= until:
                return
