"""The index of a batch: eight bytes for each request, in an unnamed temporary file, so that memory does not grow with the input.

Each request has one entry; the entry's number is the request's slot. The entry of a request to be sent holds the offset of its
line in the input; the entry of one with an outcome holds the offset of its record in the RecordStore. Planner, scheduler and
output all read it. Routes are numbered by a RouteTable, so that an entry can hold one.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from llm_sync.errors import InvalidRequestError

NOTHING, TO_SEND, JOURNAL_LINE, OUTPUT_LINE = range(4)
"""States of an entry. The last two have an outcome, stored as a line of a journal or as one of an output."""

_OFFSET_BITS = 45  # 35 TB
_ROUTE_BITS = 16
_REVIEW_BITS = 1
_OFFSET = (1 << _OFFSET_BITS) - 1
_ROUTE = (1 << _ROUTE_BITS) - 1
_BYTES = 8
_CHUNK = 2048  # numbers read or written at once: 16 KiB for each provider
MAX_ROUTES = _ROUTE + 1


class Entry(NamedTuple):
    """``state``: NOTHING, TO_SEND, IN_JOURNAL or IN_OUTPUT. ``offset``: in the input, the journal or the output.

    ``review``: the outcome must be read before it is kept (other settings, or a failure that is asked again). Of a request to be
    sent it says that it goes by a job of its provider's Batch API.
    """

    state: int
    route: int
    offset: int
    review: bool = False


class NumberFile:
    """An array of 64-bit numbers in a temporary file; unset numbers are 0. One thread at a time. Raises OSError (disk full)."""

    def __init__(self, folder: str) -> None:
        # Not in memory: a million requests take 8 MB there. Not mapped: pages that were touched count as memory, too.
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  (closed by close)
        # Numbers not in the file yet, by position. Many are written at once: at each system call another thread may take the
        # interpreter lock, which costs more than the call.
        self._unwritten: dict[int, int] = {}
        self._cached: array[int] = array("Q")  # the chunk read last, from _cached_from on: reads are mostly sequential
        self._cached_from = 0
        self.count = 0

    def put(self, slot: int, number: int) -> None:
        """Set one number."""
        self._unwritten[slot] = number
        if slot >= self.count:
            self.count = slot + 1
        if len(self._unwritten) >= _CHUNK:
            self._flush()

    def at(self, slot: int) -> int:
        """One number; 0 beyond the last one."""
        unwritten = self._unwritten.get(slot)
        if unwritten is not None:
            return unwritten
        within = slot - self._cached_from
        if not 0 <= within < len(self._cached):
            self._cached_from, within = slot - slot % _CHUNK, slot % _CHUNK
            self._cached = self._read(self._cached_from, _CHUNK)
        return self._cached[within]

    def all(self) -> Iterator[tuple[int, int]]:
        """Each slot with its number. Changes made during the iteration may or may not be seen."""
        start = 0
        while start < self.count:
            self._flush()
            yield from enumerate(self._read(start, min(_CHUNK, self.count - start)), start)
            start += _CHUNK

    def truncate(self, count: int) -> None:
        """Remove all numbers from ``count`` on."""
        self._flush()
        self._file.truncate(count * _BYTES)
        self.count = min(self.count, count)

    def close(self) -> None:
        """Close the file; the system then deletes it."""
        self._file.close()

    def _flush(self) -> None:
        """Write the new numbers, consecutive ones together. The file has zeros where nothing was written."""
        values, start = array("Q"), 0
        for slot, number in sorted(self._unwritten.items()):
            if values and slot != start + len(values):
                self._write(start, values)
                values = array("Q")
            if not values:
                start = slot
            values.append(number)
        if values:
            self._write(start, values)
        self._unwritten.clear()
        self._cached = array("Q")

    def _write(self, slot: int, values: array[int]) -> None:
        content = memoryview(values.tobytes())
        self._file.seek(slot * _BYTES)
        while content:
            content = content[self._file.write(content) :]

    def _read(self, slot: int, count: int) -> array[int]:
        values = array("Q")
        self._file.seek(slot * _BYTES)
        content = self._file.read(count * _BYTES) or b""
        values.frombytes(content.ljust(count * _BYTES, b"\0"))
        return values


class Index(NumberFile):
    """The entries of all requests by slot; entries never set are NOTHING."""

    def add(self, entry: Entry) -> None:
        """Append an entry."""
        self.set(self.count, entry)

    def set(self, slot: int, entry: Entry) -> None:
        """Set any entry."""
        self.put(slot, _packed(entry))

    def get(self, slot: int) -> Entry:
        """One entry; NOTHING beyond the last one."""
        return _unpacked(self.at(slot))

    def walk(self) -> Iterator[tuple[int, Entry]]:
        """Every entry that is set, with its slot. Changes made during the iteration may or may not be seen."""
        return ((slot, _unpacked(packed)) for slot, packed in self.all() if packed)

    def to_send(self, routes: Iterable[int], *, by_job: bool = False) -> Iterator[tuple[int, Entry]]:
        """The entries to be sent on one of ``routes``, those that go by jobs or the others, with the same rule for changes."""
        kind = TO_SEND << _REVIEW_BITS | by_job
        wanted = frozenset(kind << _ROUTE_BITS | route for route in routes)
        return ((slot, _unpacked(packed)) for slot, packed in self.all() if packed >> _OFFSET_BITS in wanted)


class RouteTable:
    """Numbers for the routes of a batch. Route 0 is (None, None), for lines that could not be read. One thread at a time."""

    def __init__(self) -> None:
        self._routes: list[tuple[str | None, str | None]] = [(None, None)]
        self._numbers: dict[tuple[str | None, str | None], int] = {(None, None): 0}

    def number(self, provider: str | None, model: str | None) -> int:
        """The number of a route; a new route gets the next one. Raises InvalidRequestError when there are too many."""
        number = self._numbers.get((provider, model))
        if number is None:
            if len(self._routes) >= MAX_ROUTES:
                raise InvalidRequestError(
                    f"the batch asks more than {MAX_ROUTES - 1} different models", guidance="Split the input."
                )
            number = self._numbers[provider, model] = len(self._routes)
            self._routes.append((provider, model))
        return number

    def named(self, number: int) -> tuple[str | None, str | None]:
        """The provider and model of a route."""
        return self._routes[number]

    def of(self, provider: str) -> list[int]:
        """The numbers of all routes of one provider."""
        return [number for number, (name, _) in enumerate(self._routes) if name == provider]


def _packed(entry: Entry) -> int:
    if entry.offset > _OFFSET:
        raise OverflowError("a file of a batch is larger than 35 TB")
    kind = entry.state << _REVIEW_BITS | entry.review
    return (kind << _ROUTE_BITS | entry.route) << _OFFSET_BITS | entry.offset


def _unpacked(packed: int) -> Entry:
    kind = packed >> _OFFSET_BITS + _ROUTE_BITS
    return Entry(kind >> _REVIEW_BITS, packed >> _OFFSET_BITS & _ROUTE, packed & _OFFSET, bool(kind & 1))
