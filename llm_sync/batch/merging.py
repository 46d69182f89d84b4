"""Finished outputs put together in the order of the input: shards of one batch, or the same lines asked of other models."""

from __future__ import annotations

import contextlib
import gzip
import heapq
import itertools
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from llm_sync.batch.output import replacing
from llm_sync.batch.state import records as state_records
from llm_sync.batch.state.records import Head
from llm_sync.errors import InvalidRequestError

_MOST_LISTED = 1000  # ranges of missing lines that are told


@dataclass
class Merged:
    """What was put together. ``missing``: ranges (first, last) of input lines without any record, at most 1,000 of them;
    ``missing_count`` all of them. ``doubles``: records left out as another of the same request stands there. ``lines``: the
    input's, as far as the outputs tell.
    """

    records: int = 0
    answered: int = 0
    doubles: int = 0
    lines: int = 0
    missing_count: int = 0
    missing: list[tuple[int, int]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(vars(self))


class _Found(NamedTuple):
    """One line of one output."""

    head: Head
    content: bytes


def merge(outputs: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str]) -> Merged:
    """Put finished outputs of ``run`` together into one, in the order of their input, and say what is missing.

    Memory for one line of each. Of two records of one request the answered one is taken, the first of two answers. Raises
    InvalidRequestError for a file that is no output, is not finished, or comes from another input than the others; OSError.
    """
    paths = [os.path.realpath(path) for path in outputs]
    target = os.path.realpath(output)
    if target in paths or len(set(paths)) < len(paths):
        what = f"{target!r} is to be merged into itself" if target in paths else "an output is named twice"
        raise InvalidRequestError(what, guidance="Name each output once, and another file for -o.")
    _refuse_other_files(target)
    merged = Merged()
    told = 0
    with contextlib.ExitStack() as files, replacing(target) as out:
        grouped = [_groups(path, files) for path in paths]
        expected = 0
        for position, groups in itertools.groupby(heapq.merge(*grouped, key=_position), _position):
            _note_missing(merged, expected, position)
            expected = position + 1
            for found in _chosen(position, list(groups), merged):
                content, lines = _without_shard(found.content)
                told = max(told, lines)
                out.write(content + b"\n")
                merged.records += 1
                merged.answered += found.head.answered
        merged.lines = max(expected, told)
        _note_missing(merged, expected, merged.lines)
    return merged


def _refuse_other_files(target: str) -> None:
    """What is replaced has been an output: whoever mistypes -o keeps the file. Raises OSError."""
    what = "has a batch under way" if os.path.exists(f"{target}.part") else None
    if what is None and os.path.exists(target):
        with contextlib.ExitStack() as files:
            try:
                next(_records(target, files), None)
            except InvalidRequestError:
                what = "exists, but is not the output of a batch"
    if what is not None:
        raise InvalidRequestError(f"{target!r} {what}", guidance="Name another file for -o, or move that away.")


def _note_missing(merged: Merged, expected: int, position: int) -> None:
    if position > expected:
        merged.missing_count += position - expected
        if len(merged.missing) < _MOST_LISTED:
            merged.missing.append((expected, position - 1))


_Group = tuple[int, str, list[_Found]]


def _position(group: _Group) -> int:
    return group[0]


def _groups(path: str, files: contextlib.ExitStack) -> Iterator[_Group]:
    """The records of each input line in one output."""
    last = -1
    for position, found in itertools.groupby(_records(path, files), lambda found: found.head.position):
        if position <= last:
            raise InvalidRequestError(f"{path!r} is not in order: line {position} comes after {last}", guidance="Run it again.")
        last = position
        yield position, path, list(found)


def _records(path: str, files: contextlib.ExitStack) -> Iterator[_Found]:
    if not os.path.exists(path) and os.path.exists(f"{path}.part"):
        raise InvalidRequestError(f"{path!r} is not finished", guidance="Run its command again until it is.")
    file = files.enter_context(gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb"))  # noqa: SIM115  (entered)
    try:
        for number, line in enumerate(file, 1):
            if line.strip():
                head = state_records.head_of_record(line)
                if head is None:
                    raise InvalidRequestError(
                        f"line {number} of {path!r} is not a record of a batch", guidance="Name outputs only."
                    )
                yield _Found(head, line.rstrip(b"\r\n"))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise OSError(0, f"it is not a complete gzip file ({error})", path) from None


def _chosen(position: int, groups: list[_Group], merged: Merged) -> list[_Found]:
    """The records of one input line, one for each model."""
    chosen: dict[tuple[str | None, str | None], _Found] = {}
    first, path = groups[0][2][0], groups[0][1]
    for _, other, records in groups:
        for found in records:
            if found.head.line != first.head.line:
                raise InvalidRequestError(
                    f"line {position} is another one in {path!r} than in {other!r}", guidance="Merge outputs of one input only."
                )
            where = (found.head.provider, found.head.model)
            before = chosen.get(where)
            merged.doubles += before is not None
            if before is None or (found.head.answered and not before.head.answered):
                chosen[where] = found
    return list(chosen.values())


def _without_shard(content: bytes) -> tuple[bytes, int]:
    """A record without what holds for its shard alone, and the number of lines of the whole input that it tells."""
    if b'"shard"' not in content:
        return content, 0
    found = json.loads(content)
    ours = found.get("llm_sync", found)
    if ours.pop("shard", None) is None:
        return content, 0
    lines = ours.pop("lines", 0)
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "backslashreplace"), lines
