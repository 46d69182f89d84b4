"""Which requests each job is made of, by their slots, and what became of every slot that goes by a job. On disk."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from llm_sync.batch.context import BatchContext
from llm_sync.batch.state.index import TO_SEND, NumberFile
from llm_sync.batch.state.job_notes import JobNotes
from llm_sync.batch.state.records import Head
from llm_sync.jobs.job import Job

FREE, HAS_OUTCOME = 0, 1
_FIRST_JOB = 2  # greater numbers are those of jobs


class GoneLine(NamedTuple):
    """What a job knows of a line that the input no longer has."""

    position: int
    hash: int


class JobMembers:
    """The requests of all jobs of a run, by their numbers, and the other way round. One thread at a time."""

    def __init__(self, context: BatchContext, folder: str) -> None:
        self._context = context
        self._numbers: dict[str, int] = {}  # of jobs, by id
        self._gone: dict[tuple[str, int], GoneLine] = {}
        self.elsewhere = 0  # requests of jobs that are not part of this run
        with contextlib.ExitStack() as stack:
            # The requests of all jobs, as slot + 1; 0: its line is gone, or it has an outcome.
            self._slots = stack.enter_context(contextlib.closing(NumberFile(folder)))
            self._owners = stack.enter_context(contextlib.closing(NumberFile(folder)))  # by slot: FREE, HAS_OUTCOME or a job
            self._files = stack.pop_all()

    def close(self) -> None:
        """Close the files; the system then deletes them."""
        self._files.close()

    # Jobs of earlier runs ----------------------------------------------------------------------------------------------

    def find(self, notes: JobNotes, jobs: list[Job]) -> None:
        """Find the slots of jobs of earlier runs: by position and line, else by the line alone, which may have moved."""
        lost: dict[int, list[tuple[Job, int]]] = {}
        for job in jobs:
            first = self._slots.count
            for number, position, digest in notes.members(job):
                head = Head(position, job.provider, job.model, "", "", "")
                self.elsewhere += job.is_open and self._context.selection.slot(head) is None
                slot = self._slot_at(head, job, digest)
                self._slots.put(first + number, 0)
                if slot is not None:
                    self._assign(job, first + number, slot)
                elif slot is None:
                    self._gone[job.id, number] = GoneLine(position, digest)
                    lost.setdefault(digest, []).append((job, first + number))
            job.first = first
        if lost:
            self._find_moved(lost)

    def _slot_at(self, head: Head, job: Job, digest: int) -> int | None:
        slot = self._context.selection.slot(head)
        return slot if slot is not None and self._fits(slot, job, digest) else None

    def _fits(self, slot: int, job: Job, digest: int) -> bool:
        context = self._context
        if slot >= context.index.count or context.hashes.at(slot) != digest:
            return False
        return context.routes.named(context.index.get(slot).route) == (job.provider, job.model)

    def _find_moved(self, lost: dict[int, list[tuple[Job, int]]]) -> None:
        for slot, entry in self._context.index.walk():
            places = lost.get(self._context.hashes.at(slot)) if entry.state == TO_SEND else None
            for job, place in places or ():
                if (
                    self._owners.at(slot) == FREE
                    and (job.id, place - job.first) in self._gone
                    and self._fits(slot, job, self._context.hashes.at(slot))
                ):
                    del self._gone[job.id, place - job.first]
                    self._assign(job, place, slot)
                    break

    def _assign(self, job: Job, place: int, slot: int) -> None:
        entry = self._context.index.get(slot)
        if entry.state == TO_SEND:
            if not entry.review:  # it would go directly now: not before the job has ended
                self._context.index.set(slot, entry._replace(review=True))
            self._slots.put(place, slot + 1)
            self._owners.put(slot, self._number(job))

    # Jobs of this run --------------------------------------------------------------------------------------------------

    def add(self, job: Job, slots: array[int]) -> None:
        """A new job is made of these slots, which ``take`` has taken."""
        job.first = self._slots.count
        for number, slot in enumerate(slots):
            self._slots.put(job.first + number, slot + 1)

    def take(self, job: Job, slot: int) -> None:
        """The slot's request goes into this job."""
        self._owners.put(slot, self._number(job))

    def is_free(self, slot: int) -> bool:
        """Whether the slot's request may go into a job."""
        return self._owners.at(slot) == FREE

    def end(self, slot: int) -> None:
        """The slot's request has an outcome."""
        self._owners.put(slot, HAS_OUTCOME)

    def free(self, job: Job) -> None:
        """The slots of the job that have no outcome are free again."""
        own = self._number(job)
        for _, slot in self.slots(job):
            if self._owners.at(slot) == own:
                self._owners.put(slot, FREE)

    def slots(self, job: Job) -> Iterator[tuple[int, int]]:
        """The number and the slot of each of the job's requests."""
        for number in range(job.requests):
            slot = self._slots.at(job.first + number)
            if slot:
                yield number, slot - 1

    def slot(self, job: Job, number: int) -> int | None:
        """The slot of one of the job's requests, if it has no outcome yet."""
        slot = self._slots.at(job.first + number) - 1
        return slot if slot >= 0 and self._owners.at(slot) != HAS_OUTCOME else None

    def gone(self, job: Job, number: int) -> GoneLine | None:
        """What is known of one of the job's requests whose line is gone; it is given once."""
        return self._gone.pop((job.id, number), None)

    def _number(self, job: Job) -> int:
        return self._numbers.setdefault(job.id, len(self._numbers) + _FIRST_JOB)
