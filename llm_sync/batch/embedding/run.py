"""One run of embeddings on an output whose journal it owns: plan, send, finish."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from queue import Empty
from typing import Any, NamedTuple

from llm_sync.batch import errors as batch_errors
from llm_sync.batch.embedding.known import Known, Outcome
from llm_sync.batch.embedding.lane import Lane
from llm_sync.batch.embedding.output import write_output
from llm_sync.batch.embedding.previous import Previous
from llm_sync.batch.embedding.records import Target, read_journal_line
from llm_sync.batch.embedding.sender import Group, GroupSender
from llm_sync.batch.embedding.summary import EmbeddingProgress, EmbeddingSummary
from llm_sync.batch.embedding.texts import Text, Texts
from llm_sync.batch.input.source import Input
from llm_sync.batch.plan import BadLine
from llm_sync.batch.state.finished_output import FinishedOutput, OutputChecksum
from llm_sync.batch.state.index import NumberFile
from llm_sync.batch.state.journal import Journal
from llm_sync.client.client import LLMClient
from llm_sync.client.embedding import Embedder
from llm_sync.dispatch.shutdown import GRACE_S
from llm_sync.errors import InvalidRequestError
from llm_sync.events import logger
from llm_sync.providers.embeddings.limits import Grouping

_TICK_S = 0.5  # how often the journal is looked at, and progress reported

_log = logger("batch")


class Settings(NamedTuple):
    """The options of a run, checked; see ``embed``."""

    output: str
    matrix: str | None
    json: bool
    restart: bool
    skip_bad_lines: bool
    retry_failed: bool
    max_cool_down: float


class Run:
    """See the module. Used by one thread."""

    def __init__(
        self,
        client: LLMClient,
        embedder: Embedder,
        target: Target,
        journal: Journal,
        settings: Settings,
        progress: Callable[[EmbeddingProgress], object] | None,
    ) -> None:
        self._client = client
        self._embedder = embedder
        self._target = target
        self._journal = journal
        self._settings = settings
        self._progress = progress
        self._summary = EmbeddingSummary(settings.output)
        self._began = time.monotonic()

    def go(self, given: Input) -> EmbeddingSummary:
        """Plan, send, and write the output."""
        folder = os.path.dirname(self._settings.output)
        with contextlib.ExitStack() as stack:
            texts = stack.enter_context(contextlib.closing(Texts(given, folder, self._target.settings, json=self._settings.json)))
            keys = stack.enter_context(contextlib.closing(NumberFile(folder)))
            known = stack.enter_context(contextlib.closing(Known()))
            finished = stack.enter_context(contextlib.closing(FinishedOutput(self._settings.output, folder)))
            previous = Previous(self._target.settings, known, self._journal.store)
            if not self._settings.restart:
                previous.read(f"{self._settings.output}.part", self._settings.output, finished)
            summary = self._summary
            summary.unsure, summary.dimensions = previous.unsure, previous.dimensions
            sender = GroupSender(self._journal, self._target, previous.dimensions)
            to_send = self._plan(texts, keys, known, sender)
            with self._losing_nothing():
                if to_send:
                    self._send(texts, keys, known, sender)
                if summary.stopped is None:
                    self._finish(texts, keys, known, finished)
            summary.seconds = time.monotonic() - self._began
            return summary

    # Planning -------------------------------------------------------------------------------------------------------

    def _plan(self, texts: Texts, keys: NumberFile, known: Known, sender: GroupSender) -> int:
        """Read all texts; return how many are to be sent. Raises InvalidRequestError if there are bad lines that may not be
        skipped."""
        summary, bad = self._summary, 0
        first_bad: list[BadLine] = []
        for text in texts:
            keys.put(text.position, text.key)
            summary.texts += 1
            outcome = known.get(text.key)
            if text.error is not None:
                bad += 1
                if bad <= batch_errors.MAX_LISTED_LINES:
                    first_bad.append(_bad_line(text))
                if self._settings.skip_bad_lines and outcome is None:
                    known.add(*sender.write_failure(text.position, text.key, text.error))
            elif outcome is not None and (outcome.answered or not (outcome.again or self._settings.retry_failed)):
                summary.kept += 1
            elif known.wait_for(text.key):
                summary.sent += 1
            else:
                summary.repeated += 1
        if bad and not self._settings.skip_bad_lines:
            raise batch_errors.bad_lines(first_bad, bad, texts.source)
        if not summary.texts:
            raise InvalidRequestError(f"{texts.source.name} has no texts", guidance="Nothing was sent.")
        if summary.sent and not self._client.dispatcher.is_offline:
            self._client.check_providers([self._target.provider])
        return summary.sent

    def _groups(self, texts: Texts, keys: NumberFile, known: Known) -> Iterator[Group]:
        """The texts that are to be sent, in order, in groups of the provider's limits. Lazy: the input is read as it is sent."""
        grouping = Grouping(self._embedder.limits)
        waiting: list[Text] = []
        for text in texts:
            if text.error is not None or not known.take(text.key):
                continue
            if keys.at(text.position) != text.key:
                raise InvalidRequestError(f"line {text.number} of {texts.source.name} changed while it was read")
            if grouping.begins_group(text.text):
                yield _group(waiting)
                waiting = []
            waiting.append(text)
        if waiting:
            yield _group(waiting)

    # Sending --------------------------------------------------------------------------------------------------------

    def _send(self, texts: Texts, keys: NumberFile, known: Known, sender: GroupSender) -> None:
        at = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._journal.note({"run": {"at": at, "lines": self._summary.texts, "anew": self._settings.restart}})
        groups = self._groups(texts, keys, known)
        lane = Lane(self._embedder, self._target, sender, known, self._summary, groups, self._settings.max_cool_down)
        try:
            while lane.fill():
                with contextlib.suppress(Empty):
                    lane.take(sender.ended.get(timeout=_TICK_S))
                    while True:
                        lane.take(sender.ended.get_nowait())
                self._look_at_journal(known)
                self._tell(lane)
        except BaseException:
            self._stop(lane, sender)
            raise
        self._tell(lane)

    def _look_at_journal(self, known: Known) -> None:
        """Flush the journal, write again what another program has removed, and take vectors over that one has added (those that
        were rescued from a full disk, as a rule). Raises LLMConnectorError, OSError."""
        if self._journal.failure is not None:
            raise self._journal.failure
        self._journal.sync()
        while chunk := self._journal.examine():
            for line in chunk.splitlines(keepends=True):
                added = read_journal_line(line)
                if added is None or not added.answered or added.settings != self._target.settings:
                    continue
                outcome = known.get(added.key)
                if outcome is None or not outcome.answered:
                    known.add(added.key, Outcome(self._journal.store.append(line), True, True, False))

    def _stop(self, lane: Lane, sender: GroupSender) -> None:
        """Send nothing more; requests in flight get their grace, and their vectors go into the journal."""
        sender.stop()
        lane.cancel()
        until = time.monotonic() + GRACE_S
        while sender.busy and time.monotonic() < until:
            with contextlib.suppress(Empty):
                sender.ended.get(timeout=0.05)
        sender.abort()

    def _tell(self, lane: Lane) -> None:
        if self._progress is not None:
            summary = self._summary
            done = summary.texts - summary.repeated - lane.left
            self._progress(EmbeddingProgress(done, summary.texts - summary.repeated, lane.failed, summary.requests))

    # Finishing ------------------------------------------------------------------------------------------------------

    def _finish(self, texts: Texts, keys: NumberFile, known: Known, finished: FinishedOutput) -> None:
        """Write the output, and remove the journal."""
        settings, summary = self._settings, self._summary
        if not finished.may_be_replaced():
            raise batch_errors.changed_output(settings.output)
        self._journal.sync(now=True)
        parts = (texts, keys, known, self._journal.store)
        summary.failed = write_output(
            settings.output, settings.matrix, self._target, parts, summary.dimensions, self._note_finished
        )
        summary.complete = True
        self._journal.remove()

    def _note_finished(self, checksum: OutputChecksum) -> None:
        self._journal.note({"finished": checksum})
        self._journal.sync(now=True)

    @contextlib.contextmanager
    def _losing_nothing(self) -> Iterator[None]:
        """However the block ends, all vectors are in the journal, in the output, or where the exception says."""
        try:
            yield
        except OSError as error:
            raise self._rescued(error) from error
        finally:
            if not self._summary.complete:
                with contextlib.suppress(OSError):  # a full disk
                    self._journal.make_whole()

    def _rescued(self, error: OSError) -> Exception:
        journal = self._journal
        in_place = journal.is_at_its_path()
        if in_place and journal.failure is None:
            return batch_errors.unfinished(self._settings.output, error)
        if in_place and journal.write_again():
            return batch_errors.unwritable(journal.path, error)
        rescued = journal.rescue()
        return batch_errors.unwritable(journal.path, error, rescued) if in_place else batch_errors.lost(journal.path, rescued)


def _group(texts: list[Text]) -> Group:
    return Group([text.position for text in texts], [text.key for text in texts], [text.text for text in texts])


def _bad_line(text: Text) -> BadLine:
    error: Any = text.error
    return BadLine(text.number, text.position, f"{text.key:016x}", error, text.id)
