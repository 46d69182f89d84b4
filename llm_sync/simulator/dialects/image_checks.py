"""Pictures as requests carry them: whether their base64 can be decoded, and of what kind they really are."""

from __future__ import annotations

import base64
import binascii

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


def decoded(data: str, *, lenient: bool = False) -> bytes | None:
    """The bytes, or None where it is no base64. ``lenient``: the URL's alphabet and missing padding pass, as in proto JSON."""
    if lenient:
        data = data.rstrip("=").replace("-", "+").replace("_", "/")
        data += "=" * (-len(data) % 4)
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def media_type(content: bytes) -> str | None:
    """The kind of picture by its first bytes; None for what is none that models read."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for beginning, kind in _BEGINNINGS if content.startswith(beginning)), None)
