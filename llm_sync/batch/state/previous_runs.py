"""What previous runs left: their outcomes, in the journal and in a finished output, and what may have been billed."""

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
from llm_sync.batch.state import journal, records
from llm_sync.batch.state.index import IN_JOURNAL, IN_OUTPUT, NOTHING, Entry, Index, NumberFile, RouteTable
from llm_sync.batch.state.records import Head, Key
from llm_sync.batch.summary import Tally
from llm_sync.errors import LLMConnectorError

_MAX_HASH = 2**64 - 1


class RecordReader:
    """Reads outcomes by their index entries, from the journal or from the finished output. One thread at a time."""

    def __init__(self, output: str | None, part: str, folder: str) -> None:
        """``output``: None to ignore it. ``part``: the journal. ``folder``: for the unpacked copy of gzip. Raises OSError."""
        self._part = part
        self._journal: IO[bytes] | None = None
        self._output: IO[bytes] | None = None
        if output is not None and os.path.exists(output):
            self._output = unzipped(output, folder) if output.endswith(".gz") else open(output, "rb")  # noqa: SIM115

    def output_lines(self) -> Iterator[tuple[int, bytes]]:
        """Every line of the finished output, with its offset."""
        if self._output is not None:
            offset = 0
            while True:
                self._output.seek(offset)  # others may read between two lines
                line = self._output.readline()
                if not line:
                    return
                yield offset, line
                offset += len(line)

    def output_checksum(self) -> journal.OutputChecksum:
        """The size and checksum of the finished output."""
        size = crc = 0
        for offset, line in self.output_lines():
            size, crc = offset + len(line), zlib.crc32(line, crc)
        return size, crc

    def head(self, entry: Entry) -> Head:
        """The head of an outcome. Raises LLMConnectorError if its record has changed."""
        line = self._line(entry)
        head = records.read_head(line) if entry.state == IN_JOURNAL else records.head_of_record(line)
        if head is None:
            raise LLMConnectorError("a record of the batch has changed", guidance="Let one program at a time use it.")
        return head

    def content(self, entry: Entry) -> bytes:
        """The record, without the line end."""
        line = self._line(entry)
        return records.content_of(line) if entry.state == IN_JOURNAL else line.rstrip(b"\r\n")

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
        file.seek(entry.offset)
        return file.readline()


class PreviousRuns:
    """Reads the outcomes of previous runs into ``index``, and their lines' hashes into ``hashes``, by slot.

    ``needs_review`` decides whether an outcome must be read again before it is kept; ``kept`` counts the others, by provider.
    ``displaced``: outcomes whose slot another outcome has taken since. ``elsewhere``: the number of answers to requests that
    are not part of this run. ``settings``: earlier settings, by hash. ``unsure``: how often each line was sent with an unknown
    outcome (in flight when a run was killed, or timed out).
    """

    def __init__(
        self,
        selection: Selection,
        index: Index,
        hashes: NumberFile,
        routes: RouteTable,
        reader: RecordReader,
        needs_review: Callable[[Head], bool] = lambda head: False,  # noqa: ARG005
    ) -> None:
        self._selection = selection
        self._index = index
        self._routes = routes
        self._reader = reader
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

    def read_output(self, path: str) -> None:
        """Read a finished output. Raises LLMConnectorError if the file is not one."""
        for number, (offset, line) in enumerate(self._reader.output_lines(), 1):
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
                self._take(head, IN_OUTPUT, offset)

    def read_journal(self, path: str, since: int = 0) -> None:
        """Read a journal from an offset on. Torn and damaged lines are skipped."""
        for offset, line in journal.lines_of(path, since):
            if line.startswith(b'{"started": [') and line.endswith(b'"}\n'):
                self._start(line)
                continue
            head = records.read_head(line)
            if head is not None:
                self._end(records.key_of(line))
                self._take(head, IN_JOURNAL, offset)
            else:
                self._read_note(line)
        self._end_run()

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

    def _read_note(self, line: bytes) -> None:
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
        except (ValueError, TypeError, KeyError, AttributeError):
            return  # torn or damaged

    def _end_run(self) -> None:
        """Requests still open when a run ended have an unknown outcome."""
        for key, count in self._open.items():
            with contextlib.suppress(ValueError, TypeError):  # damaged
                values = json.loads(self._started[key])
                self.unsure[Key(*values["started"]), str(values.get("line", ""))] += count
        self._open.clear()
        self._started.clear()

    def _take(self, head: Head, state: int, offset: int) -> None:
        if head.unsure:
            self.unsure[head.key, head.line] = head.unsure
        slot = self._selection.slot(head)
        if slot is None:
            self.elsewhere += head.answered
            return
        former = self._index.get(slot)
        if former.state != NOTHING:
            before = self._reader.head(former)
            if not former.review:
                self.kept[before.provider].add(before, -1)
            if (before.line, before.settings, before[1:3]) != (head.line, head.settings, head[1:3]):
                self.displaced.append((before, former))
        review = self._needs_review(head)
        if not review:
            self.kept[head.provider].add(head)
        self._index.set(slot, Entry(state, self._routes.number(head.provider, head.model), offset, review))
        with contextlib.suppress(ValueError, OverflowError):  # edited by hand: 0 equals no line's hash, so it is reviewed
            self.hashes.put(slot, int(head.line, 16) & _MAX_HASH)
