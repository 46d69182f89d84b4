"""The index of a batch: eight bytes for each request, in a file without a name, whatever the number of requests.

A request that is to be sent stands there as the place of its line in the input and the number of its route; one that has
an outcome as the place of its record in the journal, or in the finished output of an earlier run. The walks of the
providers, the ordered output and the resume all read it.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

NOTHING, TO_SEND, IN_JOURNAL, IN_OUTPUT = range(4)

_PLACE_BITS = 46  # 70 TB
_ROUTE_BITS = 16
_PLACE = (1 << _PLACE_BITS) - 1
_ROUTE = (1 << _ROUTE_BITS) - 1
_BYTES = 8
_CHUNK = 2048  # entries read or written at once: 16 KiB, for each provider that walks
MOST_ROUTES = _ROUTE + 1


class Entry(NamedTuple):
    """``state``: NOTHING, TO_SEND, IN_JOURNAL or IN_OUTPUT. ``place``: an offset in the input, the journal or the output."""

    state: int
    route: int
    place: int


class Slots:
    """One thread at a time. ``count`` entries; those never set are NOTHING. Raises OSError (a full disk)."""

    def __init__(self, folder: str) -> None:
        # Not in memory: a million requests are 8 MB there. Not mapped: pages that were touched count as memory too.
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  (closed by close)
        # What is not in the file yet, by number. Written together: each call of the system is a chance for the other threads
        # to take the interpreter, which is dearer than the call.
        self._unwritten: dict[int, int] = {}
        self.count = 0

    def add(self, entry: Entry) -> None:
        """Set the entry behind the last one."""
        self.set(self.count, entry)

    def set(self, slot: int, entry: Entry) -> None:
        """Set any entry; those between it and the last one are NOTHING."""
        self._unwritten[slot] = _packed(entry)
        self.count = max(self.count, slot + 1)
        if len(self._unwritten) >= _CHUNK:
            self._flush()

    def get(self, slot: int) -> Entry:
        """An entry; NOTHING beyond the last one."""
        packed = self._unwritten.get(slot)
        if packed is None:
            packed = next(iter(self._read(slot, 1)), 0)
        return _unpacked(packed)

    def walk(self) -> Iterator[tuple[int, Entry]]:
        """Every entry that is set, with its number; what is changed meanwhile may be seen or not."""
        return ((slot, _unpacked(packed)) for slot, packed in self._all() if packed)

    def to_send(self, routes: Iterable[int]) -> Iterator[tuple[int, Entry]]:
        """The entries that are to be sent on one of ``routes``, likewise."""
        wanted = frozenset(TO_SEND << _ROUTE_BITS | route for route in routes)
        return ((slot, _unpacked(packed)) for slot, packed in self._all() if packed >> _PLACE_BITS in wanted)

    def _all(self) -> Iterator[tuple[int, int]]:
        start = 0
        while start < self.count:
            self._flush()
            yield from enumerate(self._read(start, min(_CHUNK, self.count - start)), start)
            start += _CHUNK

    def truncate(self, count: int) -> None:
        """Forget every entry from ``count`` on."""
        self._flush()
        self._file.truncate(count * _BYTES)
        self.count = min(self.count, count)

    def close(self) -> None:
        """Nothing of it is left."""
        self._file.close()

    def _flush(self) -> None:
        """Write what is new, each run of neighbours at once; a file has zeros where nothing was written."""
        values, start = array("Q"), 0
        for slot, packed in sorted(self._unwritten.items()):
            if values and slot != start + len(values):
                self._put(start, values)
                values = array("Q")
            if not values:
                start = slot
            values.append(packed)
        if values:
            self._put(start, values)
        self._unwritten.clear()

    def _put(self, slot: int, values: array[int]) -> None:
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


def _packed(entry: Entry) -> int:
    if entry.place > _PLACE:
        raise OverflowError("a file of a batch is larger than 70 TB")
    return entry.state << (_PLACE_BITS + _ROUTE_BITS) | entry.route << _PLACE_BITS | entry.place


def _unpacked(packed: int) -> Entry:
    return Entry(packed >> (_PLACE_BITS + _ROUTE_BITS), packed >> _PLACE_BITS & _ROUTE, packed & _PLACE)
