"""Checks of documents and of the points to cache up to, as Anthropic makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from llm_sync.simulator.dialects import image_checks

_MAX_MARKS = 4
_SOURCES: Mapping[str, tuple[str | None, tuple[str, ...]]] = {
    "base64": ("application/pdf", ("data", "media_type", "type")),
    "text": ("text/plain", ("data", "media_type", "type")),
    "url": (None, ("type", "url")),
    "file": (None, ("file_id", "type")),
    "content": (None, ("content", "type")),
}


def check_documents(payload: Mapping[str, Any], refuse: Callable[..., NoReturn]) -> None:
    """Checks the documents in ``messages`` that were read already: PDFs in base64 or by URL, or texts."""
    for index, message in enumerate(payload["messages"]):
        content = message.get("content")
        for place, block in enumerate(content if isinstance(content, list) else ()):
            if isinstance(block, dict) and block.get("type") == "document":
                location = f"messages.{index}.content.{place}.document.source"
                if message.get("role") == "assistant":
                    refuse(f"{location}: `document` blocks are not permitted within assistant turns")
                _check_source(block.get("source"), location, refuse)


def _check_source(source: Any, location: str, refuse: Callable[..., NoReturn]) -> None:
    kind = source.get("type") if isinstance(source, dict) else None
    if not isinstance(kind, str) or kind not in _SOURCES:
        known = ", ".join(repr(name) for name in _SOURCES)
        refuse(f"{location}: Input tag {kind!r} found using 'type' does not match any of the expected tags: {known}")
    media_type, keys = _SOURCES[kind]
    for key in source:
        if key not in keys:
            refuse(f"{location}.{kind}.{key}: Extra inputs are not permitted")
    if kind == "url" and not str(source.get("url") or "").startswith("https://"):
        refuse(f"{location}.url.url: Only HTTPS URLs are supported.")
    if media_type is None:
        return
    data = source.get("data")
    if source.get("media_type") != media_type:
        refuse(f"{location}.{kind}.media_type: Input should be {media_type!r}")
    if not isinstance(data, str) or not data:
        refuse(f"{location}.{kind}.data: Field required")
    content = image_checks.decode_base64(data) if kind == "base64" else b"%PDF-"
    if content is None:
        refuse(f"{location}.base64: invalid base64 data")
    if b"%PDF-" not in content[:1024]:
        refuse("The PDF specified was not valid.")


def check_cache_marks(payload: Mapping[str, Any], refuse: Callable[..., NoReturn]) -> None:
    """Checks how many points to cache up to there are, and that those of an hour come before those of five minutes."""
    times = [mark.get("ttl", "5m") for mark in _marks(payload)]
    if len(times) > _MAX_MARKS:
        refuse(f"A maximum of {_MAX_MARKS} blocks with cache_control may be provided. Found {len(times)}.")
    if "5m" in times and "1h" in times[times.index("5m") :]:
        refuse("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block")


def _marks(payload: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The marks in the order in which the prompt is made of the parts: tools, system, messages."""
    lists = [payload.get("tools"), payload.get("system"), *(message.get("content") for message in payload["messages"])]
    for blocks in lists:
        for block in blocks if isinstance(blocks, list) else ():
            if isinstance(block, dict) and isinstance(block.get("cache_control"), dict):
                yield block["cache_control"]
    if isinstance(payload.get("cache_control"), dict):
        yield payload["cache_control"]
