"""How many texts go into one request, and the grouping by that."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_REQUEST_BYTES = 4 << 20
MAX_ANSWER_BYTES = 16 << 20  # several may be in memory at once
_MAX_DIMENSIONS = 3072  # of the models that are asked without a number of dimensions
BASE64_BYTES = 5.4  # of an answer for each number of a vector: four bytes as base64
DECIMAL_BYTES = 24.0  # the same in digits, with sign, exponent and comma


@dataclass(frozen=True)
class TextLimits:
    """The most of one request. ``texts``: their number; ``tokens``: of all together (None: not limited).

    A token is at least one byte, so a group that has no more bytes than ``tokens`` is never refused for its tokens.
    ``bytes``: of all texts together in UTF-8.
    """

    texts: int
    tokens: int | None = None
    bytes: int = MAX_REQUEST_BYTES

    def of_answers(self, max_bytes: int, number_bytes: float, dimensions: int | None) -> TextLimits:
        """No more texts than have room in an answer of ``max_bytes``, or 16 MiB; ``number_bytes``: of each number of a vector."""
        room = int(min(max_bytes, MAX_ANSWER_BYTES) / 1.1 / (number_bytes * (dimensions or _MAX_DIMENSIONS)))
        return dataclasses.replace(self, texts=max(1, min(self.texts, room)))

    def with_texts(self, texts: int | None) -> TextLimits:
        """The same for another number of texts; None: as it is."""
        return self if texts is None else dataclasses.replace(self, texts=texts)


class Grouping:
    """Collects texts into groups that fit into one request each; a text that is too large for any goes alone."""

    def __init__(self, limits: TextLimits) -> None:
        self._texts = limits.texts
        self._bytes = limits.bytes if limits.tokens is None else min(limits.bytes, limits.tokens)
        self._count = self._size = 0

    def begins_group(self, text: str) -> bool:
        """Take the next text; whether it does not fit beside those before it, so that a new group begins with it."""
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        fits = self._count < self._texts and self._size + size <= self._bytes
        begins = self._count > 0 and not fits
        if begins:
            self._count = self._size = 0
        self._count += 1
        self._size += size
        return begins


def grouped(texts: Iterable[str], limits: TextLimits) -> Iterator[list[str]]:
    """The texts in order, in groups that fit into one request each. Takes one text more than it gives."""
    grouping = Grouping(limits)
    group: list[str] = []
    for text in texts:
        if grouping.begins_group(text):
            yield group
            group = []
        group.append(text)
    if group:
        yield group
