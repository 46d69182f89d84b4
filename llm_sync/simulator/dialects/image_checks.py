"""Checks of images in requests: whether their base64 is valid, and of which type the data are."""

from __future__ import annotations

import base64
import binascii

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


def decode_base64(data: str, *, lenient: bool = False) -> bytes | None:
    """The bytes, or None if this is not base64. ``lenient``: accepts the URL alphabet and missing padding, as proto JSON does."""
    if lenient:
        data = data.rstrip("=").replace("-", "+").replace("_", "/")
        data += "=" * (-len(data) % 4)
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def detect_media_type(content: bytes) -> str | None:
    """The image type by the first bytes; None for data that models do not accept as an image."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for beginning, kind in _SIGNATURES if content.startswith(beginning)), None)
