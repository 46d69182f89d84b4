"""Tokens as this simulator cuts and counts them: pieces of up to six letters, and what stands between words."""

from __future__ import annotations

import hashlib
import json
import re

_PIECE = re.compile(r"\s*(?:\w{1,6}|[^\w\s])")
_LONG = 4000  # characters from which tokens are estimated instead of counted


def split(text: str) -> list[str]:
    """The tokens of a text, as this simulator cuts them; joined they are the text, but for blanks at its end."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """Tokens of a text; long ones are estimated at four characters a token."""
    return len(text) // 4 if len(text) > _LONG else len(split(text))


def weigh(document: object) -> int:
    """Tokens of a part of a payload that is sent as JSON (tools, schemas)."""
    return count(json.dumps(document)) if document else 0


def image_text(reference: object) -> str:
    """What stands in a turn for an image, so that another image draws another answer."""
    return f"[image {hashlib.blake2b(str(reference).encode('utf-8', 'surrogatepass'), digest_size=6).hexdigest()}]"
