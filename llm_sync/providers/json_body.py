"""JSON of replies: parsing it tolerantly or strictly, and its structure for logs."""

from __future__ import annotations

import json
import re
from typing import Any

# NaN and Infinity are not JSON, but some servers send them as log probabilities, which nobody reads.
_LENIENT = json.JSONDecoder(parse_constant=lambda _: None)
_HALF = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def parse_body(content: bytes) -> Any:
    """The value of a JSON body in UTF-8, whatever its headers say about encodings. Raises ValueError, RecursionError.

    Half of a surrogate pair, left where a token limit cut an emoji in two, becomes U+FFFD, as do bytes that are no UTF-8:
    an answer that was paid for is not lost for one character.
    """
    text = content.decode("utf-8-sig", "replace")
    body = _LENIENT.decode(text)
    return _whole(body) if "\\u" in text and _HALF.search(text) else body


def parse_strictly(text: str) -> Any:
    """The value of a JSON text, which may hold no NaN or Infinity. Raises ValueError for anything else."""
    try:
        return json.loads(text, parse_constant=_refused)
    except RecursionError:
        pass
    raise ValueError("it is nested too deeply")


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return value


def structure_of(body: Any, depth: int = 4) -> Any:
    """The keys and types of ``body`` without its values, for logs: to show what a malformed answer looked like."""
    if isinstance(body, dict):
        return {str(key)[:40]: structure_of(value, depth - 1) for key, value in list(body.items())[:20]} if depth else "{…}"
    if isinstance(body, list):
        return [structure_of(body[0], depth - 1) if depth else "…", f"× {len(body)}"] if body else []
    return type(body).__name__
