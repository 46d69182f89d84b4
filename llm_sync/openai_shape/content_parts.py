"""Reads the parts of a content list: texts, images, files, audio, in the forms of OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import Part, field_checks, grammar
from llm_sync.models.fields import CACHE_TTLS
from llm_sync.openai_shape.adjustments import Adjustments

_FORMS = "Parts are text (with text), image_url (with a URL), file (with file_data) and input_audio (with data and format)."
_URLS = ("http://", "https://", "data:")
_MARKS = ("cache_control", "prompt_cache_breakpoint")
_READ: Mapping[str, frozenset[str]] = {
    "text": frozenset({"text"}),
    "refusal": frozenset({"refusal"}),
    "image_url": frozenset({"image_url"}),
    "file": frozenset({"file"}),
    "document_url": frozenset({"document_url", "document_name"}),
    "input_audio": frozenset({"input_audio"}),
}


def cache_point(given: dict[str, Any], place: str, adjustments: Adjustments) -> tuple[bool, str | None]:
    """Remove the marks of a point to cache up to from the fields ``given``; whether there is one, and its time."""
    marks = [given.pop(name) for name in _MARKS if given.get(name)]
    if not marks:
        return False, None
    ttl = marks[0].get("ttl") if isinstance(marks[0], Mapping) else None
    if ttl is not None and ttl not in CACHE_TTLS:
        adjustments.lose(f"{place}.cache_control.ttl", ttl, f"a cache is kept for {' or '.join(CACHE_TTLS)}")
        ttl = None
    return True, ttl


class PartReader:
    """Reads parts; what ours cannot express goes to ``adjustments``."""

    def __init__(self, adjustments: Adjustments) -> None:
        self._adjustments = adjustments

    def part(self, part: Any, place: str) -> Part | None:
        """The part; None for one that is not sent as such. Raises InvalidRequestError for one that cannot be sent."""
        if isinstance(part, str):
            return Part("text", text=part) if part else None
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "thinking":
            return None  # Mistral's; it is in the turn's state
        value = part.get(kind) if isinstance(kind, str) else None
        if not isinstance(kind, str) or kind not in _READ or value is None:
            raise InvalidRequestError(
                f"{place} is {f'of type {kind!r}' if kind else what(part)}, which cannot be sent", guidance=_FORMS
            )
        given = {name: item for name, item in part.items() if name != "type" and item not in (None, [], {})}
        cache, ttl = cache_point(given, place, self._adjustments)
        for name in given.keys() - _READ[kind]:
            self._adjustments.lose(f"{place}.{name}", given[name], "parts have no such field")
        if kind in ("text", "refusal"):
            if not isinstance(value, str):
                raise InvalidRequestError(f"{place} is of type {kind!r} without a text", guidance=_FORMS)
            return Part("text", text=value, cache=cache, cache_ttl=ttl) if value else None
        return Part(**_file(kind, value, part, place), cache=cache, cache_ttl=ttl)


def _file(kind: str, value: Any, part: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The fields of an image, a document or a recording."""
    if kind == "image_url":
        detail = value.get("detail") if isinstance(value, Mapping) else None
        url = value if isinstance(value, str) else value.get("url") if isinstance(value, Mapping) else None
        return {"type": "image", "source": _url(url, place), "detail": None if detail == "auto" else detail}
    if kind == "document_url":
        return {"type": "document", "source": _url(value, place), "name": part.get("document_name")}
    fields = value if isinstance(value, Mapping) else {}
    if kind == "file":
        data = fields.get("file_data")
        if not isinstance(data, str):
            raise InvalidRequestError(
                f"{place} names an uploaded file, not its content", guidance="Give file_data: file ids are of one provider only."
            )
        source = data if data[:8].lower().startswith(_URLS) else f"data:application/pdf;base64,{data}"
        return {"type": "document", "source": source, "name": fields.get("filename")}
    data, form = (value, "mp3") if isinstance(value, str) else (fields.get("data"), fields.get("format"))
    if not isinstance(data, str) or not isinstance(form, str):
        raise InvalidRequestError(f"{place}.input_audio has no data or no format", guidance=_FORMS)
    source = data if data[:8].lower().startswith(_URLS) else f"data:audio/{form};base64,{data}"
    return {"type": "audio", "source": source}


def _url(url: Any, place: str) -> str:
    if not isinstance(url, str) or not url[:8].lower().startswith(_URLS):
        raise InvalidRequestError(f"{place} has no URL", guidance="Give an http, https or data URL.")
    return url


def what(value: Any) -> str:
    """Describes an unexpected value for an error message."""
    if value is None:
        return "missing"
    return f"an empty {field_checks.kind(value)}" if value in ([], {}, "") else grammar.type_name(value)
