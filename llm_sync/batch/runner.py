"""One batch from its input to its ordered output."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from llm_sync.batch import errors as batch_errors
from llm_sync.batch.context import DAY_S, Options, Work
from llm_sync.batch.input.source import Input
from llm_sync.batch.output import finish
from llm_sync.batch.plan import Plan, Planner
from llm_sync.batch.scheduler import Lanes
from llm_sync.batch.setup import BadLines, checked_output, opened, read_earlier, refuse
from llm_sync.batch.state.journal import Journal, Sum
from llm_sync.batch.summary import Snapshot, Summary
from llm_sync.client.client import LLMClient
from llm_sync.events import logger

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
    fail_fast: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Ask every request of an input, all providers at once, and write the outcomes in the input's order to ``output``.

    ``requests``: a path (gzip by its name; "-" is standard input), an open file, or an iterable of ModelRequests, mappings of
    their fields, or prompts. A file's lines are JSON objects of those fields, or requests of OpenAI's batch files (the output
    is like OpenAI's results then); with ``text`` each is a prompt; with ``template`` they are rows of CSV whose values go
    where it says ``{column}``. ``output``: a path, gzip by its name; docs/batch.md describes the records.

    While it runs, ``output``.part is its journal, which a second run on the same output is refused by. Killed or stopped, the
    same call goes on where it was: what has an answer is not sent again. The output appears when everything has an outcome.

    ``models``: each line goes to each of these, whatever it says itself. ``fields``: fields of ModelRequest for lines that say
    nothing of them. ``limit``: only the first so many lines. ``shard``: (I, N) takes every N-th line from the I-th on.
    ``restart``: begin anew, the old journal is kept as ``output``.part.old. ``skip_bad_lines``: a line that cannot be sent is
    a failure, instead of keeping the run from beginning. ``retry_failed``: ask all failures of earlier runs anew, not only
    those that may pass. ``retry_timeouts``: send again what timed out, though it may be billed twice (None: where the
    configuration says so). ``allow_changed_settings``: keep answers given under other settings. ``timeout``, ``deadline``
    (seconds) and ``max_retries`` as for LLMClient's calls; the deadline begins anew after a cool-down. ``max_cool_down``:
    seconds that a provider may ask to be left alone; it is waited for. ``give_up_after``: so many failures in a row for want
    of a key, a permission or credit, and a provider is sent nothing more (0: never). ``progress`` is called with a Snapshot a
    few times a second, in the calling thread.

    One output by one call at a time; the client may be used by others meanwhile, and is not closed. Ctrl-C (any exception in
    the calling thread) stops sending, gives what is in flight 5 s, and is raised; all that was answered is in the journal.
    Raises InvalidRequestError for an input, a line or an option that cannot be, and where answers that are there would be lost;
    ConfigurationError for changed settings; AuthenticationError for a key that is missing; LLMConnectorError when the journal
    is another process's, and, saying where the answers are, when it cannot be written; OSError for files that cannot be opened.
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
        fail_fast=fail_fast,
    )
    path = checked_output(output, requests)
    with _journal(f"{path}.part", restart) as journal:
        return _Run(options, client, path, os.fspath(output), journal, progress).go(requests)


class _Run:
    """One run on an output whose journal it holds."""

    def __init__(
        self, options: Options, client: LLMClient, output: str, name: str, journal: Journal, progress: Progress | None
    ) -> None:
        self._options = options
        self._client = client
        self._output = output
        self._name = name
        self._journal = journal
        self._progress = progress
        self._began = time.monotonic()

    def go(self, requests: Input) -> Summary:
        """Plan, send, finish."""
        with opened(self._options, self._client, requests, self._output) as work:
            earlier = read_earlier(work, self._output)
            bad = BadLines(work, self._journal)
            plan = Planner(work, earlier, work.check, bad.add).make()
            bad.refuse(plan)
            refuse(work, plan, earlier)
            if plan.renamed:
                _log.info("%d lines name a model of their own; the run's models are asked instead", plan.renamed)
            lanes = Lanes(work, self._journal, plan, self._progress)
            try:
                if plan.to_send.total():
                    self._send(work, lanes)
                complete = not any(lane.left for lane in lanes.lanes.values())
                if complete and (self._journal.holds_lines or plan.moved or plan.replaced or not os.path.exists(self._output)):
                    self._finish(work, plan)
            except OSError as error:
                raise self._rescued(error) from error
            finally:
                if self._journal.unwritten:
                    _log.error("%s", self._rescued(self._journal.failure or OSError()))
            return _summary(self._name, plan, lanes, complete, bad.count, time.monotonic() - self._began)

    def _send(self, work: Work, lanes: Lanes) -> None:
        at = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._journal.note({"run": {"at": at, "lines": work.lines, "anew": self._options.restart}})
        for name, settings in work.settings().items():
            self._journal.note({"settings": name, "of": settings})
        lanes.run()

    def _finish(self, work: Work, plan: Plan) -> None:
        self._journal.sync(now=True)
        finish(work, self._output, plan.replaced, self._written, moved=bool(plan.moved))
        self._journal.remove()

    def _written(self, finished: Sum) -> None:
        """The output is written, and about to be put in place."""
        self._journal.note({"finished": finished})
        self._journal.sync(now=True)

    def _rescued(self, error: OSError) -> Exception:
        """What to raise when something cannot be written: first, no answer is lost."""
        journal = self._journal
        here = journal.is_at_its_path()
        if here and journal.failure is None:
            return batch_errors.unfinished(self._output, error)
        if here and journal.write_again():
            return batch_errors.unwritable(journal.path, journal.failure or error)
        try:
            rescued = journal.rescue()
        except OSError as failure:
            for line in journal.unwritten:  # nowhere to go but to whoever reads the log
                _log.error("not saved: %s", line.decode("utf-8").rstrip())
            journal.unwritten.clear()
            return batch_errors.unwritable(journal.path, failure, logged=True)
        return batch_errors.unwritable(journal.path, error, rescued) if here else batch_errors.lost(journal.path, rescued)


@contextlib.contextmanager
def _journal(part: str, restart: bool) -> Iterator[Journal]:
    """The journal, held; one that holds nothing is gone at the end, and what it was to replace is back in its place."""
    journal = Journal(part)
    former = None
    try:
        if restart and journal.holds_lines:
            former = f"{part}.old"
            os.replace(part, former)
            journal.close()
            journal = Journal(part)
        yield journal
    finally:
        if not journal.holds_lines and journal.is_at_its_path():
            with contextlib.suppress(OSError):
                if former is None:
                    journal.remove()
                else:
                    os.replace(former, part)  # nothing was sent: whoever thinks better of it goes on with that
        journal.close()


def _summary(output: str, plan: Plan, lanes: Lanes, complete: bool, skipped: int, seconds: float) -> Summary:
    snapshot = lanes.snapshot()
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
        possibly_billed=tuple(itertools.islice(((key, count) for key, count in plan.unsure.items() if count), _MOST_LISTED)),
        unsure=plan.unsure.total() + plan.gone,
        unsure_gone=plan.gone,
        held={lane.provider: lane.held for lane in lanes.lanes.values() if lane.held and lane.left},
        reasons={lane.provider: dict(lane.reasons) for lane in lanes.lanes.values() if lane.reasons},
    )
