"""From the items of an answer to the vectors of the texts: by their index, decoded, and checked."""

from __future__ import annotations

import base64
import binascii
import math
import sys
from array import array
from collections.abc import Iterable
from typing import Any, NamedTuple

from llm_sync.errors import FieldProblem
from llm_sync.models.embeddings import Vector

_MAX_LISTED = 20


class Item(NamedTuple):
    """One item of an answer. ``index``: which text it belongs to, as the provider says; ``value``: numbers, or base64;
    ``place``: where it stands in the body."""

    index: Any
    value: Any
    place: str


class Placed(NamedTuple):
    """What an answer has: a vector or None for each text, by position what is wrong with those that have none, and what is
    wrong with the answer as a whole, of which then nothing is used."""

    vectors: list[Vector | None]
    problems: dict[int, FieldProblem]
    misfits: tuple[FieldProblem, ...] = ()


def placed(items: Iterable[Item], count: int, *, dimensions: int | None, typecode: str = "f") -> Placed:
    """The vectors of ``count`` texts. An item without a valid index, or two with the same one, make the answer unusable.

    ``dimensions``: the length that was asked for. ``typecode``: of the numbers in base64.
    """
    vectors: list[Vector | None] = [None] * count
    problems: dict[int, FieldProblem] = {}
    misfits: list[FieldProblem] = []
    named: set[int] = set()
    for item in items:
        index = item.index
        if isinstance(index, float) and index.is_integer():
            index = int(index)
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < count:
            misfits.append(FieldProblem(f"{item.place}.index", f"a number from 0 to {count - 1}", _shown(item.index)))
        elif index in named:
            misfits.append(FieldProblem(f"{item.place}.index", "another number than the other items", _shown(index)))
        else:
            named.add(index)
            decoded = _decoded(item, typecode)
            if isinstance(decoded, FieldProblem):
                problems[index] = decoded
            else:
                vectors[index] = decoded
    for index in range(count):
        if index not in named:
            problems[index] = FieldProblem(f"text {index}", "a vector", "none")
    return Placed(vectors, problems, (*misfits, *_uneven(vectors, dimensions))[:_MAX_LISTED])


def _uneven(vectors: list[Vector | None], dimensions: int | None) -> list[FieldProblem]:
    """What is wrong with the lengths of the vectors."""
    lengths = sorted({len(vector) for vector in vectors if vector is not None})
    if dimensions is not None and lengths not in ([], [dimensions]):
        return [FieldProblem("dimensions", f"{dimensions}, as asked", " and ".join(map(str, lengths)))]
    if len(lengths) > 1:
        return [FieldProblem("dimensions", "the same for all vectors", " and ".join(map(str, lengths)))]
    return []


def _decoded(item: Item, typecode: str) -> Vector | FieldProblem:
    """The numbers of an item, or what is wrong with them."""
    value = item.value
    if isinstance(value, str):
        value = _from_base64(value, typecode)
        if value is None:
            return FieldProblem(item.place, "base64 of numbers", "other text")
    if not isinstance(value, list) or not value:
        return FieldProblem(item.place, "a list of numbers", "an empty one" if value == [] else type(value).__name__)
    if not set(map(type, value)) <= {float, int}:
        odd = next(each for each in value if type(each) not in (float, int))
        return FieldProblem(item.place, "a list of numbers", f"one with {'null or NaN' if odd is None else type(odd).__name__}")
    try:
        numbers = list(map(float, value))
        if math.isfinite(math.fsum(numbers)):
            return numbers
    except (OverflowError, ValueError):  # of an integer too large, or of infinity and its opposite
        pass
    return FieldProblem(item.place, "finite numbers", "NaN, infinity or a number too large")


def _from_base64(text: str, typecode: str) -> list[float] | None:
    """The numbers in base64, little-endian; None if it is none."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    numbers: array[Any] = array(typecode)
    if len(content) % numbers.itemsize:
        return None
    numbers.frombytes(content)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def _shown(value: object) -> str:
    return repr(value)[:40] if isinstance(value, (int, float, str)) else "nothing" if value is None else type(value).__name__
