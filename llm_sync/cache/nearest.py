"""What a miss says: the stored request that is most like the one asked, and what differs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from llm_sync.cache.entry import Entry
from llm_sync.cache.key import sample_key
from llm_sync.cache.store import Store
from llm_sync.errors import CacheMissError
from llm_sync.models import PreparedRequest

_MAX_COMPARED = 2000  # stored requests
_MAX_DIFFERENCES = 5
_MAX_SHOWN = 60  # characters of a value
_MAX_DEPTH = 20
_ABSENT = "(absent)"


class Difference(NamedTuple):
    """A value at ``path`` that is ``stored`` in the nearest request, but ``asked`` now; each as a short text."""

    path: str
    stored: str
    asked: str

    def __str__(self) -> str:
        return f"{self.path}: {self.stored} is stored, {self.asked} is asked"


def miss(store: Store, prepared: PreparedRequest, digest: str, *, compare: bool) -> CacheMissError:
    """The error for a request that has no stored answer. ``compare``: look for the nearest stored request."""
    error = CacheMissError(
        f"the answer is not stored in {store.folder}, and nothing may be sent",
        provider=prepared.provider,
        model=prepared.model,
        attempts=0,
        guidance="Run it once without --offline to store the answer.",
    )
    nearest = _nearest(store, prepared) if compare else None
    if nearest is not None:
        entry, differences = nearest
        error.nearest = entry.key
        more = len(differences) - _MAX_DIFFERENCES
        told = "; ".join(map(str, differences[:_MAX_DIFFERENCES])) + (f"; and {more} more" if more > 0 else "")
        error.args = (f"{error.message}. The nearest stored request is {entry.key[:12]}. {told or 'It cannot be read'}",)
    elif compare:
        key = sample_key(digest, prepared.sample)
        error.args = (f"{error.message}. Nothing like it is stored (key {key[:12]})",)
    return error


def _nearest(store: Store, prepared: PreparedRequest) -> tuple[Entry, list[Difference]] | None:
    """The stored request with the fewest differences; among equals, the one whose texts begin alike for longest."""
    asked = _values_of(prepared.dialect, prepared.url, prepared.model, prepared.sample, json.loads(prepared.body))
    best: tuple[tuple[int, int], Entry, list[Difference]] | None = None
    for number, path in enumerate(store.paths()):
        if number >= _MAX_COMPARED:
            break
        entry = store.load(path)
        if entry is None:
            continue
        stored = _values_of(entry.dialect, entry.url, entry.model, entry.sample, entry.request())
        different = [name for name in dict.fromkeys([*asked, *stored]) if asked.get(name) != stored.get(name)]
        alike = sum(_common_length(asked.get(name, ""), stored.get(name, "")) for name in different)
        rank = (len(different), -alike)
        if best is None or rank < best[0]:
            best = rank, entry, [_difference(name, stored.get(name), asked.get(name)) for name in different]
    return None if best is None else best[1:]


def _values_of(dialect: str, url: str, model: str, sample: int, request: Any) -> dict[str, str]:
    """Everything that decides the answer, by its path, as text."""
    values = {"dialect": dialect, "address": url, "model": model, "sample": str(sample)}
    values.update(_flat(request, ""))
    return values


def _flat(value: Any, path: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value and depth < _MAX_DEPTH:
        for name, item in value.items():
            yield from _flat(item, f"{path}.{name}" if path else str(name), depth + 1)
    elif isinstance(value, list) and value and depth < _MAX_DEPTH:
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}[{index}]", depth + 1)
    else:
        yield path, json.dumps(value, ensure_ascii=False)


def _common_length(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginnings and ends."""
    most = min(len(one), len(other))
    begin = _longest(most, lambda size: one.startswith(other[:size]))
    return begin + _longest(most - begin, lambda size: one.endswith(other[len(other) - size :]))


def _longest(most: int, are_alike: Callable[[int], bool]) -> int:
    """The largest number up to ``most`` that ``are_alike`` is true of, as it is of all smaller ones: by halving, as texts may be
    long, and many are compared."""
    low = 0
    while low < most:
        middle = (low + most + 1) // 2
        if are_alike(middle):
            low = middle
        else:
            most = middle - 1
    return low


def _difference(path: str, stored: str | None, asked: str | None) -> Difference:
    """Both values, cut to where they begin to differ."""
    if stored is None or asked is None:
        return Difference(path, *(_ABSENT if value is None else _cut(value, 0) for value in (stored, asked)))
    begin = _longest(min(len(stored), len(asked)), lambda size: stored.startswith(asked[:size]))
    start = max(0, begin - _MAX_SHOWN // 3) if max(len(stored), len(asked)) > _MAX_SHOWN else 0
    return Difference(path, _cut(stored, start), _cut(asked, start))


def _cut(text: str, start: int) -> str:
    """A part of a text; what is missing is marked."""
    shown = text[start : start + _MAX_SHOWN]
    return f"{'…' if start else ''}{shown}{'…' if start + _MAX_SHOWN < len(text) else ''}"
