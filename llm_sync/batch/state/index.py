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

_PLACE_BITS = 45  # 35 TB
_ROUTE_BITS = 16
_SPECIAL_BITS = 1
_PLACE = (1 << _PLACE_BITS) - 1
_ROUTE = (1 << _ROUTE_BITS) - 1
_BYTES = 8
_CHUNK = 2048  # numbers read or written at once: 16 KiB, for each provider that walks
MOST_ROUTES = _ROUTE + 1


class Entry(NamedTuple):
    """``state``: NOTHING, TO_SEND, IN_JOURNAL or IN_OUTPUT. ``place``: an offset in the input, the journal or the output.

    ``special``: an outcome that may not simply be kept, so that more of it has to be looked at.
    """

    state: int
    route: int
    place: int
    special: bool = False


class Numbers:
    """Numbers of 64 bits, 0 where none was set. One thread at a time. Raises OSError (a full disk)."""

    def __init__(self, folder: str) -> None:
        # Not in memory: a million requests are 8 MB there. Not mapped: pages that were touched count as memory too.
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  (closed by close)
        # What is not in the file yet, by number. Written together: each call of the system is a chance for the other threads
        # to take the interpreter, which is dearer than the call.
        self._unwritten: dict[int, int] = {}
        self._near: array[int] = array("Q")  # what was read last, from _near_from on: the next look is mostly near it
        self._near_from = 0
        self.count = 0

    def put(self, slot: int, number: int) -> None:
        """Set one."""
        self._unwritten[slot] = number
        if slot >= self.count:
            self.count = slot + 1
        if len(self._unwritten) >= _CHUNK:
            self._flush()

    def at(self, slot: int) -> int:
        """One of them; 0 beyond the last."""
        found = self._unwritten.get(slot)
        if found is not None:
            return found
        place = slot - self._near_from
        if not 0 <= place < len(self._near):
            self._near_from, place = slot - slot % _CHUNK, slot % _CHUNK
            self._near = self._read(self._near_from, _CHUNK)
        return self._near[place]

    def all(self) -> Iterator[tuple[int, int]]:
        """Each with its slot; what is changed meanwhile may be seen or not."""
        start = 0
        while start < self.count:
            self._flush()
            yield from enumerate(self._read(start, min(_CHUNK, self.count - start)), start)
            start += _CHUNK

    def truncate(self, count: int) -> None:
        """Forget all from ``count`` on."""
        self._flush()
        self._file.truncate(count * _BYTES)
        self.count = min(self.count, count)

    def close(self) -> None:
        """Nothing of it is left."""
        self._file.close()

    def _flush(self) -> None:
        """Write what is new, each run of neighbours at once; a file has zeros where nothing was written."""
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
        self._near = array("Q")

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


class Slots(Numbers):
    """The index. ``count`` entries; those never set are NOTHING."""

    def add(self, entry: Entry) -> None:
        """Set the entry behind the last one."""
        self.set(self.count, entry)

    def set(self, slot: int, entry: Entry) -> None:
        """Set any entry; those between it and the last one are NOTHING."""
        self.put(slot, _packed(entry))

    def get(self, slot: int) -> Entry:
        """An entry; NOTHING beyond the last one."""
        return _unpacked(self.at(slot))

    def walk(self) -> Iterator[tuple[int, Entry]]:
        """Every entry that is set, with its number; what is changed meanwhile may be seen or not."""
        return ((slot, _unpacked(packed)) for slot, packed in self.all() if packed)

    def to_send(self, routes: Iterable[int]) -> Iterator[tuple[int, Entry]]:
        """The entries that are to be sent on one of ``routes``, likewise."""
        wanted = frozenset(TO_SEND << _SPECIAL_BITS + _ROUTE_BITS | route for route in routes)
        return ((slot, _unpacked(packed)) for slot, packed in self.all() if packed >> _PLACE_BITS in wanted)


def _packed(entry: Entry) -> int:
    if entry.place > _PLACE:
        raise OverflowError("a file of a batch is larger than 35 TB")
    kind = entry.state << _SPECIAL_BITS | entry.special
    return (kind << _ROUTE_BITS | entry.route) << _PLACE_BITS | entry.place


def _unpacked(packed: int) -> Entry:
    kind = packed >> _PLACE_BITS + _ROUTE_BITS
    return Entry(kind >> _SPECIAL_BITS, packed >> _PLACE_BITS & _ROUTE, packed & _PLACE, bool(kind & 1))
