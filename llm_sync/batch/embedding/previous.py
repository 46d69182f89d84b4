"""What previous runs left: outcomes in the journal and in a finished output, and texts in flight when one was killed."""

from __future__ import annotations

import json
import os

from llm_sync.batch.embedding.known import Known, Outcome
from llm_sync.batch.embedding.records import LineOutcome, read_journal_line, read_output_line
from llm_sync.batch.state.finished_output import FinishedOutput
from llm_sync.batch.state.journal_format import lines_of, pieces_of, unfinished_part
from llm_sync.batch.state.record_store import RecordStore
from llm_sync.errors import InvalidRequestError, LLMConnectorError
from llm_sync.models.grammar import counted

_RESTART = "Name another output, or start over with --restart (restart=True)."


class Previous:
    """Reads into ``known`` and ``store``. ``unsure``: texts in flight when a run was killed. ``dimensions``: the length of the
    vectors; None without any. Outcomes of other settings are counted, not taken.
    """

    def __init__(self, settings: str, known: Known, store: RecordStore) -> None:
        self._settings = settings
        self._known = known
        self._store = store
        self._foreign = 0
        self._open: dict[int, int] = {}  # texts of each group that was started and has not ended, by its number
        self._lengths: set[int] = set()
        self.unsure = 0

    def read(self, part: str, path: str, output: FinishedOutput) -> None:
        """Read the journal and the output. Raises OSError; LLMConnectorError for an output that is none of embed's, or if
        vectors of other settings would be lost."""
        has_journal = os.path.exists(part)
        since, anew = unfinished_part(part, output.checksum) if has_journal and output.exists else (0, False)
        if not anew:  # a run that began anew ignores the output that it is to replace, and so does the run that resumes it
            for number, line in enumerate(output.lines(), 1):
                outcome = read_output_line(line)
                if outcome is None and line.strip():
                    what = "is not an output of embed" if number == 1 else f"is damaged: line {number} is not a record"
                    raise LLMConnectorError(f"{path!r} exists, but {what}", guidance=_RESTART)
                self._take(outcome, line, in_journal=False)
        if has_journal:
            for _, line in lines_of(part, since):
                if not self._read_line(line):
                    for piece in pieces_of(line):
                        self._read_line(piece)
            self._end_run()
        if self._foreign:
            raise InvalidRequestError(
                f"{path!r} holds {counted(self._foreign, 'vector')} of another model or of other settings, which would be lost",
                guidance=f"Ask as before. {_RESTART}",
            )
        if len(self._lengths) > 1:
            several = " and ".join(map(str, sorted(self._lengths)))
            raise LLMConnectorError(f"{path!r} holds vectors of {several} dimensions", guidance=_RESTART)

    @property
    def dimensions(self) -> int | None:
        """The length of all vectors."""
        return next(iter(self._lengths), None)

    def _read_line(self, line: bytes) -> bool:
        outcome = read_journal_line(line)
        if outcome is not None:
            self._take(outcome, line, in_journal=True)
            return True
        try:
            values = json.loads(line)
            if "started" in values:
                self._open[values["started"][0]] = int(values["texts"])
            elif "unsent" in values:
                self._open.pop(values["unsent"][0], None)
            elif "run" in values:
                self._end_run()
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            return False  # torn or damaged
        return True

    def _end_run(self) -> None:
        self.unsure += sum(self._open.values())
        self._open.clear()

    def _take(self, outcome: LineOutcome | None, line: bytes, *, in_journal: bool) -> None:
        if outcome is None:
            return
        if outcome.settings != self._settings:
            self._foreign += outcome.answered
            return
        if outcome.dimensions is not None:
            self._lengths.add(outcome.dimensions)
        self._known.add(outcome.key, Outcome(self._store.append(line), in_journal, outcome.answered, outcome.again))
