"""Removes from an error the keys that the provider echoed, before anyone sees it.

What an error means is decided on the reply as it came; only what the error shows is changed.
"""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from llm_sync.config.models import ProviderConfig, is_credential
from llm_sync.errors import LLMConnectorError

SHOWN = "[key]"
_MIN_LENGTH = 8  # characters; anything shorter is a placeholder that local servers accept as a key ("none", "ollama")
_LONG = 12  # characters; the beginning of a key this long identifies it
_REST = r"[^\s\"'<>\\,;)]*"
# How providers abbreviate keys: "sk-ab***wxyz"; escaped if a gateway passes on JSON as a text.
_MASK = re.compile(r"\*{2,}|\.{3,}|…|\\u2026|&hellip;|(?:•|\\u2022){2,}")
_AROUND = 64  # characters looked at on either side of a mask


class Redactor:
    """Replaces one provider's secrets in texts and errors. Immutable."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {form for secret in secrets if len(secret) >= _MIN_LENGTH for form in _spellings(secret)}
        self._spellings = sorted(spellings, key=len, reverse=True)
        forms = [re.escape(form) for form in self._spellings]
        beginnings = [form[: max(6, min(12, len(form) // 4))] for form in self._spellings if len(form) >= _LONG]
        forms += [re.escape(form) + _REST for form in beginnings]  # also where a message was cut within it
        self._pattern = re.compile("|".join(forms)) if forms else None

    def text(self, text: str) -> str:
        """``text`` with every secret, whole, quoted or abbreviated, as ``[key]``."""
        if self._pattern is None:
            return text
        text = self._pattern.sub(SHOWN, text)
        pieces, done = [], 0
        for mask in _MASK.finditer(text):
            before, after = text[max(done, mask.start() - _AROUND) : mask.start()], text[mask.end() : mask.end() + _AROUND]
            head = max(_overlap(before, form) if form[:2] in before else 0 for form in self._spellings)
            tail = max(_overlap(form, after) if form[-2:] in after else 0 for form in self._spellings)
            if mask.start() >= done and (head > 1 or tail > 1):
                pieces += [text[done : mask.start() - head], SHOWN]
                done = mask.end() + tail
        return "".join([*pieces, text[done:]]) if pieces else text

    def whole(self, text: str) -> str:
        """``text`` with every secret that stands there whole as ``[key]``. What only looks like one is left: texts that are used
        as they are must not lose anything else."""
        for spelling in self._spellings:  # longest first
            if spelling in text:
                text = text.replace(spelling, SHOWN)
        return text

    def error(self, error: LLMConnectorError) -> None:
        """Change ``error`` so that nothing it carries shows a secret."""
        if self._pattern is None:
            return
        error.args = self._value(error.args)
        for name, value in vars(error).items():
            setattr(error, name, self._attribute(value))

    def _attribute(self, value: Any) -> Any:
        try:
            return self._value(value)
        except RecursionError:
            return None  # too deeply nested to be searched

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(self._value, value))
        if isinstance(value, (list, tuple)):
            return type(value)(map(self._value, value))
        if isinstance(value, Mapping):
            return {self._value(key): self._value(item) for key, item in value.items()}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.replace(value, **{f.name: self._value(getattr(value, f.name)) for f in dataclasses.fields(value)})
        return value


def secrets_in(config: ProviderConfig, base_url: str) -> list[str]:
    """The secret values among a provider's headers, query and URL, by their names."""
    parts = urlsplit(base_url)
    named = [*config.headers.items(), *config.query.items(), *parse_qsl(parts.query)]
    by_variable = {name for field, name in config.templates if field in ("headers", "query")}
    values = [value for name, value in named if is_credential(name) or name in by_variable]
    return [*values, *(value.rpartition(" ")[2] for value in values), unquote(parts.password or "")]


def _spellings(secret: str) -> set[str]:
    """A secret in the spellings of URLs, HTML and JSON."""
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret), html.escape(secret)}
    return {secret, secret.replace("/", "\\/"), *quoted}


def _overlap(left: str, right: str) -> int:
    """How many characters ``left`` ends with that ``right`` begins with."""
    return next((size for size in range(min(len(left), len(right)), 0, -1) if left.endswith(right[:size])), 0)
