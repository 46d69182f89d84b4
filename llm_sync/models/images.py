"""Images of a request: from a path, bytes or a URL to a URL, or bytes with their media type."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import grammar

# First bytes of the four formats that every vision model accepts (RFC 2083, ITU-T T.81, GIF89a, RIFF/WebP).
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


@dataclass(frozen=True)
class Image:
    """Either ``url`` (https or http), or ``content`` bytes of ``media_type``."""

    url: str | None = None
    content: bytes = b""
    media_type: str = ""

    @property
    def base64(self) -> str:
        """The bytes in base64, without line breaks."""
        return base64.b64encode(self.content).decode("ascii")

    @property
    def data_url(self) -> str:
        """The image as one URL: its own, or a ``data:`` URL of its bytes."""
        return self.url or f"data:{self.media_type};base64,{self.base64}"

    def __repr__(self) -> str:
        return f"Image({self.url!r})" if self.url else f"Image({len(self.content)} bytes of {self.media_type})"


def load_image(source: Any) -> Image:
    """Read ``source``: bytes, an http(s) or data URL, or the path of a file.

    Raises InvalidRequestError for a file that cannot be read and for bytes that are no PNG, JPEG, GIF or WebP.
    """
    if isinstance(source, Image):
        return source
    if isinstance(source, bytes):
        return _from_bytes(source, "the image")
    scheme = source[:8].lower() if isinstance(source, str) else ""
    if scheme.startswith(("http://", "https://")):
        return _from_url(source)
    if scheme.startswith("data:"):
        return _from_data_url(source)
    try:
        path = os.fspath(source)
    except TypeError:
        raise InvalidRequestError(
            f"an image is {grammar.type_name(source)}", guidance="Give a path, bytes, or an https or data URL."
        ) from None
    try:
        with open(path, "rb") as file:
            content = file.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidRequestError(
            f"image {path!r} cannot be read: {reason}", guidance="Give a path, bytes, or an https or data URL."
        ) from None
    return _from_bytes(content, repr(path))


def _media_type(content: bytes) -> str | None:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for signature, media_type in _SIGNATURES if content.startswith(signature)), None)


def _from_bytes(content: bytes, name: str) -> Image:
    media_type = _media_type(content)
    if media_type is not None:
        return Image(content=content, media_type=media_type)
    raise InvalidRequestError(
        f"{name} is not a PNG, JPEG, GIF or WebP", guidance="Convert it: providers take these four formats."
    )


def _from_url(url: str) -> Image:
    try:
        url.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidRequestError("an image's URL holds a lone surrogate", guidance="Percent-encode the URL.") from None
    scheme, mark, rest = url.partition("://")
    return Image(url=f"{scheme.lower()}{mark}{rest}")


def _from_data_url(url: str) -> Image:
    head, _, data = url[5:].partition(",")
    media_type, *parameters = head.split(";")
    if "base64" not in parameters or not media_type.startswith("image/"):
        raise InvalidRequestError("an image's data URL is not base64 of an image", guidance="Write data:image/png;base64,…")
    try:
        content = base64.b64decode(data, validate=True)
    except ValueError:
        raise InvalidRequestError("an image's data URL holds broken base64", guidance="Encode the bytes again.") from None
    if not content:
        raise InvalidRequestError("an image's data URL holds no bytes", guidance="Write data:image/png;base64,…")
    return Image(content=content, media_type=_media_type(content) or media_type)  # the bytes decide
