"""The jobs of one run at all providers: earlier ones are taken up, lines that go by jobs are sent, and all are collected."""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from llm_sync.batch.context import BatchContext
from llm_sync.batch.job_lines import ProviderLines
from llm_sync.batch.job_members import JobMembers
from llm_sync.batch.plan import Plan
from llm_sync.batch.sender import Sender
from llm_sync.batch.state.job_notes import JobNotes
from llm_sync.batch.state.journal import Journal
from llm_sync.batch.summary import JobView
from llm_sync.config.ways import is_own_choice
from llm_sync.dispatch.shutdown import GRACE_S
from llm_sync.events import logger
from llm_sync.jobs.choice import batch_wire
from llm_sync.jobs.door import JobDoor
from llm_sync.jobs.driver import StepsInTurn
from llm_sync.jobs.job import COLLECTED, CREATED, CREATING, CUT, LOST, UPLOADED, Job, new_run
from llm_sync.jobs.ports import JobSettings
from llm_sync.jobs.provider_jobs import ProviderJobs
from llm_sync.jobs.rows import RowReader
from llm_sync.models.route import Route
from llm_sync.providers.batch_rows import row_reader
from llm_sync.runtime.cancellation import CallControl

if TYPE_CHECKING:
    from llm_sync.batch.lane import Lane

_TO_TAKE_UP = (CUT, UPLOADED, CREATING, CREATED, LOST, COLLECTED)

_log = logger("batch")


class JobDesk:
    """The thread that runs the batch calls ``go_on`` again and again; calls to providers have threads of their own."""

    def __init__(self, context: BatchContext, journal: Journal, plan: Plan, notes: JobNotes | None, folder: str) -> None:
        self._context = context
        self._journal = journal
        self._plan = plan
        self._folder = folder
        self._members = JobMembers(context, folder)
        self._flows: dict[str, tuple[ProviderJobs, StepsInTurn]] = {}
        self._earlier = [job for job in (notes.jobs.values() if notes is not None else ()) if job.step in _TO_TAKE_UP]
        self._sender: Sender | None = None
        if notes is not None:
            self._members.find(notes, self._earlier)
            self._find_charges(notes)
            notes.close()
        self._note_settings()

    def _find_charges(self, notes: JobNotes) -> None:
        """What earlier runs have reserved for jobs is settled by this one."""
        spending = self._context.client.dispatcher.spending
        for job in self._earlier if spending is not None else ():
            for number, entry in notes.charges.get(job.id, {}).items():
                job.charges[number] = spending.reserved_earlier(entry, job.provider, job.model)  # type: ignore[union-attr]

    def _note_settings(self) -> None:
        """Answers of open jobs count as given under the settings of their jobs."""
        for job in self._earlier:
            self._plan.kept[job.provider]  # a provider that has jobs takes part in the run
            target = Route(job.provider, job.model)
            if job.is_open and job.settings and not self._context.are_current(job.settings, target):
                self._plan.stray_settings[job.settings, target] += job.requests

    @property
    def elsewhere(self) -> int:
        """How many requests of open jobs are not part of this run."""
        return self._members.elsewhere

    def open(self, sender: Sender, lanes: dict[str, Lane]) -> None:
        """Begin with every provider that has jobs, or lines that go by them. Raises what is wrong with a provider."""
        self._sender = sender
        for provider, lane in lanes.items():
            jobs = [job for job in self._earlier if job.provider == provider]
            entries = self._context.index.to_send(self._context.routes.of(provider), by_job=True)
            if jobs or next(entries, None) is not None:
                self._begin(provider, lane, jobs, sender)

    def _begin(self, provider: str, lane: Lane, jobs: list[Job], sender: Sender) -> None:
        context, options = self._context, self._context.options
        endpoint = context.client.dispatcher.endpoint(provider)
        models = [str(context.routes.named(route)[1]) for route in context.routes.of(provider)]
        own = any(is_own_choice(context.client.config, provider, model) for model in models)
        kind = batch_wire(endpoint.provider.dialect, asked_for=own or bool(jobs))
        if kind is None:
            return
        control = CallControl()
        settings = JobSettings(
            run=new_run(),
            poll_every=options.poll_every,
            wait=not options.no_wait,
            rebuy=options.rebuy,
            keep_files=options.keep_files,
            spool=self._spool,
        )
        reader = RowReader(endpoint.provider, row_reader(endpoint.provider.reader))
        lines = ProviderLines(context, sender, self._members, self._plan, lane)
        wire = kind(JobDoor(endpoint.provider, endpoint.http, control))
        lane.began = time.monotonic()
        flow = ProviderJobs(provider, wire, reader, lines, self._journal, jobs, settings)
        self._flows[provider] = flow, StepsInTurn(flow.steps(), control, sender.wake)

    @contextlib.contextmanager
    def _spool(self) -> Iterator[BinaryIO]:
        with tempfile.TemporaryFile(dir=self._folder) as file:
            spool: Any = file
            yield spool

    @property
    def is_busy(self) -> bool:
        """Whether there is anything more to do for jobs."""
        ended = self._sender is not None and not self._sender.ended.empty()
        return ended or any(not steps.is_over for _, steps in self._flows.values())

    def go_on(self) -> float:
        """Go on with all providers for a short time. Returns in how many seconds there is more to do."""
        return min((steps.go_on() for _, steps in self._flows.values()), default=math.inf)

    def stop(self) -> None:
        """Make no more calls. What a job's maker was told is noted first."""
        for _, steps in self._flows.values():
            steps.stop(GRACE_S)

    def close(self) -> None:
        """Close the temporary files, and give back what is reserved for jobs that were not made. What is reserved for open jobs
        counts as spent until a later run knows what they cost."""
        self._members.close()
        for flow, _ in self._flows.values():
            for job in flow.jobs:
                for charge in job.charges.values() if not job.is_open else ():
                    charge.release()

    def views(self) -> tuple[JobView, ...]:
        """The jobs that are open."""
        made = [job for flow, _ in self._flows.values() for job in flow.jobs]
        left = [job for job in self._earlier if job.provider not in self._flows]
        return tuple(view_of(job) for job in (*made, *left) if job.is_open)


def view_of(job: Job) -> JobView:
    """A job as others see it."""
    lost = job.why if job.step == LOST else ""
    return JobView(job.id, job.provider, job.model, job.remote, job.requests, job.done, job.word or job.step, lost)
