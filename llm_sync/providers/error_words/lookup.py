"""From an error to its meaning, by the tables of words."""

from __future__ import annotations

from functools import cache

from llm_sync.errors import ProviderError
from llm_sync.providers.error_shapes import ApiError
from llm_sync.providers.error_words.context import CONTEXT
from llm_sync.providers.error_words.entry import Words, normalized
from llm_sync.providers.error_words.key import KEY
from llm_sync.providers.error_words.model import MODEL
from llm_sync.providers.error_words.overload import OVERLOAD, TIMEOUT
from llm_sync.providers.error_words.permission import PERMISSION
from llm_sync.providers.error_words.policy import POLICY
from llm_sync.providers.error_words.quota import QUOTA
from llm_sync.providers.error_words.rate import RATE
from llm_sync.providers.error_words.request import REQUEST

MEANINGS = (CONTEXT, POLICY, QUOTA, KEY, MODEL, PERMISSION, OVERLOAD, RATE, TIMEOUT, REQUEST)
"""In the order in which messages are matched against them."""


def kind_by_words(error: ApiError, dialect: str | None, *, vague: bool) -> type[ProviderError] | None:
    """What the codes of ``error`` say, the most specific code first; None where no table has one of them."""
    index = _index()
    for word in error.words:
        name = normalized(word)
        for known in dict.fromkeys((name, name.partition(".")[0])):  # Throttling.RateQuota is a kind of Throttling
            for kind, entry in index.get(known, ()):
                if entry.vague == vague and entry.applies(error, dialect):
                    return kind
    return None


def kind_by_phrases(error: ApiError, dialect: str | None) -> type[ProviderError] | None:
    """What the message of ``error`` says; None where it says nothing that a table has."""
    text = " ".join((error.text or error.message, *(word for word in error.words if " " in word)))  # xAI's codes are prose
    for meaning in MEANINGS:
        if any(entry.match(error, text, dialect) for entry in meaning.phrases):
            return meaning.kind
    return None


@cache
def _index() -> dict[str, list[tuple[type[ProviderError], Words]]]:
    """Each word and the entries that have it."""
    index: dict[str, list[tuple[type[ProviderError], Words]]] = {}
    for meaning in MEANINGS:
        for entry in meaning.words:
            for name in entry.names.split():
                index.setdefault(name, []).append((meaning.kind, entry))
    return index
