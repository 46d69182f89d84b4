"""The fields of a line that come back on its record, under ``input``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.events import logger

_log = logger("batch")


class KeptFields:
    """Which fields are kept: those named, or all that no request has (``keep_all``). Any thread may use it.

    A name is a field of the line, a path into objects (``meta.source``), or a prefix (``meta.*``): all fields and members of
    an object with this prefix.
    """

    def __init__(self, names: Sequence[str] = (), *, keep_all: bool = False) -> None:
        if isinstance(names, str) or not all(names):
            raise InvalidRequestError("keep is not a list of names", guidance='Give names of fields: keep=["reference"].')
        self._names = tuple(names)
        self._keep_all = keep_all
        self._missing = set(self._names)
        self._warned: set[str] = set()

    def __bool__(self) -> bool:
        """Whether any field is kept."""
        return self._keep_all or bool(self._names)

    def allows(self, name: str, known: Sequence[str]) -> bool:
        """Whether a line may have a field that no request has. ``known``: the fields of a request."""
        if any(name == kept or kept.startswith(f"{name}.") or _has_prefix(name, kept) for kept in self._names):
            return True
        if self._keep_all and name not in self._warned:
            self._warned.add(name)
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            if near:
                _log.warning("the field %r is kept, not sent; did you mean %s?", name, near[0])
        return self._keep_all

    def of(self, line: Mapping[str, Any], request_fields: AbstractSet[str]) -> dict[str, Any]:
        """The kept fields of a line. ``request_fields``: those that ``keep_all`` leaves out."""
        kept = {name: value for name, value in line.items() if name not in request_fields} if self._keep_all else {}
        for name in self._names:
            values = dict(_members(line, name))
            if values:
                self._missing.discard(name)
                kept.update(values)
        return kept

    def check(self, columns: Sequence[str]) -> None:
        """Raise InvalidRequestError for a name that is no column of a table."""
        for name in self._names:
            if not any(name == column or _has_prefix(column, name) for column in columns):
                listed = f"The columns are: {', '.join(columns)}."
                near = difflib.get_close_matches(name, columns, n=1)
                raise InvalidRequestError(
                    f"--keep names a column {name!r}", guidance=f"Did you mean {near[0]!r}? {listed}" if near else listed
                )

    def warn_of_missing(self, source: str) -> None:
        """Warn of names that no line had."""
        if self._missing:
            _log.warning("no line of %s has %s to keep", source, ", ".join(map(repr, sorted(self._missing))))


def _has_prefix(name: str, kept: str) -> bool:
    return kept.endswith(".*") and name.startswith(kept[:-1])


def _members(line: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    """The values that a name stands for, each with its own name."""
    if name in line:
        yield name, line[name]
    elif name.endswith(".*"):
        yield from ((field, value) for field, value in line.items() if _has_prefix(field, name))
        parent = _at_path(line, name[:-2])
        if isinstance(parent, Mapping):
            yield from ((f"{name[:-1]}{member}", value) for member, value in parent.items())
    else:
        value = _at_path(line, name)
        if value is not _ABSENT:
            yield name, value


_ABSENT = object()


def _at_path(line: Mapping[str, Any], path: str) -> Any:
    value: Any = line
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _ABSENT
        value = value[part]
    return value
