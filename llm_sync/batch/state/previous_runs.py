"""What previous runs left: their outcomes, in the journal and in a finished output, and what may have been billed."""

from __future__ import annotations

import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llm_sync.batch.input.selection import Selection
from llm_sync.batch.state import journal_format, records
from llm_sync.batch.state.finished_output import FinishedOutput
from llm_sync.batch.state.index import JOURNAL_LINE, NOTHING, OUTPUT_LINE, Entry, Index, NumberFile, RouteTable
from llm_sync.batch.state.record_store import RecordStore
from llm_sync.batch.state.records import Head, Key
from llm_sync.batch.summary import Tally
from llm_sync.errors import LLMConnectorError

if TYPE_CHECKING:
    from llm_sync.batch.state.background_notes import BackgroundNotes
    from llm_sync.batch.state.job_notes import JobNotes


class PreviousRuns:
    """Reads the outcomes of previous runs into ``store`` and ``index``, and their lines' hashes into ``hashes``, by slot.

    ``needs_review`` decides whether an outcome must be read again before it is kept; ``kept`` counts the others, by provider.
    ``displaced``: outcomes whose slot another outcome has taken since. ``elsewhere``: the number of answers to requests that
    are not part of this run. ``settings``: earlier settings, by hash. ``unsure``: how often each line was sent with an unknown
    outcome (in flight when a run was killed, or timed out). ``folder``: for temporary files.
    """

    def __init__(
        self,
        selection: Selection,
        index: Index,
        hashes: NumberFile,
        routes: RouteTable,
        store: RecordStore,
        needs_review: Callable[[Head], bool] = lambda head: False,  # noqa: ARG005
        folder: str | None = None,
    ) -> None:
        self._selection = selection
        self._index = index
        self._routes = routes
        self._store = store
        self._needs_review = needs_review
        # Started and not known to have ended: the count, and the last "started" line, by the key's bytes in the journal.
        self._open: Counter[bytes] = Counter()
        self._started: dict[bytes, bytes] = {}
        self.hashes = hashes
        self.kept: defaultdict[str | None, Tally] = defaultdict(Tally)
        self.displaced: list[tuple[Head, Entry]] = []
        self.elsewhere = 0
        self.unsure: Counter[tuple[Key, str]] = Counter()  # the line's hash goes with the key, because lines move
        self.settings: dict[str, dict[str, Any]] = {}
        self.jobs: JobNotes | None = None  # those of the providers' Batch APIs, if there were any
        self._folder = folder
        self.background: BackgroundNotes | None = None  # answers that the providers make, if there are any

    def read_output(self, path: str, output: FinishedOutput) -> None:
        """Read a finished output. Raises LLMConnectorError if the file is not one."""
        for number, line in enumerate(output.lines(), 1):
            if line.strip():
                head = records.head_of_record(line)
                if head is None:
                    what = (
                        "exists, but is not the output of a batch"
                        if number == 1
                        else f"is damaged: line {number} is not a record"
                    )
                    raise LLMConnectorError(
                        f"{path!r} {what}",
                        guidance="Name another output; --restart (restart=True) would replace the file.",
                    )
                self._take(head, OUTPUT_LINE, line)

    def read_journal(self, path: str, since: int = 0) -> None:
        """Read a journal from an offset on. Damaged lines are skipped; of a torn or glued line the readable part is taken."""
        for _, line in journal_format.lines_of(path, since):
            if not self._read_line(line):
                for piece in journal_format.pieces_of(line):
                    self._read_line(piece)
        self._end_run()

    def _read_line(self, line: bytes) -> bool:
        """Read a line, and return whether that was possible."""
        if line.startswith(b'{"started": [') and line.endswith(b'"}\n'):
            self._start(line)
            return True
        head = records.read_head(line)
        if head is None:
            return self._read_note(line)
        self._end(records.key_of(line))
        self._take(head, JOURNAL_LINE, line)
        return True

    def _start(self, line: bytes) -> None:
        key = records.key_of(line)
        self._open[key] += 1
        self._started[key] = line

    def _end(self, key: bytes) -> None:
        if self._open[key] > 1:
            self._open[key] -= 1
        else:
            del self._open[key]
            self._started.pop(key, None)

    def _read_note(self, line: bytes) -> bool:
        try:
            (name, value), *more = json.loads(line).items()
            if name == "started":  # the last line of the file, without its line end
                self._start(line)
            elif name == "unsent":
                self._end(records.key_of(line))
            elif name == "settings":
                self.settings[value] = dict(more)["of"]
            elif name == "run":
                self._end_run()
            elif name == "job":
                self._take_job(value, dict(more))
                self._store.append(line)
            elif name == "background":
                self._take_made(line, Key(*value), dict(more))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return False  # torn or damaged
        return True

    def _take_job(self, job_id: str, note: dict[str, Any]) -> None:
        if self.jobs is None:
            from llm_sync.batch.state.job_notes import JobNotes

            self.jobs = JobNotes(self._folder)
        self.jobs.take(job_id, note)

    def _take_made(self, line: bytes, key: Key, note: dict[str, Any]) -> None:
        """An answer is made in the background: nothing is unsure about it."""
        self._notes().take_note(key, note)
        if "reply" not in note:
            self._end(records.key_of(line))

    def _notes(self) -> BackgroundNotes:
        if self.background is None:
            from llm_sync.batch.state.background_notes import BackgroundNotes

            self.background = BackgroundNotes()
        return self.background

    def _end_run(self) -> None:
        """Requests still open when a run ended have an unknown outcome."""
        for key, count in self._open.items():
            with contextlib.suppress(ValueError, TypeError):  # damaged
                values = json.loads(self._started[key])
                place = Key(*values["started"]), str(values.get("line", ""))
                self.unsure[place] += count
                if values.get("via") == "background":
                    self._notes().lose(place)
        self._open.clear()
        self._started.clear()

    def _take(self, head: Head, state: int, line: bytes) -> None:
        if head.unsure:
            self.unsure[head.key, head.line] = head.unsure
        if self.background is not None:
            self.background.end(head)
        slot = self._selection.slot(head)
        if slot is None:
            self.elsewhere += head.answered
            return
        former = self._index.get(slot)
        if former.state != NOTHING:
            before = self._store.head(former)
            if before.answered and not head.answered and before[:4] == head[:4]:
                return  # a truncated answer that was asked again: its text is paid for, and better than none
            if not former.review:
                self.kept[before.provider].add(before, -1)
            if (before.line, before.settings, before[1:3]) != (head.line, head.settings, head[1:3]):
                self.displaced.append((before, former))
        review = self._needs_review(head)
        if not review:
            self.kept[head.provider].add(head)
        route = self._routes.number(head.provider, head.model)
        self._index.set(slot, Entry(state, route, self._store.append(line), review))
        self.hashes.put(slot, records.line_number(head))
