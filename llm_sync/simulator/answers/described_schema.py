"""A JSON Schema that a prompt gives in words, as clients do for models without structured output."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

_BEFORE = re.compile(r"\bJSON[- ]Schema\b[^{\n]{0,40}[:\n]\s*(?:```(?:json)?\s*)?(?=\{)", re.IGNORECASE)
_DECODER = json.JSONDecoder()


def described_schema(turns: Sequence[tuple[str, str]]) -> dict[str, Any] | None:
    """The last object that follows the words "JSON Schema:" in any of the turns, (role, text); None without one."""
    for _, text in reversed(turns):
        for match in reversed(list(_BEFORE.finditer(text))):
            try:
                value, _ = _DECODER.raw_decode(text, match.end())
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                return value
    return None
