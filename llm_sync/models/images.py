"""Images of a request: from a path, bytes or a URL to a URL, or bytes with their media type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models.media import Media, read_source

# First bytes of the four formats that every vision model accepts (RFC 2083, ITU-T T.81, GIF89a, RIFF/WebP).
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


@dataclass(frozen=True, repr=False)
class Image(Media):
    """Either ``url`` (https or http), or ``content`` bytes of ``media_type``."""


def load_image(source: Any) -> Image:
    """Read ``source``: bytes, an http(s) or data URL, or the path of a file.

    Raises InvalidRequestError for a file that cannot be read and for bytes that are no PNG, JPEG, GIF or WebP.
    """
    if isinstance(source, Image):
        return source
    read = read_source(source, "image")
    if read.url:
        return Image(url=read.url)
    if read.media_type and not read.media_type.startswith("image/"):
        raise InvalidRequestError("an image's data URL is not base64 of an image", guidance="Write data:image/png;base64,…")
    media_type = image_type(read.content) or read.media_type  # the bytes decide
    if media_type:
        return Image(content=read.content, media_type=media_type)
    raise InvalidRequestError(
        f"{read.shown} is not a PNG, JPEG, GIF or WebP", guidance="Convert it: providers take these four formats."
    )


def image_type(content: bytes) -> str | None:
    """The media type of an image by its first bytes; None for anything else."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for signature, media_type in _SIGNATURES if content.startswith(signature)), None)
