"""The jobs of one provider in one run: those that are there are taken up again, further ones are made, all are collected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, BinaryIO

from llm_sync.errors import ClientClosedError, LLMConnectorError
from llm_sync.events import logger
from llm_sync.jobs import failures, search
from llm_sync.jobs.collecting import Collector
from llm_sync.jobs.job import COLLECTED, CREATED, CREATING, CUT, DROPPED, LOST, UPLOADED, Job, wall_clock
from llm_sync.jobs.needs import NEXT_SLICE, Call, JobSteps, Sleep
from llm_sync.jobs.ports import JobLines, JobLog, JobSettings
from llm_sync.jobs.rows import RowReader
from llm_sync.jobs.trouble import Trouble
from llm_sync.jobs.wire import BatchWire, RemoteJob
from llm_sync.models.grammar import counted
from llm_sync.runtime import clock

_GROWTH = 1.5  # each look waits so much longer than the last one
_LONGEST, _LONGEST_LATER, _LATER = 5.0, 10.0, 120.0  # polls: the longest wait; and for a job that is older than _LATER polls

_log = logger("batch")


class ProviderJobs:
    """``jobs``: those that earlier runs have left open; new ones are added. Used by one thread; ``steps`` is run once."""

    def __init__(
        self,
        provider: str,
        wire: BatchWire,
        reader: RowReader,
        lines: JobLines,
        log: JobLog,
        jobs: list[Job],
        settings: JobSettings,
    ) -> None:
        self.provider = provider
        self.jobs = jobs
        self._wire = wire
        self._lines = lines
        self._log = log
        self._settings = settings
        self._made = 0
        self._trouble = Trouble(settings.poll_every, wire.limits.requests)
        self._collector = Collector(wire, reader, lines, self._trouble, settings, self)

    def steps(self) -> JobSteps[None]:
        """Do everything. A failure of the account ends it; its jobs stay in the journal."""
        try:
            for job in list(self.jobs):
                yield from self._take_up(job)
            while True:
                yield from self._submit_all()
                if not (yield from self._go_on()):
                    return
        except ClientClosedError:
            raise
        except LLMConnectorError as error:
            self._lines.stop(str(error), error)

    def note(self, job: Job, step: str, **facts: Any) -> None:
        """Journal a step of a job; it is on the disk when this returns. Raises OSError."""
        self._log.note(job.note(step, **facts))
        self._log.sync(now=True)

    def ask(self, make: Callable[[], Any], *, most: int = 6) -> JobSteps[Any]:
        """Make a call that may be made again, up to ``most`` times. Raises its last error."""
        for number in range(most):
            try:
                return (yield Call(make))
            except LLMConnectorError as error:
                if number + 1 == most or not failures.is_passing(error):
                    raise
                pause = max(self._settings.poll_every / 30 * 2**number, error.retry_after or 0.0)
            yield Sleep(clock.now() + pause)
        raise AssertionError

    def waiting(self) -> list[Job]:
        """The jobs that are worked on."""
        return [job for job in self.jobs if job.step == CREATED]

    # Making jobs -------------------------------------------------------------------------------------------------------

    def _submit_all(self) -> JobSteps[None]:
        """Make jobs of the lines that are left, until there are none, or the provider takes no more for now."""
        while self._lines.left and not self._trouble.is_waiting(self.waiting()):
            self._made += 1
            job = Job(f"{self._settings.run}-{self._made}", self.provider, "")
            with self._settings.spool() as file:
                for _ in self._lines.cut(job, self._wire, file, self._trouble.most):
                    yield NEXT_SLICE
                if not job.requests:
                    if self._lines.left:
                        self._trouble.pause()
                    return
                self.jobs.append(job)
                yield from self._submit(job, file)

    def _submit(self, job: Job, file: BinaryIO) -> JobSteps[None]:
        wire = self._wire
        try:
            name = yield from self.ask(partial(wire.upload, job, file))
            if name:
                self.note(job, UPLOADED, file=name)
            fence = yield from self.ask(partial(search.newest, wire))
            self.note(job, CREATING, fence=fence, at=wall_clock())
            remote = yield Call(partial(wire.create, job, file), is_create=True)
        except LLMConnectorError as error:
            yield from self._not_made(job, error)
        else:
            self._adopt(job, remote, ())
            self._trouble.made()

    def _not_made(self, job: Job, error: LLMConnectorError) -> JobSteps[None]:
        """The answer to a create, or to what comes before it, was an error."""
        if isinstance(error, ClientClosedError):
            raise error  # the next run looks for the job
        if job.step == CREATING:
            meaning = failures.meaning_of_create(error, checks_lines=self._wire.create_checks_lines)
        else:
            meaning = failures.meaning_of_upload(error, checks_lines=self._wire.upload_checks_lines)
        if meaning == failures.UNKNOWN:
            _log.warning("%s: it is not known whether a job was made, so it is looked for: %s", self.provider, error)
            yield from self._find(job)
            return
        yield from self._drop(job, str(error))
        if meaning == failures.REFUSED:
            yield from self._collector.refuse(job, error)
        elif meaning == failures.STOP or not self._trouble.wait_for(error, self.waiting()):
            raise error
        else:
            pause = max(0.0, self._trouble.until - clock.now())
            _log.warning("%s: no job can be made now; the next try is in %.0f s: %s", self.provider, pause, error)

    def _drop(self, job: Job, why: str) -> JobSteps[None]:
        """The job was not made: its lines are free again, and its file is deleted."""
        self.note(job, DROPPED, why=why)
        self._lines.free(job)
        yield from self._collector.delete([job.file] if job.file else [])

    def _adopt(self, job: Job, remote: RemoteJob, others: Sequence[str]) -> None:
        self.note(job, CREATED, id=remote.id, others=others, created_at=wall_clock())
        job.next_look = clock.now() + self._settings.poll_every

    # Finding jobs ------------------------------------------------------------------------------------------------------

    def _take_up(self, job: Job) -> JobSteps[None]:
        """Go on with a job of an earlier run."""
        if job.step in (CUT, UPLOADED):
            yield from self._drop(job, "the run ended before it was made")
        elif job.step == CREATING:
            yield from self._find(job)
        elif job.step == LOST and self._settings.rebuy:
            _log.warning("%s: the lines of job %s are sent again, although it may have answered them", self.provider, job.id)
            yield from self._drop(job, "rebought")
        elif job.step == LOST:
            yield from self._find(job)
        elif job.step == COLLECTED:
            yield from self._collector.clean_up(job)

    def _find(self, job: Job) -> JobSteps[None]:
        """Look for a job that may have been made, as long as it may turn up; then its lines are free, or it is lost."""
        known = {other.remote for other in self.jobs if other is not job and other.remote}
        last = search.GRACE[-1] * self._settings.poll_every
        for grace in search.GRACE:
            due = job.at + grace * self._settings.poll_every - wall_clock()
            if due > 0:
                if not self._settings.wait:
                    return  # it stays open: the next run looks again
                yield Sleep(clock.now() + min(due, last))
            elif wall_clock() - job.at > last and grace != search.GRACE[-1]:
                continue  # one look is enough
            found = yield from self.ask(partial(search.look_through, self._wire, job, known))
            if found.jobs:
                self._adopt(job, found.jobs[0], [other.id for other in found.jobs[1:]])
                job.next_look = clock.now()
                return
            if not found.is_whole:
                self._lose(job, found.why)
                return
        yield from self._drop(job, "it was not made")

    def _lose(self, job: Job, why: str) -> None:
        if job.step != LOST:
            self.note(job, LOST, why=why)
        _log.warning(
            "%s: a job of %s may have been made, and cannot be found: %s. Only --rebuy (rebuy=True) sends its lines again",
            self.provider,
            counted(job.requests, "request"),
            why,
        )

    # Waiting for jobs --------------------------------------------------------------------------------------------------

    def _go_on(self) -> JobSteps[bool]:
        """Look at the next job that is due. Returns whether there is more to do."""
        waiting = self.waiting()
        if not self._settings.wait:
            waiting = [job for job in waiting if not job.looks and job.next_look <= clock.now()]
        if not waiting:
            if self._lines.left and self._settings.wait:
                yield Sleep(self._trouble.until)
                return True
            return False
        job = min(waiting, key=lambda each: each.next_look)
        if job.next_look > clock.now():
            if self._lines.left and clock.now() < self._trouble.until < job.next_look:
                yield Sleep(self._trouble.until)
                return True
            yield Sleep(job.next_look)
        yield from self._look(job)
        return True

    def _look(self, job: Job) -> JobSteps[None]:
        """See how far a job has come, and collect it when it has ended."""
        job.looks += 1
        job.next_look = clock.now() + self._pause(job)
        try:
            remote = yield Call(partial(self._wire.look, job.remote))
        except LLMConnectorError as error:
            if failures.is_passing(error):
                job.next_look = max(job.next_look, clock.now() + (error.retry_after or 0.0))
                return
            if failures.is_gone(error):
                error.guidance = (
                    f"Job {job.remote} was made with another key, project or address, or its provider has deleted it. Nothing "
                    "was sent again. Use that key, or give its lines up with --rebuy (rebuy=True)."
                )
                if self._settings.rebuy:
                    yield from self._drop(job, "rebought")
                    return
            raise
        job.word, job.done = remote.word, remote.done
        if remote.ended:
            yield from self._collector.collect(job, remote)
        else:
            job.next_look = max(job.next_look, clock.now() + (remote.retry_after or 0.0))

    def _pause(self, job: Job) -> float:
        every = self._settings.poll_every
        longest = _LONGEST_LATER if wall_clock() - job.created_at > _LATER * every else _LONGEST
        return every * min(_GROWTH ** min(job.looks - 1, 20), longest)
