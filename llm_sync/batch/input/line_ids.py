"""Finds ids that several lines have, in constant memory."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from hashlib import blake2b

from llm_sync.batch.input.source import Source
from llm_sync.errors import InvalidRequestError
from llm_sync.events import logger

_PAIR = struct.Struct("<QQ")  # the hash of an id, and the number of its line
_READ = _PAIR.size * 4096
_MAX_IN_MEMORY = 200_000  # ids
_MAX_LISTED = 10

_log = logger("batch")


class LineIds:
    """The ids of the lines that a run checks, in an unnamed file. One thread at a time. Raises OSError (disk full)."""

    def __init__(self, folder: str) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed by close)
        self._count = 0
        self._last = 0

    def add(self, line_id: str | int | None, number: int) -> None:
        """Note the id of a line; once, also if the line is sent to several models."""
        if line_id is None or number == self._last:
            return
        self._last = number
        digest = blake2b(repr(line_id).encode("utf-8", "backslashreplace"), digest_size=8).digest()
        self._file.write(_PAIR.pack(int.from_bytes(digest, "little"), number))
        self._count += 1

    def report(self, source: Source, *, refuse: bool) -> None:
        """Warn of ids that occur twice. ``refuse``: raise InvalidRequestError instead, as results are found by their ids."""
        listed, count = [], 0
        for first, second in self._repeated():
            count += 1
            if count <= _MAX_LISTED:
                listed.append((second, first))
        if not count:
            return
        lines = ", ".join(f"{second} (as {source.unit} {first})" for second, first in sorted(listed))
        more = f" and {count - _MAX_LISTED} more" if count > _MAX_LISTED else ""
        text = f"{source.name} has ids that occur before, in {source.unit} {lines}{more}"
        if refuse:
            raise InvalidRequestError(text, guidance="Give each request a custom_id of its own.")
        _log.warning("%s", text)

    def close(self) -> None:
        """Close the file; the system then deletes it."""
        self._file.close()

    def _repeated(self) -> Iterator[tuple[int, int]]:
        """Pairs of line numbers, of the first line with an id and of each further one."""
        parts = self._count // _MAX_IN_MEMORY + 1
        for part in range(parts):  # each part of the ids is looked at by itself
            first: dict[int, int] = {}
            self._file.seek(0)
            while chunk := self._file.read(_READ):
                for digest, number in _PAIR.iter_unpack(chunk):
                    if digest % parts == part and first.setdefault(digest, number) != number:
                        yield first[digest], number
        self._file.seek(0, 2)
