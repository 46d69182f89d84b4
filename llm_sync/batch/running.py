"""One batch from its input to its ordered output."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from llm_sync.batch import outcomes, refusals
from llm_sync.batch.earlier import Earlier, Records
from llm_sync.batch.finishing import finish
from llm_sync.batch.journal import Journal
from llm_sync.batch.lanes import Lanes
from llm_sync.batch.outcomes import Head
from llm_sync.batch.plan import BadLine, Plan, Planner
from llm_sync.batch.questions import Questions
from llm_sync.batch.routes import Routes
from llm_sync.batch.selection import Selection
from llm_sync.batch.slots import IN_JOURNAL, Entry, Slots
from llm_sync.batch.source import Input, open_source
from llm_sync.batch.summary import Snapshot, Summary
from llm_sync.batch.work import DAY_S, Options, Work
from llm_sync.client import LLMClient
from llm_sync.errors import InvalidRequestError
from llm_sync.events import logger
from llm_sync.routing import route

_MOST_LISTED = 1000  # possibly billed requests that the summary names

_log = logger("batch")

Progress = Callable[[Snapshot], object]


def run(
    requests: Input,
    output: str | os.PathLike[str],
    client: LLMClient,
    *,
    models: Sequence[str] = (),
    fields: Mapping[str, Any] | None = None,
    text: bool = False,
    template: str | None = None,
    delimiter: str = ",",
    limit: int | None = None,
    shard: tuple[int, int] | None = None,
    restart: bool = False,
    skip_bad_lines: bool = False,
    retry_failed: bool = False,
    retry_timeouts: bool | None = None,
    allow_changed_settings: bool = False,
    timeout: float | None = None,
    deadline: float | None = None,
    max_retries: int | None = None,
    max_cool_down: float = DAY_S,
    give_up_after: int = 10,
    progress: Progress | None = None,
) -> Summary:
    """Ask every request of an input; write the outcomes, in its order, to ``output``.

    TO BE WRITTEN
    """
    options = Options(
        models=tuple(models),
        fields=dict(fields or {}),
        text=text,
        template=template,
        delimiter=delimiter,
        limit=limit,
        shard=shard,
        restart=restart,
        skip_bad_lines=skip_bad_lines,
        retry_failed=retry_failed,
        retry_timeouts=retry_timeouts,
        allow_changed_settings=allow_changed_settings,
        timeout=timeout,
        deadline=deadline,
        max_retries=max_retries,
        max_cool_down=max_cool_down,
        give_up_after=give_up_after,
    )
    path = checked_output(output, requests)
    with _journal(f"{path}.part", restart) as journal:
        return _Run(options, client, path, journal, progress).go(requests)


class _Run:
    """One run on an output whose journal it holds."""

    def __init__(self, options: Options, client: LLMClient, output: str, journal: Journal, progress: Progress | None) -> None:
        self._options = options
        self._client = client
        self._output = output
        self._journal = journal
        self._progress = progress
        self._began = time.monotonic()

    def go(self, requests: Input) -> Summary:
        """Plan, send, finish."""
        with opened(self._options, self._client, requests, self._output) as work:
            earlier = read_earlier(work, self._output)
            bad = BadLines(work, self._journal)
            plan = Planner(work, earlier, work.check, bad.add).make()
            bad.refuse()
            refuse(work, plan, earlier)
            lanes = Lanes(work, self._journal, plan, earlier.unsure, self._progress)
            try:
                if plan.to_send.total():
                    self._send(work, lanes)
                complete = not any(lane.held for lane in lanes.lanes.values())
                if complete and (self._journal.holds_lines or plan.moved or plan.replaced or not os.path.exists(self._output)):
                    self._finish(work, plan)
            except OSError as error:
                raise self._rescued(error) from error
            finally:
                if self._journal.unwritten:
                    _log.error("%s", self._rescued(self._journal.failure or OSError()))
            return _summary(self._output, plan, earlier, lanes, complete, bad.count, time.monotonic() - self._began)

    def _send(self, work: Work, lanes: Lanes) -> None:
        at = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._journal.note({"run": {"at": at, "lines": work.lines}})
        for name, settings in work.settings().items():
            self._journal.note({"settings": name, "of": settings})
        lanes.run()

    def _finish(self, work: Work, plan: Plan) -> None:
        self._journal.sync(now=True)
        finish(work, self._output, plan.replaced, moved=bool(plan.moved))
        self._journal.remove()

    def _rescued(self, error: OSError) -> Exception:
        """What to raise when something cannot be written: first, no answer is lost."""
        if not self._journal.is_at_its_path():
            return refusals.lost(self._journal.path, self._journal.rescue())
        if self._journal.failure is None:
            return refusals.unfinished(self._output, error)
        rescued = None if self._journal.write_again() else self._journal.rescue()
        return refusals.unwritable(self._journal.path, self._journal.failure, rescued)


class BadLines:
    """The lines that cannot be sent: told, and failures each where they may be skipped (then there is a journal)."""

    def __init__(self, work: Work, journal: Journal | None) -> None:
        self._work = work
        self._journal = journal
        self._first: list[BadLine] = []
        self._last = 0
        self.count = 0

    def add(self, line: BadLine) -> tuple[Head, Entry] | None:
        """Take in one; its outcome, where it gets one."""
        if line.number != self._last:  # each once, however many models are asked
            self._last = line.number
            self.count += 1
            if self.count <= refusals.MOST_TOLD:
                self._first.append(line)
        if not self._work.options.skip_bad_lines:
            return None
        _log.warning("line %d of %s is skipped: %s", line.number, self._work.source.name, line.error)
        models = self._work.selection.models
        place = (None, None) if models is None else models[line.slot % len(models)]
        asked = self._work.asked(line.slot, line.line, place, id=line.id)
        told = outcomes.head(asked, line.error)
        where = 0
        if self._journal is not None:
            where = self._journal.add(outcomes.journal_line(told, outcomes.record_of(asked, line.error, told)))
            if where < 0:
                raise self._journal.failure or OSError()
        return told, Entry(IN_JOURNAL, self._work.routes.number(*place), where)

    def refuse(self) -> None:
        """Raise InvalidRequestError where there are any, unless they may be skipped."""
        if self.count and not self._work.options.skip_bad_lines:
            raise refusals.bad_lines(self._first, self.count, self._work.source.name)


def refuse(work: Work, plan: Plan, earlier: Earlier) -> None:
    """Raise what keeps a run from sending anything."""
    stray = refusals.strays(earlier.elsewhere, plan)
    if stray is not None:
        raise stray
    if not work.options.allow_changed_settings:
        changed = refusals.changed_settings(plan, earlier.settings, work.settings())
        if changed is not None:
            raise changed
    work.client.check_providers(name for name, count in plan.to_send.items() if count)


def checked_output(output: str | os.PathLike[str], requests: Input) -> str:
    """The path of an output, links followed. Raises InvalidRequestError for one that cannot be, OSError for a missing folder."""
    path = os.path.realpath(output)
    if not os.fspath(output) or os.path.basename(os.fspath(output)) == "":
        raise InvalidRequestError(f"the output {os.fspath(output)!r} is no name", guidance="Name a file.")
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InvalidRequestError(
                f"the output {path!r} is no ordinary file", guidance="Name a file: it is replaced at the end."
            )
        if isinstance(requests, (str, os.PathLike)) and os.fspath(requests) != "-" and os.path.samefile(requests, path):
            raise InvalidRequestError(f"the output {path!r} is the input, too", guidance="Name another file.")
    os.stat(os.path.dirname(path))
    return path


@contextlib.contextmanager
def _journal(part: str, restart: bool) -> Iterator[Journal]:
    """The journal, held; one that holds nothing is gone at the end."""
    journal = Journal(part)
    try:
        if restart and journal.holds_lines:
            os.replace(part, f"{part}.old")
            journal.close()
            journal = Journal(part)
        yield journal
    finally:
        if not journal.holds_lines and journal.is_at_its_path():
            journal.remove()
        journal.close()


@contextlib.contextmanager
def opened(options: Options, client: LLMClient, requests: Input, output: str) -> Iterator[Work]:
    """The parts of a run. Raises OSError and InvalidRequestError for an input that cannot be read."""
    folder = os.path.dirname(output)
    models = tuple(route(client.config, model) for model in options.models) or None
    if models is not None and len(set(models)) < len(models):
        raise InvalidRequestError("a model is named twice", guidance="Name each once; each gets every line.")
    selection = Selection.of(options.shard, options.limit, models)
    form = options.form()
    questions = Questions(client.config, options.fields)
    with contextlib.ExitStack() as ending:
        source = ending.enter_context(contextlib.closing(open_source(requests, folder)))
        form.begin(source)
        slots = ending.enter_context(contextlib.closing(Slots(folder)))
        finished = output if not options.restart else None
        records = ending.enter_context(contextlib.closing(Records(finished, f"{output}.part", folder)))
        yield Work(options, client, source, form, questions, selection, slots, Routes(), records)


def read_earlier(work: Work, output: str) -> Earlier:
    """What earlier runs left. Raises OSError, LLMConnectorError."""
    earlier = Earlier(work.selection, work.slots, work.routes, work.records)
    earlier.read_output(output)
    if os.path.exists(f"{output}.part"):
        earlier.read_journal(f"{output}.part")
    return earlier


def _summary(output: str, plan: Plan, earlier: Earlier, lanes: Lanes, complete: bool, skipped: int, seconds: float) -> Summary:
    snapshot = lanes.snapshot()
    unsure = Counter({key: count for key, count in earlier.unsure.items() if count > 0})
    return Summary(
        output=output,
        requests=plan.requests,
        sent=sum(lane.sent for lane in lanes.lanes.values()),
        earlier=sum(tally.answered for tally in plan.kept.values()),
        again=plan.again,
        changed=plan.changed,
        moved=plan.moved,
        replaced=len(plan.replaced),
        skipped=skipped,
        tally=snapshot.tally,
        retries=sum(lane.retries for lane in lanes.lanes.values()),
        seconds=seconds,
        lanes={lane.provider: lane for lane in snapshot.lanes},
        complete=complete,
        possibly_billed=tuple(list(unsure.items())[:_MOST_LISTED]),
        unsure=unsure.total(),
        held={lane.provider: lane.held for lane in lanes.lanes.values() if lane.held},
    )
