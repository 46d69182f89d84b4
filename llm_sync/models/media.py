"""What a file that goes with a request is, whether image, document or audio: a URL, or bytes with their media type."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote

from llm_sync.errors import InvalidRequestError
from llm_sync.models import grammar

WAY_OUT = "Give a path, bytes, or an https or data URL."


@dataclass(frozen=True)
class Media:
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
        """The file as one URL: its own, or a ``data:`` URL of its bytes."""
        return self.url or f"data:{self.media_type};base64,{self.base64}"

    def __repr__(self) -> str:
        kind = type(self).__name__
        return f"{kind}({self.url!r})" if self.url else f"{kind}({len(self.content)} bytes of {self.media_type})"


class Source(NamedTuple):
    """What a source was read to: a URL, or bytes. ``shown``: its name in messages. ``media_type``: the one of a data URL."""

    shown: str
    url: str | None = None
    content: bytes = b""
    media_type: str = ""
    name: str | None = None


def read_source(source: Any, noun: str) -> Source:
    """Read ``source``: bytes, an http(s) or data URL, or the path of a file. ``noun`` names it in messages.

    Raises InvalidRequestError for a file that cannot be read, and a URL that cannot be sent.
    """
    if isinstance(source, bytes):
        return Source(f"the {noun}", content=source)
    scheme = source[:8].lower() if isinstance(source, str) else ""
    if scheme.startswith(("http://", "https://")):
        return Source(f"the {noun}", url=_checked_url(source, noun))
    if scheme.startswith("data:"):
        return _from_data_url(source, noun)
    try:
        path = os.fspath(source)
    except TypeError:
        raise InvalidRequestError(f"{grammar.with_article(noun)} is {grammar.type_name(source)}", guidance=WAY_OUT) from None
    try:
        with open(path, "rb") as file:
            return Source(repr(path), content=file.read(), name=file_name(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidRequestError(f"{noun} {path!r} cannot be read: {reason}", guidance=WAY_OUT) from None


def file_name(path: str | bytes | os.PathLike[str]) -> str:
    """The name of a file as text that can be sent, whatever bytes it has on the disk."""
    return os.path.basename(os.fsencode(path)).decode("utf-8", "replace")


def is_path(source: Any) -> bool:
    """Whether ``source`` names a file of this machine."""
    url = isinstance(source, str) and source[:8].lower().startswith(("http://", "https://", "data:"))
    return isinstance(source, os.PathLike) or (isinstance(source, str) and not url)


def _checked_url(url: str, noun: str) -> str:
    try:
        url.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidRequestError(
            f"{grammar.with_article(noun)}'s URL holds a lone surrogate", guidance="Percent-encode the URL."
        ) from None
    scheme, mark, rest = url.partition("://")
    return f"{scheme.lower()}{mark}{rest}"


def _from_data_url(url: str, noun: str) -> Source:
    whose = f"{grammar.with_article(noun)}'s data URL"
    head, _, data = url[5:].partition(",")
    media_type, *parameters = head.split(";")
    if "base64" not in parameters:
        raise InvalidRequestError(f"{whose} is not base64 of {grammar.with_article(noun)}", guidance=f"Write {_example(noun)}")
    try:
        content = base64.b64decode(data, validate=True)
    except ValueError:
        raise InvalidRequestError(f"{whose} holds broken base64", guidance="Encode the bytes again.") from None
    if not content:
        raise InvalidRequestError(f"{whose} holds no bytes", guidance=f"Write {_example(noun)}")
    name = next((unquote(each[5:]) for each in parameters if each.startswith(("name=",))), None)
    return Source(f"the {noun}", content=content, media_type=media_type, name=name)


def _example(noun: str) -> str:
    kinds = {"image": "image/png", "audio file": "audio/wav"}
    return f"data:{kinds.get(noun, 'application/pdf')};base64,…"
