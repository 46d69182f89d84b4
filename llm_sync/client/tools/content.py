"""What a tool returned, as the text that the model gets."""

from __future__ import annotations

import dataclasses
import enum
import json
import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from llm_sync.models.field_checks import plain_number
from llm_sync.models.grammar import type_name


class Content(NamedTuple):
    """``text`` for the model; ``truncated``: the tool returned more."""

    text: str
    truncated: bool


class NotText(Exception):
    """A value that cannot be given to a model; the message says why."""


def content_of(value: Any, max_chars: int | None) -> Content:
    """A text as it is, bytes as UTF-8, anything else as JSON; of more than ``max_chars`` characters the first ones, and a line
    that says so.

    Raises NotText for bytes that are no text, and for what JSON cannot represent.
    """
    text = _text(value)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates, as in names of files
    if max_chars is None or len(text) <= max_chars:
        return Content(text, False)
    return Content(f"{text[:max_chars]}\n[cut: the first {max_chars} of {len(text)} characters are shown]", True)


def _text(value: Any) -> str:
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            raise NotText(f"it returned {len(value)} bytes that are not text in UTF-8") from None
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except NotText:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise NotText(f"it returned {type_name(value)} that JSON cannot represent ({error})") from None


def _plain(value: Any) -> Any:
    """What JSON does not know, in its types. Raises NotText."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):  # pydantic's
        return value.model_dump(mode="json")
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (AbstractSet, tuple)):
        return list(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, os.PathLike) or (type(value).__module__, type(value).__name__) in _AS_TEXT:
        return str(value)
    number = plain_number(value)
    if number is value:
        raise NotText(f"it returned {type_name(value)}, which JSON cannot represent")
    return number


_AS_TEXT = {("decimal", "Decimal"), ("uuid", "UUID")}
