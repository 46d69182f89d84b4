"""What messages hold beyond text and images, and whether a dialect takes it: files, points to cache up to, names.

A dialect says in ``part_types`` which parts it writes; others are refused before anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import Message, ModelRequest, Part, grammar
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.cache_marks import tool_mark

if TYPE_CHECKING:
    from llm_sync.providers.dialect import Dialect

_MARKS_OF_TOOLS = {"cache_control", "cachePoint"}  # the marks that a tool can have, too
_WAYS_OUT = {
    "audio": "Send its transcript, or ask a model that listens (openai, openrouter, gemini).",
    "document": "Send its text, or ask a provider that reads documents.",
}


def check(request: ModelRequest, dialect: Dialect, adjustments: Adjustments) -> None:
    """Report what the dialect leaves out. Raises InvalidRequestError for parts that it cannot send."""
    if not _has_more_than_text(request):
        return
    turns = request.conversation()
    for turn in turns:
        for part in turn.parts:
            if part.type not in dialect.part_types:
                raise InvalidRequestError(
                    f"providers of type {dialect.type} take no {part.type} parts", guidance=_WAYS_OUT.get(part.type)
                )
            if part.detail not in (None, "auto") and not dialect.image_details:
                adjustments.lose("detail", part.detail, None, "this API's images have no detail")
        if turn.name is not None and turn.role != "tool" and not dialect.message_names:
            adjustments.lose("messages.name", turn.name, None, "this API's messages have no names")
    points = list(_cache_points(request, turns))
    mark = dialect.cache_mark(request.model or "", None)
    if points and mark is None:
        adjustments.note("cache", True, None, "this API has no cache points: it caches on its own, or not at all")
    elif any(points) and dialect.cache_mark(request.model or "", "1h") == mark:
        for ttl in sorted({ttl for ttl in points if ttl}):
            adjustments.note("cache_ttl", ttl, None, "this API has one time for all caches")
    for tool in request.tools:
        if tool_mark(tool) and not (mark and mark.keys() & _MARKS_OF_TOOLS):
            adjustments.note("tools.cache_control", tool_mark(tool), None, "this API has no cache points on tools")


def _has_more_than_text(request: ModelRequest) -> bool:
    """Whether there is anything to check: not for the usual request."""
    if request.cache_system or request.documents or any(tool_mark(tool) for tool in request.tools):
        return True
    return any(turn.parts or turn.cache or turn.name for turn in request.messages or ())


def _cache_points(request: ModelRequest, turns: tuple[Message, ...]) -> Iterator[str | None]:
    """The time of each cache point."""
    if request.cache_system and request.system_prompt:
        yield request.cache_ttl
    for turn in turns:
        if turn.cache:
            yield turn.cache_ttl or request.cache_ttl
        yield from (part.cache_ttl or request.cache_ttl for part in turn.parts if part.cache)


def parts_of(turn: Message, *, images_first: bool = False, mark: bool = True) -> tuple[Part, ...]:
    """The parts of a message, also of one with content and images.

    ``mark``: that the message is to be cached stands on its last part.
    """
    parts = list(turn.parts)
    if not parts:
        images = [Part("image", source=image) for image in turn.images]
        texts = [Part("text", text=turn.content)] if turn.content else []
        parts = [*images, *texts] if images_first else [*texts, *images]
    if mark and turn.cache and parts:
        last = parts[-1]
        parts[-1] = Part(**{**vars(last), "cache": True, "cache_ttl": turn.cache_ttl or last.cache_ttl})
    return tuple(parts)


def mark_of(part: Part | Message, request: ModelRequest, dialect: Dialect) -> Mapping[str, Any]:
    """What a part's payload has beside its content: the point to cache up to, if there is one and the API takes it."""
    if not part.cache:
        return {}
    return dialect.cache_mark(request.model or "", part.cache_ttl or request.cache_ttl) or {}


def is_rich(turn: Message) -> bool:
    """Whether a message is written part by part."""
    return bool(turn.parts or turn.cache)


def unreadable(part: Part, what: str, guidance: str) -> InvalidRequestError:
    """The error for a part in a form that the API does not take."""
    return InvalidRequestError(f"{grammar.with_article(part.type)} part cannot be sent: {what}", guidance=guidance)
