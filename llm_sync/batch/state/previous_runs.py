"""What earlier runs left: the outcomes in the journal and in a finished output, and what may have been billed for nothing."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import IO, Any

from llm_sync.batch.input.selection import Selection
from llm_sync.batch.input.source import unzipped
from llm_sync.batch.state import journal
from llm_sync.batch.state import records as state_records
from llm_sync.batch.state.index import IN_JOURNAL, IN_OUTPUT, NOTHING, Entry, Numbers, Slots
from llm_sync.batch.state.records import Head, Key
from llm_sync.batch.state.routes import Routes
from llm_sync.batch.tally import Tally
from llm_sync.errors import LLMConnectorError

_LONGEST = 2**64 - 1


class Records:
    """Reads outcomes where they stand, in the journal at ``part`` or in the finished output; one thread at a time."""

    def __init__(self, output: str | None, part: str, folder: str) -> None:
        """``output``: None to leave it out. ``folder``: where a gzipped one is unpacked. Raises OSError."""
        self._part = part
        self._journal: IO[bytes] | None = None
        self._output: IO[bytes] | None = None
        if output is not None and os.path.exists(output):
            self._output = unzipped(output, folder) if output.endswith(".gz") else open(output, "rb")  # noqa: SIM115

    def finished(self) -> Iterator[tuple[int, bytes]]:
        """Every line of the finished output, with its place."""
        if self._output is not None:
            place = 0
            while True:
                self._output.seek(place)  # whoever is handed a line may look at others
                line = self._output.readline()
                if not line:
                    return
                yield place, line
                place += len(line)

    def summed(self) -> journal.Sum:
        """The finished output, summed up."""
        size = crc = 0
        for place, line in self.finished():
            size, crc = place + len(line), zlib.crc32(line, crc)
        return size, crc

    def head(self, entry: Entry) -> Head:
        """What is to be known of an outcome."""
        line = self._line(entry)
        found = state_records.read_head(line) if entry.state == IN_JOURNAL else state_records.head_of_record(line)
        if found is None:
            raise LLMConnectorError("a record of the batch has changed under it", guidance="Let one program at a time use it.")
        return found

    def content(self, entry: Entry) -> bytes:
        """The record itself, without the line's end."""
        line = self._line(entry)
        return state_records.content_of(line) if entry.state == IN_JOURNAL else line.rstrip(b"\r\n")

    def close(self) -> None:
        """Close both files."""
        for file in (self._journal, self._output):
            if file is not None:
                file.close()

    def _line(self, entry: Entry) -> bytes:
        file = self._output
        if entry.state == IN_JOURNAL:
            if self._journal is None:
                self._journal = open(self._part, "rb")  # noqa: SIM115  (closed by close)
            file = self._journal
        if file is None:
            return b""
        file.seek(entry.place)
        return file.readline()


class Earlier:
    """The outcomes of earlier runs, put into their slots, and their lines' hashes into ``hashes`` by slot.

    ``special`` says of an outcome whether it may not simply be kept; ``kept`` counts the others, by provider. ``displaced``:
    outcomes for whose line something else stands in the slot by now. ``elsewhere``: how many answers belong to no request of
    this run. ``settings``: what answers depended on, by hash. ``unsure``: sendings of a line of which nobody knows whether
    they were billed: in flight when a run was killed, or timed out.
    """

    def __init__(
        self,
        selection: Selection,
        slots: Slots,
        hashes: Numbers,
        routes: Routes,
        records: Records,
        special: Callable[[Head], bool] = lambda head: False,  # noqa: ARG005
    ) -> None:
        self._selection = selection
        self._slots = slots
        self._routes = routes
        self._records = records
        self._special = special
        self._open: Counter[bytes] = Counter()  # started, and not known to have ended, by the key as it stands in the journal
        self._started: dict[bytes, bytes] = {}  # the same -> the last line of the journal that says so
        self.hashes = hashes
        self.kept: defaultdict[str | None, Tally] = defaultdict(Tally)
        self.displaced: list[tuple[Head, Entry]] = []
        self.elsewhere = 0
        self.unsure: Counter[tuple[Key, str]] = Counter()  # the line's hash goes with the key: lines move
        self.settings: dict[str, dict[str, Any]] = {}

    def read_output(self, path: str) -> None:
        """Take in a finished output. Raises LLMConnectorError for a file that is none."""
        for number, (place, line) in enumerate(self._records.finished(), 1):
            if line.strip():
                found = state_records.head_of_record(line)
                if found is None:
                    what = (
                        "exists, but is not the output of a batch"
                        if number == 1
                        else f"is damaged: line {number} is not a record"
                    )
                    raise LLMConnectorError(
                        f"{path!r} {what}",
                        guidance="Name another output; --restart (restart=True) would replace the file.",
                    )
                self._take(found, IN_OUTPUT, place)

    def read_journal(self, path: str, since: int = 0) -> None:
        """Take in what a journal holds, from a place on; whatever is half-written or damaged in it is passed over."""
        for place, line in journal.lines_of(path, since):
            if line.startswith(b'{"started": [') and line.endswith(b'"}\n'):
                self._begin(line)
                continue
            found = state_records.read_head(line)
            if found is not None:
                self._close(state_records.key_of(line))
                self._take(found, IN_JOURNAL, place)
            else:
                self._read_note(line)
        self._end_run()

    def _begin(self, line: bytes) -> None:
        key = state_records.key_of(line)
        self._open[key] += 1
        self._started[key] = line

    def _close(self, key: bytes) -> None:
        if self._open[key] > 1:
            self._open[key] -= 1
        else:
            del self._open[key]
            self._started.pop(key, None)

    def _read_note(self, line: bytes) -> None:
        try:
            (name, value), *more = json.loads(line).items()
            if name == "started":  # the file's last line, which lacks its end
                self._begin(line)
            elif name == "unsent":
                self._close(state_records.key_of(line))
            elif name == "settings":
                self.settings[value] = dict(more)["of"]
            elif name == "run":
                self._end_run()
        except (ValueError, TypeError, KeyError, AttributeError):
            return  # torn

    def _end_run(self) -> None:
        """What was under way when a run ended, ended with it."""
        for key, count in self._open.items():
            with contextlib.suppress(ValueError, TypeError):  # damaged
                said = json.loads(self._started[key])
                self.unsure[Key(*said["started"]), str(said.get("line", ""))] += count
        self._open.clear()
        self._started.clear()

    def _take(self, head: Head, state: int, place: int) -> None:
        if head.unsure:
            self.unsure[head.key, head.line] = head.unsure
        slot = self._selection.slot(head)
        if slot is None:
            self.elsewhere += head.answered
            return
        former = self._slots.get(slot)
        if former.state != NOTHING:
            before = self._records.head(former)
            if not former.special:
                self.kept[before.provider].add(before, -1)
            if (before.line, before.settings, before[1:3]) != (head.line, head.settings, head[1:3]):
                self.displaced.append((before, former))
        special = self._special(head)
        if not special:
            self.kept[head.provider].add(head)
        self._slots.set(slot, Entry(state, self._routes.number(head.provider, head.model), place, special))
        with contextlib.suppress(ValueError, OverflowError):  # edited by hand: 0 is no line's, so it is looked at
            self.hashes.put(slot, int(head.line, 16) & _LONGEST)
