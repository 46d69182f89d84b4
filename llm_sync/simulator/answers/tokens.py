"""The simulator's tokens: pieces of up to six letters, with the white space before them, and punctuation marks."""

from __future__ import annotations

import hashlib
import json
import re

_PIECE = re.compile(r"\s*(?:\w{1,6}|[^\w\s])")
_ESTIMATE_FROM = 4000  # characters; the tokens of longer texts are estimated


def split_tokens(text: str) -> list[str]:
    """The tokens of a text; joined, they are the text without white space at its end."""
    return _PIECE.findall(text)


def count_tokens(text: str) -> int:
    """The number of tokens; for long texts, estimated at four characters a token."""
    return len(text) // 4 if len(text) > _ESTIMATE_FROM else len(split_tokens(text))


def count_json_tokens(document: object) -> int:
    """The number of tokens of a part of a payload (tools, schemas), as JSON."""
    return count_tokens(json.dumps(document)) if document else 0


def image_placeholder(reference: object) -> str:
    """The text that stands for an image in a turn, so that different images get different answers."""
    return f"[image {hashlib.blake2b(str(reference).encode('utf-8', 'surrogatepass'), digest_size=6).hexdigest()}]"
