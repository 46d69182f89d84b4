"""Merges finished outputs in the order of the input: shards of one batch, or the same lines sent to other models."""

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
from typing import Any

from llm_sync.batch.partial_outputs import OutputRecord, PartialOutput
from llm_sync.batch.replacing import replacing
from llm_sync.batch.state import records as state_records
from llm_sync.batch.state.records import ANSWERED, Head
from llm_sync.errors import InvalidRequestError

_NO_MODEL = (None, None)
_MAX_LISTED = 1000  # ranges of missing lines that are listed


@dataclass
class Merged:
    """The result of a merge. ``missing``: ranges (first, last) of input lines without a record, at most 1,000 of them;
    ``missing_count``: the number of all missing lines. ``doubles``: records left out, because another one of the same request
    was taken. ``lines``: the number of lines of the input, as far as the outputs say.
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


class _OtherInputError(Exception):
    """Two outputs have different lines at one position."""

    def __init__(self, position: int, path: str, other: str) -> None:
        super().__init__(position, path, other)
        self.position, self.paths = position, (path, other)

    def refusal(self) -> InvalidRequestError:
        """What to tell the caller if neither output is of some lines of the other's input."""
        path, other = self.paths
        return InvalidRequestError(
            f"the record with index {self.position} is of another line in {path!r} than in {other!r}",
            guidance="Merge outputs of one input only.",
        )


def merge(outputs: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str]) -> Merged:
    """Merge finished outputs of ``run`` into one, in the order of their input, and report what is missing.

    An output may be of some of the lines only, such as those that failed: its records are found by what was sent. Needs memory
    for one line of each output, and for all of such a smaller one. Of two records of one request the answered one is taken; of
    two answers, the complete one, else the first. Raises OSError; InvalidRequestError for a file that is not an output, is
    unfinished, or has another input than the others.
    """
    paths = [os.path.realpath(path) for path in outputs]
    target = os.path.realpath(output)
    if target in paths or len(set(paths)) < len(paths):
        what = f"{target!r} cannot be merged into itself" if target in paths else "an output is named twice"
        raise InvalidRequestError(what, guidance="Name each output once, and another file for -o.")
    _refuse_other_files(target)
    partial: list[str] = []
    while True:
        try:
            return _merge(paths, partial, target)
        except _OtherInputError as error:  # noqa: PERF203  (a few times at most)
            smaller = min((path for path in error.paths if path not in partial), key=os.path.getsize)
            if len(partial) + 1 == len(paths):
                raise error.refusal() from None
            partial.append(smaller)


def _merge(paths: list[str], partial: list[str], target: str) -> Merged:
    """Merge outputs, of which those in ``partial`` are of some lines only. Raises _OtherInputError."""
    merged = Merged()
    known_lines = 0
    with contextlib.ExitStack() as files, replacing(target) as out:
        grouped = [_groups(path, files) for path in paths if path not in partial]
        others = [PartialOutput(path, _records(path, files)) for path in partial]
        expected = 0
        for position, groups in itertools.groupby(heapq.merge(*grouped, key=_position), _position):
            _note_missing(merged, expected, position)
            expected = position + 1
            together = list(groups)
            line = together[0][2][0]
            together += [(position, other.path, taken) for other in others if (taken := other.take(line))]
            for record in _chosen(position, together, merged):
                content, lines = _without_shard(record.content)
                known_lines = max(known_lines, lines)
                out.write(content + b"\n")
                merged.records += 1
                merged.answered += record.head.answered
        merged.lines = max(expected, known_lines)
        _note_missing(merged, expected, merged.lines)
        for other in others:
            left = other.left()
            if left is not None:
                raise _OtherInputError(
                    left.head.position, other.path, next(path for path in paths if path not in partial)
                ).refusal()
    return merged


def _refuse_other_files(target: str) -> None:
    """Replace only an output, so that a mistyped -o costs no other file. Raises InvalidRequestError, OSError."""
    what = "has an unfinished batch" if os.path.exists(f"{target}.part") else None
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
        if len(merged.missing) < _MAX_LISTED:
            merged.missing.append((expected, position - 1))


_Group = tuple[int, str, list[OutputRecord]]


def _position(group: _Group) -> int:
    return group[0]


def _groups(path: str, files: contextlib.ExitStack) -> Iterator[_Group]:
    """The records of each input line in one output."""
    last = -1
    for position, group in itertools.groupby(_records(path, files), lambda record: record.head.position):
        if position <= last:
            raise InvalidRequestError(f"{path!r} is not in order: line {position} comes after {last}", guidance="Run it again.")
        last = position
        yield position, path, list(group)


def _records(path: str, files: contextlib.ExitStack) -> Iterator[OutputRecord]:
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
                yield OutputRecord(head, line.rstrip(b"\r\n"))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise OSError(0, f"it is not a complete gzip file ({error})", path) from None


def _chosen(position: int, groups: list[_Group], merged: Merged) -> list[OutputRecord]:
    """The records of one input line, one for each model."""
    chosen: dict[tuple[str | None, str | None], OutputRecord] = {}
    first, path = groups[0][2][0], groups[0][1]
    for _, other, records in groups:
        for record in records:
            same_content = record.head.content and record.head.content == first.head.content
            if record.head.line != first.head.line and not same_content:
                raise _OtherInputError(position, path, other)
            target = (record.head.provider, record.head.model)
            before = chosen.get(target)
            merged.doubles += before is not None
            if before is None or _worth(record.head) > _worth(before.head):
                chosen[target] = record
    if len(chosen) > 1 and chosen.pop(_NO_MODEL, None) is not None:
        merged.doubles += 1  # a line that could not be sent, and has been by now
    return list(chosen.values())


def _worth(head: Head) -> int:
    """0 for a failure, 1 for a truncated answer, 2 for a complete one."""
    return head.answered + (head.outcome == ANSWERED)


def _without_shard(content: bytes) -> tuple[bytes, int]:
    """A record without its shard, and the number of lines of the whole input (0 if unknown)."""
    if b'"shard"' not in content:
        return content, 0
    values = json.loads(content)
    ours = values.get("llm_sync", values)
    if ours.pop("shard", None) is None:
        return content, 0
    lines = ours.pop("lines", 0)
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "backslashreplace"), lines
