"""All jobs and files of one simulator."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from llm_sync.simulator.jobs.clock import SimulatedClock
from llm_sync.simulator.jobs.deferred import DeferredAnswer
from llm_sync.simulator.jobs.files import FileStore, StoredFile
from llm_sync.simulator.jobs.job import Job, JobWire
from llm_sync.simulator.jobs.rows import RowFile
from llm_sync.simulator.jobs.settings import JobPlan, JobSettings

Bill = Callable[[str, str, tuple[int, int], str], None]  # provider, model, tokens, tier


class JobStore:
    """Thread-safe if every use holds ``lock``. ``bill`` is called for every line that is paid."""

    def __init__(self, settings: JobSettings, bill: Bill) -> None:
        self.settings = settings
        self.clock = SimulatedClock(settings.speed)
        self.lock = threading.RLock()  # guards files and all jobs
        self.files = FileStore()
        self.bill = bill
        self.answers: dict[str, DeferredAnswer] = {}
        self._jobs: dict[str, Job] = {}

    def create(
        self,
        identifier: str,
        owner: tuple[str, str],
        source: StoredFile,
        wire: JobWire,
        plan: JobPlan,
        *,
        model: str,
        window: float,
        facts: dict[str, Any],
        tier: str = "batch",
    ) -> Job:
        """A new job on the lines of ``source``, created now; its lines are billed to ``model`` at ``tier``."""
        job = Job(
            id=identifier,
            owner=owner,
            model=model,
            input=source,
            wire=wire,
            plan=plan,
            settings=self.settings,
            created=self.clock.now(),
            window=window,
            bill=lambda tokens: self.bill(owner[0], job.model, tokens, tier),
            has_room=lambda: self.has_room(owner, job.model, job.estimated_tokens),
            outputs=(RowFile(self.files.new_path()), RowFile(self.files.new_path())),
            facts=facts,
        )
        self._jobs[identifier] = job
        return job

    def get(self, identifier: str, owner: tuple[str, str]) -> Job | None:
        """A job of this owner as it is now; None if there is none."""
        job = self._jobs.get(identifier)
        if job is None or job.owner != owner or job.deleted:
            return None
        job.advance(self.clock.now())
        return job

    def listed(self, owner: tuple[str, str]) -> list[Job]:
        """An owner's jobs as they are now, the newest first; without those that a script hides for a while."""
        now = self.clock.now()
        mine = [job for job in self._jobs.values() if job.owner == owner and not job.deleted]
        jobs = [job for job in mine if now >= job.created + job.plan.listed_after]
        for job in jobs:
            job.advance(now)
        return jobs[::-1]

    def has_room(self, owner: tuple[str, str], model: str, tokens: int) -> bool:
        """Whether the limit of enqueued tokens leaves room for a job of so many; jobs that are not validated do not count."""
        limit = self.settings.enqueued_tokens
        if limit is None:
            return True
        working = [job for job in self._jobs.values() if job.phase in ("in_progress", "finalizing", "cancelling")]
        return sum(job.estimated_tokens for job in working if (job.owner, job.model) == (owner, model)) + tokens <= limit

    def delete(self, job: Job) -> None:
        """Hides a job from everyone; the summary still counts it."""
        job.deleted = True

    def answer(self, identifier: str, owner: tuple[str, str]) -> DeferredAnswer | None:
        """A background answer of this owner as it is now; None if there is none, or if it is gone."""
        answer, now = self.answers.get(identifier), self.clock.now()
        if answer is None or answer.owner != owner or now >= answer.gone:
            return None
        answer.advance(now)
        return None if answer.lost else answer

    def advance(self, seconds: float) -> None:
        """Skips some simulated seconds; jobs are then as they are at that time, and billed."""
        self.clock.advance(seconds)
        self.settle()

    def settle(self) -> None:
        """Answers all lines that are due by now, and bills them."""
        with self.lock:
            for job in self._jobs.values():
                job.advance(self.clock.now(), None)
            for answer in self.answers.values():
                answer.advance(self.clock.now())

    def summary(self) -> list[dict[str, Any]]:
        """Every job, in the order of creation: counts, polls, and times in simulated seconds."""
        self.settle()
        with self.lock:
            return [
                {
                    "id": job.id,
                    "provider": job.owner[0],
                    "model": job.model,
                    "state": job.phase,
                    "lines": job.total,
                    **{kind: job.counts[kind] for kind in ("succeeded", "failed", "expired", "cancelled")},
                    "polls": job.polls,
                    "seconds": round((job.ended or self.clock.now()) - job.created, 3),
                    "input_tokens": job.tokens[0],
                    "output_tokens": job.tokens[1],
                }
                for job in self._jobs.values()
            ]

    def close(self) -> None:
        """Removes all files."""
        with self.lock:
            self.files.close()
