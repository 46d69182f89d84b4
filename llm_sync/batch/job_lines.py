"""The lines of one provider that go by jobs: cut into jobs, and given their outcomes when the rows are there."""

from __future__ import annotations

import itertools
import json
import time
from array import array
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, BinaryIO

from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.requests import line_digest
from llm_sync.batch.line_requests import read_request
from llm_sync.batch.plan import LINE_ERRORS, Plan
from llm_sync.batch.sender import RequestEnd, Sender
from llm_sync.batch.state.index import JOURNAL_LINE, TO_SEND, Entry
from llm_sync.batch.state.job_notes import charge_notes, member_notes
from llm_sync.batch.state.records import Key, RequestIdentity, head_of, journal_line, record_of
from llm_sync.config.ways import BATCH, DIRECT
from llm_sync.errors import BudgetExceededError, ClientClosedError, ConfigurationError, LLMConnectorError
from llm_sync.jobs.job import CUT, Job
from llm_sync.models import AttemptOptions, ModelRequest, ModelResponse, PreparedRequest
from llm_sync.models.route import Route

if TYPE_CHECKING:
    from llm_sync.batch.job_members import JobMembers
    from llm_sync.batch.lane import Lane
    from llm_sync.jobs.wire import BatchWire

_SLICE_S = 0.02


class ProviderLines:
    """See jobs/ports.py. ``lane``: the provider's. Used by the thread that runs the batch."""

    def __init__(self, context: BatchContext, sender: Sender, members: JobMembers, plan: Plan, lane: Lane) -> None:
        self._context = context
        self._sender = sender
        self._members = members
        self._plan = plan
        self._lane = lane
        self._entries: dict[int, Iterator[tuple[int, Entry]]] = {}  # by route; a route without lines is taken out
        self._waits_for_money = False
        self._current: tuple[int, RequestIdentity, PreparedRequest] | None = None
        self._look_again()

    def _look_again(self) -> None:
        for route in self._context.routes.of(self._lane.provider):
            self._entries[route] = self._context.index.to_send([route], by_job=True)

    @property
    def left(self) -> bool:
        """See JobLines."""
        return bool(self._entries) and self._lane.paused is None

    def free(self, job: Job) -> None:
        """See JobLines."""
        self._members.free(job)
        self._settle_all(job)
        route = self._context.routes.number(job.provider, job.model)
        self._entries[route] = self._context.index.to_send([route], by_job=True)

    def stop(self, reason: str, error: LLMConnectorError) -> None:
        """See JobLines."""
        self._lane.paused = self._lane.paused or reason
        self._lane.paused_by = self._lane.paused_by or type(error).__name__

    # Cutting -----------------------------------------------------------------------------------------------------------

    def cut(self, job: Job, wire: BatchWire, file: BinaryIO, most: Callable[[str], int]) -> Iterator[None]:
        """See JobLines."""
        while self._entries and not job.requests and self._lane.paused is None:
            route, entries = next(iter(self._entries.items()))
            target = self._context.routes.named(route)
            job.model = str(target[1])
            job.settings = self._context.settings_of(Route(job.provider, job.model))
            slots, positions, hashes = array("Q"), array("Q"), array("Q")
            for slot in self._written(job, wire, file, entries, min(most(job.model), wire.limits.requests)):
                if slot is not None:
                    slots.append(slot)
                    positions.append(self._context.selection.position(slot))
                    hashes.append(self._context.hashes.at(slot))
                else:
                    yield
            if not job.requests:
                if self._waits_for_money:
                    return
                del self._entries[route]
                continue
            file.write(wire.closing)
            file.flush()
            for note in (*member_notes(job, positions, hashes), *charge_notes(job)):
                self._sender.journal.note(note)
            self._members.add(job, slots)
            facts = {"provider": job.provider, "model": job.model, "group": job.group, "settings": job.settings}
            self._sender.journal.note(job.note(CUT, **facts, requests=job.requests, at=time.time()))

    def _written(
        self, job: Job, wire: BatchWire, file: BinaryIO, entries: Iterator[tuple[int, Entry]], most: int
    ) -> Iterator[int | None]:
        """Write lines until the job is full; give the slot of each, and None when a slice of time is over."""
        until = time.monotonic() + _SLICE_S
        for slot, entry in entries:
            prepared = self._to_write(slot, entry)
            if prepared is not None:
                line = wire.line(job.custom_id(job.requests), prepared)
                size = job.size + len(line) + len(wire.between)
                if job.requests and (job.requests >= most or size > wire.limits.bytes or job.group != wire.group(prepared)):
                    self._put_back(slot, entry, entries)
                    return
                if not self._reserve(job, prepared):
                    self._put_back(slot, entry, entries)
                    return
                job.group = wire.group(prepared)
                file.write((wire.between if job.requests else wire.opening) + line)
                job.size, job.requests = size, job.requests + 1
                self._members.take(job, slot)
                yield slot
            if time.monotonic() >= until:
                yield None
                until = time.monotonic() + _SLICE_S

    def _put_back(self, slot: int, entry: Entry, entries: Iterator[tuple[int, Entry]]) -> None:
        self._entries[entry.route] = itertools.chain([(slot, entry)], entries)

    def _to_write(self, slot: int, entry: Entry) -> PreparedRequest | None:
        """The request of a slot as a job has it; None if it is in a job, or ends without one."""
        context = self._context
        repeats = context.repeats if context.options.dedupe else None
        if not self._members.is_free(slot) or context.index.get(slot).state != TO_SEND:
            return None
        if repeats is not None and repeats.first(slot) is not None:
            return None  # it gets a copy at the end
        try:
            made = self._read(slot, entry)
            if made is None:
                self._end(RequestEnd(slot, self._lane.provider, None, changed="the line changed while the batch ran"))
                return None
            identity, prepared = made
            stored = context.client.dispatcher.stored(prepared)
        except ClientClosedError:
            raise
        except LINE_ERRORS as error:  # an image file has gone since
            self._end(RequestEnd(slot, self._lane.provider, None, changed=str(error)))
            return None
        except LLMConnectorError as error:
            identity = context.identity(slot, f"{context.hashes.at(slot):016x}", context.routes.named(entry.route))
            self._end(self._sender.record(slot, identity, error, 0, 0.0))
            return None
        if stored is not None:
            self._end(self._sender.record(slot, identity, stored, 0, 0.0))
            return None
        return prepared

    def _end(self, end: RequestEnd) -> None:
        self._members.end(end.slot)
        self._sender.ended.put(end)

    def _read(self, slot: int, entry: Entry) -> tuple[RequestIdentity, PreparedRequest] | None:
        """The request of a slot; None if its line is not as it was planned. Raises what is wrong with it."""
        context = self._context
        content = context.line_format.at(context.source, entry.offset)
        digest = line_digest(content)
        if int.from_bytes(digest, "big") != context.hashes.at(slot):
            return None
        identity = context.identity(slot, digest.hex(), context.routes.named(entry.route), via=BATCH)
        identity, batch_request = read_request(context, slot, content, identity)
        return identity, context.prepare(batch_request, slot, via=DIRECT)

    def _reserve(self, job: Job, prepared: PreparedRequest) -> bool:
        """Reserve what a request may cost, where money is limited. False: the budget has no more for this job."""
        spending = self._context.client.dispatcher.spending
        if spending is None:
            return True
        try:
            charge = spending.reserve(prepared)
        except BudgetExceededError as error:
            self.stop(str(error), error)
            return False
        self._waits_for_money = isinstance(charge, float)  # others have reserved what is left, or our own jobs
        if isinstance(charge, float):
            return False
        if charge is not None:
            job.charges[job.requests] = charge
        return True

    # Outcomes ----------------------------------------------------------------------------------------------------------

    def prepared(self, job: Job, number: int) -> PreparedRequest | None:
        """See JobLines."""
        self._current = None
        slot = self._members.slot(job, number)
        if slot is None:
            gone = self._members.gone(job, number)
            if gone is not None:
                key = Key(gone.position, job.provider, job.model)
                self._current = -1, RequestIdentity(key, f"{gone.hash:016x}", job.settings, via=BATCH), _bare(job)
            return None if self._current is None else self._current[2]
        entry = self._context.index.get(slot)
        if entry.state != TO_SEND:
            return None
        try:
            made = self._read(slot, entry)
        except (*LINE_ERRORS, ConfigurationError):
            made = None
        if made is None:  # it has changed since it was sent: its answer is paid for
            key = Key(self._context.selection.position(slot), job.provider, job.model)
            made = RequestIdentity(key, f"{self._context.hashes.at(slot):016x}", job.settings, via=BATCH), _bare(job)
            slot = -1
        self._current = slot, made[0]._replace(settings=job.settings), made[1]
        return made[1]

    def record(self, job: Job, number: int, outcome: ModelResponse | LLMConnectorError) -> None:
        """See JobLines."""
        if self._current is None:
            return
        slot, identity, prepared = self._current
        charge = job.charges.pop(number, None)
        if charge is not None:
            charge.settle(outcome)
        elif (spending := self._context.client.dispatcher.spending) is not None:
            response = outcome if isinstance(outcome, ModelResponse) else getattr(outcome, "response", None)
            if isinstance(response, ModelResponse):  # one that cannot be used costs, too
                spending.record(prepared, response)
        if slot < 0:
            self._keep_apart(identity, outcome)
            return
        self._end(self._sender.record(slot, identity, outcome, 1, 0.0))
        caching = self._context.client.dispatcher.caching
        if isinstance(outcome, ModelResponse) and caching is not None and caching.cache_of(job.provider, job.model) is not None:
            caching.store_response(prepared, outcome.to_dict(), datetime.now(timezone.utc))

    def _keep_apart(self, identity: RequestIdentity, outcome: ModelResponse | LLMConnectorError) -> None:
        """The answer to a line that is gone goes to OUTPUT.replaced, as those of previous runs do."""
        if not isinstance(outcome, ModelResponse):
            return
        head = head_of(identity, outcome)
        offset = self._sender.journal.add(journal_line(head, record_of(identity, outcome, head)))
        if offset >= 0:
            route = self._context.routes.number(head.provider, head.model)
            self._plan.replaced.append(Entry(JOURNAL_LINE, route, offset))

    def _settle_all(self, job: Job) -> None:
        """Give back what was reserved for requests that got no outcome."""
        for charge in job.charges.values():
            charge.release()
        job.charges.clear()


def _bare(job: Job) -> PreparedRequest:
    """A request of which only the model is known: enough to read its answer, but not to hold it against a schema."""
    request: Any = ModelRequest(prompt="?", model=job.model)
    body = json.dumps({"model": job.model}).encode("ascii")
    return PreparedRequest(job.provider, "", job.model, "POST", "", body, {}, AttemptOptions(), request)
