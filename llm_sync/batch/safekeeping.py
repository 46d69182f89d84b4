"""Keeps what was answered, however a run ends."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator

from llm_sync.batch import errors as batch_errors
from llm_sync.batch.context import BatchContext
from llm_sync.batch.plan import Plan
from llm_sync.batch.state.index import OUTPUT_LINE
from llm_sync.batch.state.journal import Journal
from llm_sync.batch.state.records import journal_line
from llm_sync.events import logger

_log = logger("batch")


class Safekeeping:
    """Keeps the answers of one run. ``is_over``: the journal is removed, as the output has everything."""

    def __init__(self, output: str, journal: Journal) -> None:
        self._output = output
        self._journal = journal
        self.is_over = False

    @contextlib.contextmanager
    def losing_nothing(self, context: BatchContext, plan: Plan) -> Iterator[None]:
        """However the block ends, all answers are in the journal, in an output, or where the exception says."""
        try:
            yield
        except BaseException as error:
            rescued = self._secure(context, plan, error)
            if rescued is None:
                raise
            if isinstance(error, OSError):
                raise rescued from error
            _log.error("%s", rescued)
            raise
        rescued = self._secure(context, plan, None)
        if rescued is not None:
            raise rescued

    def _secure(self, context: BatchContext, plan: Plan, error: BaseException | None) -> Exception | None:
        """Keep everything, and return what the user must be told. Ctrl-C meanwhile is raised when that is done."""
        try:
            return self._secured(context, plan, error)
        except KeyboardInterrupt:
            rescued = self._secured(context, plan, error)
            if rescued is not None:
                _log.error("%s", rescued)
            raise

    def _secured(self, context: BatchContext, plan: Plan, error: BaseException | None) -> Exception | None:
        self._keep_everything(context, plan)
        if isinstance(error, OSError):
            return self._rescued(error)
        return self._rescued(self._journal.failure or OSError()) if self._must_rescue() else None

    def _must_rescue(self) -> bool:
        """Whether the journal's path does not lead to all answers."""
        return not self.is_over and (bool(self._journal.unwritten) or not self._journal.is_at_its_path())

    def _keep_everything(self, context: BatchContext, plan: Plan) -> None:
        """Have all answers in the journal, also those that were read from the output, unless that is as it was."""
        if self.is_over:
            return
        with contextlib.suppress(OSError):  # a full disk: what could not be written is rescued
            self._journal.make_whole()
        if context.finished.is_unchanged():
            return
        for entry in itertools.chain((entry for _, entry in context.index.walk()), plan.replaced):
            if entry.state == OUTPUT_LINE:
                record = json.loads(context.store.content(entry))
                self._journal.add(journal_line(context.store.head(entry), record))

    def _rescued(self, error: OSError) -> Exception:
        """Save unwritten lines after an I/O error, and return the exception to raise."""
        journal = self._journal
        in_place = journal.is_at_its_path()
        if in_place and journal.failure is None:
            return batch_errors.unfinished(self._output, error)
        if in_place and journal.write_again():
            return batch_errors.unwritable(journal.path, journal.failure or error)
        try:
            rescued = journal.rescue()
        except OSError as failure:
            for line in journal.unwritten:  # no file can be written: the log is the last resort
                _log.error("not saved: %s", line.decode("utf-8").rstrip())
            journal.unwritten.clear()
            return batch_errors.unwritable(journal.path, failure, logged=True)
        return batch_errors.unwritable(journal.path, error, rescued) if in_place else batch_errors.lost(journal.path, rescued)
