"""Collects the rows of jobs that have ended, says what became of requests without one, and tidies up at the provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, BinaryIO, Protocol

from llm_sync.errors import LLMConnectorError, ProviderUnavailableError
from llm_sync.events import logger
from llm_sync.jobs import failures
from llm_sync.jobs.job import CLEANED, COLLECTED, CREATED, DROPPED, LOST, Job, wall_clock
from llm_sync.jobs.needs import NEXT_SLICE, Call, JobSteps
from llm_sync.jobs.ports import JobLines, JobSettings
from llm_sync.jobs.rows import RowReader
from llm_sync.jobs.trouble import Trouble
from llm_sync.jobs.wire import BatchWire, Failure, RemoteJob, Row
from llm_sync.models.grammar import counted

_SLICE = 50  # rows that are read at once, before others have their turn

_log = logger("batch")


class Flow(Protocol):
    """What a collector needs of the jobs around it."""

    def note(self, job: Job, step: str, **facts: Any) -> None:
        """Journal a step of a job."""

    def ask(self, make: Callable[[], Any]) -> JobSteps[Any]:
        """Make a call that may be made again."""

    def waiting(self) -> list[Job]:
        """The jobs that are worked on."""


class Collector:
    """Rows are matched by their ids alone: neither
    their order nor a counter of the provider matters, and of two rows of one id the first counts."""

    def __init__(
        self,
        wire: BatchWire,
        reader: RowReader,
        lines: JobLines,
        trouble: Trouble,
        settings: JobSettings,
        flow: Flow,
    ) -> None:
        self._wire = wire
        self._reader = reader
        self._lines = lines
        self._trouble = trouble
        self._settings = settings
        self._flow = flow

    def collect(self, job: Job, remote: RemoteJob) -> JobSteps[None]:
        """Record the rows of a job that has ended, whatever its end; then its other requests, and delete what it leaves."""
        seen = bytearray(job.requests)
        with self._settings.spool() as file:
            try:
                yield from self._flow.ask(partial(self._fetch, remote, file))
            except LLMConnectorError as error:
                if not failures.is_gone(error):
                    raise
                self._flow.note(job, LOST, why=f"its results are gone: {error.message}")
                return
            foreign, unreadable = yield from self._record_rows(job, file, seen)
        if foreign and not any(seen):
            yield from self._try_next(job)
            return
        if remote.failure is not None:
            yield from self._failed(job, remote.failure, seen)
        else:
            self._trouble.worked(job)
            yield from self._record_missing(job, "" if unreadable else remote.end, seen)
        self._flow.note(job, COLLECTED)
        self._lines.free(job)
        yield from self.clean_up(job, remote)

    def _fetch(self, remote: RemoteJob, file: BinaryIO) -> None:
        file.seek(0)
        file.truncate()
        self._wire.fetch(remote, file)

    def _record_rows(self, job: Job, file: BinaryIO, seen: bytearray) -> JobSteps[tuple[int, int]]:
        """Record all rows. Returns how many belong to another job, and how many cannot be read."""
        foreign = unreadable = 0
        seconds = max(0.0, wall_clock() - job.created_at)
        file.seek(0)
        for number, line in enumerate(file):  # ends at \n alone: other line ends may stand in a text
            if number % _SLICE == 0:
                yield NEXT_SLICE
            try:
                row = self._wire.row(line) if line.strip() else None
            except (ValueError, RecursionError):
                unreadable += 1
                continue
            if row is None:
                continue
            place = job.number(row.custom_id)
            if place is None:
                foreign += 1
            elif not seen[place]:
                seen[place] = 1
                self._record(job, place, row, seconds)
        if unreadable or (foreign and any(seen)):
            _log.warning(
                "%s: of the rows of job %s, %d cannot be read and %d are none of its own",
                job.provider,
                job.remote,
                unreadable,
                foreign,
            )
        return foreign, unreadable

    def _record(self, job: Job, place: int, row: Row, seconds: float) -> None:
        prepared = self._lines.prepared(job, place)
        if prepared is not None:
            self._lines.record(job, place, self._reader.outcome(prepared, row, seconds))

    def _try_next(self, job: Job) -> JobSteps[None]:
        """It was another job, not this one: look at the next that may be it."""
        if job.others:
            self._flow.note(job, CREATED, id=job.others[0], others=job.others[1:])
            job.looks, job.next_look = 0, 0.0
            return
        self._flow.note(job, DROPPED, why="it was not made")
        self._lines.free(job)
        yield NEXT_SLICE

    def _record_missing(self, job: Job, end: str, seen: bytearray) -> JobSteps[None]:
        """Requests without a row have failed. Those of a job that ended early (``end``) were not worked on, and may be sent
        again; of any other job, and where a row cannot be read, they may have been billed."""
        yield from self._record_others(job, seen, lambda prepared: self._reader.not_run(prepared, end))

    def _record_others(self, job: Job, seen: bytearray, error: Callable[[Any], LLMConnectorError]) -> JobSteps[None]:
        for number, place in enumerate(_places(seen)):
            if number % _SLICE == 0:
                yield NEXT_SLICE
            prepared = self._lines.prepared(job, place)
            if prepared is not None:
                self._lines.record(job, place, error(prepared))

    # Jobs that are refused as a whole ----------------------------------------------------------------------------------

    def _failed(self, job: Job, failure: Failure, seen: bytearray) -> JobSteps[None]:
        """The provider has refused the job after it was made; nothing was run."""
        if failure.full:
            _log.warning("%s: too much waits there for another job: %s", job.provider, failure.message)
            self._trouble.is_full(job, self._flow.waiting())
            return
        named = None if failure.line is None else failure.line - 1
        is_named = named is not None and named < job.requests and not seen[named]
        place = named if is_named and named is not None else next(_places(seen), None)
        prepared = None if place is None else self._lines.prepared(job, place)
        if place is None or prepared is None:
            return
        outcome = self._reader.outcome(prepared, _refusing(job, place, failure), 0.0)
        error = outcome if isinstance(outcome, LLMConnectorError) else ProviderUnavailableError(failure.message, retryable=True)
        if is_named and failures.blames_lines(error):
            self._lines.record(job, place, error)  # the others are sent in another job
        else:
            yield from self._refused(job, error, seen)

    def refuse(self, job: Job, error: LLMConnectorError) -> JobSteps[None]:
        """The provider has refused to make a job, because of what is in it."""
        yield from self._refused(job, error, bytearray(job.requests))

    def _refused(self, job: Job, error: LLMConnectorError, seen: bytearray) -> JobSteps[None]:
        """If a line is at fault, the halves of the job tell which; else all of its requests have failed."""
        if failures.blames_lines(error) and self._trouble.may_halve(job):
            requests = counted(job.requests, "request")
            _log.warning("%s: a job of %s was refused, so its halves are sent: %s", job.provider, requests, error)
            return
        yield from self._record_others(job, seen, lambda _: error)

    # Tidying up --------------------------------------------------------------------------------------------------------

    def clean_up(self, job: Job, remote: RemoteJob | None = None) -> JobSteps[None]:
        """Delete what a collected job has left at the provider."""
        if self._settings.keep_files:
            return
        if remote is None:
            try:
                remote = yield Call(partial(self._wire.look, job.remote))
            except LLMConnectorError as error:
                _log.info("%s: what job %s has left is not deleted: %s", job.provider, job.remote, error)
                return
        things = dict.fromkeys((*remote.left, *([job.file] if job.file else [])))
        yield from self.delete(list(things))
        self._flow.note(job, CLEANED)

    def delete(self, things: Sequence[str]) -> JobSteps[None]:
        """Delete files and the like. What cannot be deleted stays: a notice says so."""
        for thing in things if not self._settings.keep_files else ():
            try:
                yield Call(partial(self._wire.delete, thing))
            except LLMConnectorError as error:  # noqa: PERF203
                if not failures.is_gone(error):
                    _log.info("%s: %s is not deleted: %s", self._wire.door.provider.name, thing, error)


def _places(seen: bytearray) -> Iterator[int]:
    """The numbers of the requests that were not seen."""
    return (place for place, is_seen in enumerate(seen) if not is_seen)


def _refusing(job: Job, place: int, failure: Failure) -> Row:
    """A failure of a whole job as the row of one of its requests."""
    error = {"message": failure.message, "code": failure.code, "type": "invalid_request_error", "param": None}
    return Row(job.custom_id(place), 400, {"error": error})
