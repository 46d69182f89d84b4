"""What a table of error words is made of. A table holds data only; ``lookup`` reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from llm_sync.providers.error_shapes import ApiError

Statuses = tuple[tuple[int, int], ...]
"""HTTP statuses as pairs of first and last. An error in a good reply that names no status has the reply's."""

GOOD = (0, 399)
ANY: Statuses = ((0, 999),)
CLIENT: Statuses = (GOOD, (400, 499))
SERVER: Statuses = (GOOD, (500, 599))
REFUSED: Statuses = (GOOD, (400, 400), (403, 403), (422, 422))
"""The statuses that only say that the request is refused."""


def normalized(word: str) -> str:
    """A code in the one spelling that tables use: gateways change capitals and hyphens."""
    return word.strip().lower().replace("-", "_").replace(" ", "_")


@dataclass(frozen=True)
class Words:
    """Codes, types or reasons (``names``, between blanks, in normalized spelling) that decide over some statuses.

    ``dialects``: valid in these only, by type; None: in any. ``vague``: as wide as a status ("rate_limit_error" beside a text
    about a budget), so the message decides before it. ``source``: who sends them.
    """

    names: str
    source: str
    statuses: Statuses = ANY
    dialects: tuple[str, ...] | None = None
    vague: bool = False

    def applies(self, error: ApiError, dialect: str | None) -> bool:
        """Whether the entry may decide over ``error``."""
        return _in(error.status, self.statuses) and (self.dialects is None or dialect in self.dialects)


@dataclass(frozen=True)
class Phrases:
    """Regular expressions that decide by the message, over some statuses, if no code does.

    ``unless``: a pattern that rules the entry out. The other fields are as in Words.
    """

    patterns: tuple[str, ...]
    source: str
    statuses: Statuses = ANY
    dialects: tuple[str, ...] | None = None
    unless: str | None = None

    def match(self, error: ApiError, text: str, dialect: str | None) -> bool:
        """Whether the entry says what ``error`` means; ``text`` is what its message and its codes say."""
        if not _in(error.status, self.statuses) or (self.dialects is not None and dialect not in self.dialects):
            return False
        if self.unless is not None and re.search(self.unless, text, re.IGNORECASE):
            return False
        return any(re.search(pattern, text, re.IGNORECASE | re.DOTALL) for pattern in self.patterns)


@dataclass(frozen=True)
class Meaning:
    """One meaning: the class of ``llm_sync.errors`` and everything that says it."""

    kind: type
    words: tuple[Words, ...] = ()
    phrases: tuple[Phrases, ...] = field(default=())


def _in(status: int, statuses: Statuses) -> bool:
    return any(low <= status <= high for low, high in statuses)
