"""The lines of a journal: its header, which names the owner, and how lines are read back, torn and glued ones included."""

from __future__ import annotations

import functools
import json
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from llm_sync.batch.state.finished_output import OutputChecksum

HEADER_SIZE = 192
_OLD_HEADER = '{{"llm-sync batch": 1, "pid": {:10}}}\n'  # up to release 0.1; kept in the journals that those began
_OLD_HEADER_SIZE = len(_OLD_HEADER.format(0))
_PREFIX = b'{"llm-sync batch": 1, "pid": '
_MAX_HOST = 64
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=repr)
# How every line begins that a run writes. None of these can stand within a string of JSON, where quotes are escaped.
_STARTS = (
    b'{"done": [',
    b'{"started": [',
    b'{"unsent": [',
    b'{"run": {',
    b'{"settings": "',
    b'{"finished": [',
    b'{"reopened": ',
    b'{"job": "',
    b'{"background": [',
)


class Owner(NamedTuple):
    """The process that writes a journal. ``pid``: 0 when it has closed it. ``token``: tells two runs apart.

    ``boot``: tells two machines, and two starts of one, apart; empty where the system has no such number.
    """

    pid: int
    token: str = ""
    host: str = ""
    boot: str = ""


def this_owner() -> Owner:
    """A new owner: this process."""
    return Owner(os.getpid(), os.urandom(8).hex(), socket.gethostname(), boot_id())


@functools.cache
def boot_id() -> str:
    """Linux's number of this start of the system; empty elsewhere."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read(8)
    except (OSError, UnicodeDecodeError):
        return ""


def header_of(owner: Owner, size: int = HEADER_SIZE) -> bytes:
    """The header of a journal. ``size``: that of the header that it replaces."""
    if size != HEADER_SIZE:
        return _OLD_HEADER.format(owner.pid).encode()
    host = owner.host.encode("ascii", "replace").decode("ascii")[:_MAX_HOST]
    about = json.dumps({"run": owner.token, "host": host, "boot": owner.boot})
    return b"%s%10d, %s\n" % (_PREFIX, owner.pid, about[1:].encode().ljust(HEADER_SIZE - len(_PREFIX) - 13))


def read_header(start: bytes) -> tuple[Owner, int] | None:
    """The owner in a journal's first bytes, and the size of its header; None if these are not a journal's."""
    line, end, _ = start[:HEADER_SIZE].partition(b"\n")
    size = len(line) + len(end)
    if not end or not line.startswith(_PREFIX) or size not in (HEADER_SIZE, _OLD_HEADER_SIZE):
        return None
    try:
        values = json.loads(line)
        return Owner(int(values["pid"]), *(str(values.get(name, "")) for name in ("run", "host", "boot"))), size
    except (ValueError, TypeError, KeyError):
        return None


def is_begun(start: bytes) -> bool:
    """Whether these first bytes are all of a journal whose first run was killed while it wrote the header, or of a new file."""
    return b"\n" not in start and len(start) < HEADER_SIZE and (start + _PREFIX[len(start) :]).startswith(_PREFIX)


def started_line(position: int, provider: str | None, model: str | None, line: str) -> bytes:
    """What is noted before a request is sent. ``line``: the hash of its line; the rest is its key."""
    text = f'{{"started": [{position}{_route_of_key(provider, model)}], "line": "{line}"}}\n'
    return text.encode("utf-8", "backslashreplace")


def outcome_start(position: int, provider: str | None, model: str | None, line: int) -> bytes:
    """How the line of an outcome begins, as ``records.journal_line`` writes it: with the key, and with the line's hash."""
    text = f'{{"done": [{position}{_route_of_key(provider, model)}], "head": ["{line:016x}"'
    return text.encode("utf-8", "backslashreplace")


@functools.lru_cache(64)
def _route_of_key(provider: str | None, model: str | None) -> str:
    return f", {_ENCODER.encode(provider)}, {_ENCODER.encode(model)}"


def line_of(entry: dict[str, Any]) -> bytes:
    """An entry as a line of the journal."""
    return _ENCODER.encode(entry).encode("utf-8", "backslashreplace") + b"\n"


def is_note(line: bytes) -> bool:
    """Whether a line is one that a run writes beside its outcomes, or blank."""
    if not line.strip():
        return True
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(values, dict) and next(iter(values), "") in (
        "started",
        "unsent",
        "run",
        "settings",
        "finished",
        "reopened",
        "job",
        "background",
        "llm-sync batch",
    )


def pieces_of(line: bytes) -> list[bytes]:
    """A line that cannot be read, split where another line begins within it: a program wrote between two of its bytes.

    The first piece is what stands before the first such place; it may be empty.
    """
    places = sorted(place for start in _STARTS for place in _all_places(line, start))
    return [line[begin:end] for begin, end in zip([0, *places], [*places, len(line)], strict=True)]


def _all_places(line: bytes, start: bytes) -> Iterator[int]:
    place = line.find(start)
    while place >= 0:
        yield place
        place = line.find(start, place + 1)


def lines_of(path: str, since: int = 0) -> Iterator[tuple[int, bytes]]:
    """Every line of a journal after the header, from an offset on, with its offset. The last may be partial. Raises OSError."""
    with open(path, "rb") as file:
        offset = max(since, len(file.readline()))
        file.seek(offset)
        for line in file:
            yield offset, line
            offset += len(line)


def unfinished_part(path: str, output_checksum: Callable[[], OutputChecksum]) -> tuple[int, bool]:
    """From which offset on the output does not hold the journal's lines, and whether a run after it began anew (``--restart``).

    ``output_checksum`` is called if a run wrote its output, but did not remove the journal. Raises OSError.
    """
    since, anew, checksum = 0, False, None
    for offset, line in lines_of(path):
        if line.startswith(b'{"run"'):
            anew = anew or b'"anew": true' in line
        elif line.startswith(b'{"finished"'):
            checksum = checksum or output_checksum()
            if line == line_of({"finished": checksum}):
                since, anew = offset + len(line), False
        elif line.startswith(b'{"reopened"'):
            since = 0
    return since, anew
