"""Runs one batch, from its input to its ordered output."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from llm_sync.batch import errors as batch_errors
from llm_sync.batch.context import BatchContext
from llm_sync.batch.engine_run import collect, engine_run, running
from llm_sync.batch.failed_list import checked_failed_list, write_failed_list
from llm_sync.batch.input.source import Input
from llm_sync.batch.line_details import line_names
from llm_sync.batch.line_templates import LineTemplates
from llm_sync.batch.options import DAY_S, POLL_EVERY_S, Options
from llm_sync.batch.output import finish
from llm_sync.batch.plan import Plan
from llm_sync.batch.planner import Planner
from llm_sync.batch.repeats import find_repeats
from llm_sync.batch.safekeeping import Safekeeping
from llm_sync.batch.scheduler import Scheduler
from llm_sync.batch.setup import BadLines, checked_background, checked_output, opened, read_previous, refuse
from llm_sync.batch.state.finished_output import OutputChecksum
from llm_sync.batch.state.journal import Journal
from llm_sync.batch.state.journal_opening import opened_journal
from llm_sync.batch.state.previous_runs import PreviousRuns
from llm_sync.batch.summary import Snapshot, Summary
from llm_sync.client.client import LLMClient
from llm_sync.errors import LLMConnectorError
from llm_sync.events import logger
from llm_sync.models.grammar import counted

if TYPE_CHECKING:
    from llm_sync.batch.job_desk import JobDesk

_MAX_LISTED = 1000  # possibly billed requests that the summary names

_log = logger("batch")

Progress = Callable[[Snapshot], object]


def _options(given: Mapping[str, Any]) -> Options:
    """The options among the arguments of ``run``, as values that nobody else holds."""
    own: dict[str, Any] = {name: tuple(given[name]) for name in ("models", "allow_files", "skip_blank")}
    own["keep"] = given["keep"] if isinstance(given["keep"], str) else tuple(given["keep"])
    own["fields"] = dict(given["fields"] or {})
    return Options(**{field.name: {**given, **own}[field.name] for field in dataclasses.fields(Options)})


def run(
    requests: Input,
    output: str | os.PathLike[str],
    client: LLMClient,
    *,
    models: Sequence[str] = (),
    fields: Mapping[str, Any] | None = None,
    text: bool = False,
    template: str | None = None,
    delimiter: str | None = None,
    id_column: str | None = None,
    skip_blank: Sequence[str] = (),
    limit: int | None = None,
    shard: tuple[int, int] | None = None,
    add_model: bool = False,
    restart: bool = False,
    skip_bad_lines: bool = False,
    retry_failed: bool = False,
    retry_timeouts: bool | None = None,
    retry_truncated: bool = False,
    allow_changed_settings: bool = False,
    timeout: float | None = None,
    deadline: float | None = None,
    max_retries: int | None = None,
    max_cool_down: float = DAY_S,
    give_up_after: int = 10,
    fail_fast: bool = False,
    strict_route: bool = False,
    allow_files: Sequence[str | os.PathLike[str]] = (),
    keep: Sequence[str] = (),
    keep_all: bool = False,
    dedupe: bool = False,
    failed: str | os.PathLike[str] | None = None,
    via: str | None = None,
    no_wait: bool = False,
    rebuy: bool = False,
    keep_files: bool = False,
    poll_every: float = POLL_EVERY_S,
    progress: Progress | None = None,
    on: Any = None,
) -> Summary:
    """Send every request of an input, to all providers at once, and write the outcomes in the input's order to ``output``.

    ``requests``: a path (gzip if it ends in .gz; "-": standard input), an open file, or an iterable of ModelRequests, mappings
    of their fields, or prompts. The lines of a file are JSON objects of those fields, or OpenAI batch requests (then the output
    has the form of OpenAI's results); ``text`` and ``template`` are for other files. ``output``: a path (gzip if .gz).

    While the batch runs, ``output``.part is its journal, and a second run on this output is refused. After a kill or a stop, the
    same call resumes it: answered requests are not sent again. The output is written when every request has an outcome.
    The options: ``help(llm_sync.batch.Options)``. ``progress``: called with a Snapshot, in the calling thread. ``on``: where the
    requests are made: "processes:N", "dask", "dask:ADDRESS" or an Executor (docs/scale.md); None: in this process.
    Other threads may use the client meanwhile; it is not closed. Ctrl-C (or any exception in the calling thread) stops sending,
    gives requests in flight 5 s, and is raised; the journal has every answer. Raises InvalidRequestError for a bad input, line
    or option, and if previous answers would be lost; ConfigurationError for changed settings; AuthenticationError for a missing
    key; LLMConnectorError if another process owns the journal; OSError for bad files.
    """
    options = _options(locals())
    path = checked_output(output, requests)
    with opened_journal(f"{path}.part", restart=restart, refuse=None if rebuy else _refuse_open_jobs) as journal:
        return _Run(options, client, path, os.fspath(output), journal, progress, on).go(requests)


class _Run:
    """One run on an output whose journal it owns."""

    def __init__(
        self,
        options: Options,
        client: LLMClient,
        output: str,
        name: str,
        journal: Journal,
        progress: Progress | None,
        on: Any,
    ) -> None:
        self._options = options
        self._client = client
        self._output = output
        self._name = name
        self._journal = journal
        self._progress = progress
        self._engine = engine_run(on, client, journal)
        self._safekeeping = Safekeeping(output, journal)
        self._began = time.monotonic()

    def go(self, requests: Input) -> Summary:
        """Plan, send, and write the output."""
        collect(self._journal, self._engine, self._output)
        failed = None if self._options.failed is None else checked_failed_list(self._options.failed, self._output)
        with (
            opened(self._options, self._client, requests, self._output, self._journal.store) as context,
            contextlib.ExitStack() as files,
        ):
            previous = read_previous(context, self._output)
            bad = BadLines(context, self._journal)
            plan = Planner(context, previous, context.check, bad.add, templates=LineTemplates(context)).make()
            bad.refuse(plan)
            context.report_ways()
            desk = self._opened_desk(context, plan, previous, files)
            refuse(context, plan, previous, self._output, check_providers=self._engine is None)
            context.background = checked_background(previous.background, by_jobs=context.job_ways is not None)
            repeats = find_repeats(context, plan, os.path.dirname(self._output))
            if plan.renamed:
                _log.info(
                    "%s; the run's models are asked instead",
                    counted(plan.renamed, "line names a model of its own", "lines name models of their own"),
                )
            scheduler = Scheduler(context, self._journal, plan, self._progress, desk)
            with repeats, self._safekeeping.losing_nothing(context, plan):
                if plan.to_send.total() or desk is not None:
                    self._send(context, scheduler)
                complete = not any(lane.left for lane in scheduler.lanes.values()) and not (desk is not None and desk.views())
                is_new = plan.moved or plan.replaced or plan.edited or context.kept_fields or not os.path.exists(self._output)
                if complete and (is_new or not self._journal.is_empty()):
                    self._finish(context, plan, scheduler)
            if failed is not None:
                write_failed_list(context, failed)
            summary = _summary(self._name, plan, scheduler, complete, bad.count, time.monotonic() - self._began)
            return dataclasses.replace(summary, line_names=line_names(context, summary.positions()))

    def _opened_desk(
        self, context: BatchContext, plan: Plan, previous: PreviousRuns, files: contextlib.ExitStack
    ) -> JobDesk | None:
        """What has to do with the providers' Batch APIs; None if nothing has."""
        if previous.jobs is None and context.job_ways is None:
            return None
        from llm_sync.batch.job_desk import JobDesk

        desk = JobDesk(context, self._journal, plan, previous.jobs, os.path.dirname(self._output))
        files.callback(desk.close)
        previous.elsewhere += desk.elsewhere
        return desk

    def _send(self, context: BatchContext, scheduler: Scheduler) -> None:
        at = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with running(self._engine, context, context.unstored, self._output):
            self._journal.note({"run": {"at": at, "lines": context.lines, "anew": self._options.restart}})
            for name, settings in context.settings().items():
                self._journal.note({"settings": name, "of": settings})
            scheduler.run()

    def _finish(self, context: BatchContext, plan: Plan, scheduler: Scheduler) -> None:
        """Write the output, and remove the journal if the output has everything in it."""
        changed = True
        while changed:  # an answer that came meanwhile replaces a failure
            scheduler.take_late_records()
            scheduler.late.refuse(self._journal.path)
            self._journal.sync(now=True)
            if not context.finished.may_be_replaced():
                raise batch_errors.changed_output(self._output)
            finish(context, self._output, plan.replaced, self._note_finished, moved=bool(plan.moved))
            context.finished.note_state()
            changed = scheduler.take_late_records()
        try:
            scheduler.late.refuse(self._journal.path)
        except LLMConnectorError:
            self._journal.note({"reopened": True})  # the next run reads what was added before the output was finished
            raise
        self._journal.remove()
        self._safekeeping.is_over = True

    def _note_finished(self, checksum: OutputChecksum) -> None:
        """Note that the output is written and is about to replace the previous one."""
        self._journal.note({"finished": checksum})
        self._journal.sync(now=True)


def _refuse_open_jobs(part: str) -> None:
    """Raise an error if a restart would forget jobs of the providers' Batch APIs."""
    from llm_sync.batch.state.job_notes import jobs_of

    open_jobs = sum(job.is_open for job in jobs_of(part))
    if open_jobs:
        raise batch_errors.forgotten_jobs(part, open_jobs)


def _summary(output: str, plan: Plan, scheduler: Scheduler, complete: bool, skipped: int, seconds: float) -> Summary:
    snapshot = scheduler.snapshot()
    return Summary(
        output=output,
        requests=plan.requests,
        sent=sum(lane.sent for lane in scheduler.lanes.values()),
        earlier=sum(tally.answered for tally in plan.kept.values()),
        again=plan.again,
        changed=plan.changed,
        moved=plan.moved,
        replaced=len(plan.replaced),
        skipped=skipped,
        tally=snapshot.tally,
        retries=sum(lane.retries for lane in scheduler.lanes.values()),
        seconds=seconds,
        lanes={lane.provider: lane for lane in snapshot.lanes},
        complete=complete,
        possibly_billed=tuple(itertools.islice(((key, count) for key, count in plan.unsure.items() if count), _MAX_LISTED)),
        unsure=plan.unsure.total() + plan.gone,
        unsure_gone=plan.gone,
        held={lane.provider: lane.why_left for lane in scheduler.lanes.values() if lane.left and lane.why_left},
        held_by={lane.provider: lane.paused_by for lane in scheduler.lanes.values() if lane.left and lane.paused_by},
        reasons={lane.provider: dict(lane.reasons) for lane in scheduler.lanes.values() if lane.reasons},
        cached=sum(lane.cached for lane in scheduler.lanes.values()),
        repeated=sum(lane.repeated for lane in scheduler.lanes.values()),
        saved=sum(lane.saved for lane in scheduler.lanes.values()),
        first_failed={lane.provider: dict(lane.first_failed) for lane in scheduler.lanes.values() if lane.first_failed},
        jobs=snapshot.jobs,
    )
