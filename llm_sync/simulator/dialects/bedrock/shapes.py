"""The shapes of a Converse request: which members each structure has, and what their values may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from llm_sync.simulator.dialects import image_checks

Refuse = Callable[..., NoReturn]


@dataclass(frozen=True)
class Text:
    """A string. ``low`` and ``high``: its length."""

    low: int = 0
    high: int | None = None
    pattern: str | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Number:
    """A number within its range; ``whole``: without a fraction."""

    low: float | None = None
    high: float | None = None
    whole: bool = False


@dataclass(frozen=True)
class Each:
    """A list. ``low`` and ``high``: its length."""

    shape: Any
    low: int = 0
    high: int | None = None


@dataclass(frozen=True)
class Structure:
    """Members by name; others are refused. ``union``: exactly one of them is set."""

    members: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    union: bool = False


class Blob:
    """Bytes in base64, at least one."""


class Switch:
    """true or false."""


class Document:
    """Any JSON."""


class Mapped:
    """An object with any members."""


_NAME = Text(1, 64, r"[a-zA-Z0-9_-]+")
_CALL_ID = Text(1, 64, r"[a-zA-Z0-9_.:-]+")
_S3 = Structure({"uri": Text(1), "bucketOwner": Text()}, ("uri",))
_BYTES = Structure({"bytes": Blob(), "s3Location": _S3}, union=True)
_CITATIONS = Structure({"enabled": Switch()}, ("enabled",))
_MARK = Structure({"type": Text(words=("default",)), "ttl": Text(words=("5m", "1h"))}, ("type",))
_IMAGE = Structure({"format": Text(words=("png", "jpeg", "gif", "webp")), "source": _BYTES}, ("format", "source"))
_DOCUMENT = Structure(
    {
        "format": Text(words=("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md")),
        "name": Text(1, 200, r"[A-Za-z0-9()\[\]-]+(?:\s[A-Za-z0-9()\[\]-]+)*"),
        "source": Structure(
            {"bytes": Blob(), "s3Location": _S3, "text": Text(1), "content": Each(Structure({"text": Text()}, union=True))},
            union=True,
        ),
        "context": Text(),
        "citations": _CITATIONS,
    },
    ("name", "source"),
)
_MEDIA = Structure({"format": Text(1), "source": _BYTES}, ("format", "source"))
_GUARDED = Structure({"text": Structure({"text": Text(), "qualifiers": Each(Text())}, ("text",)), "image": _IMAGE}, union=True)
_FOUND = Structure(
    {"source": Text(), "title": Text(), "content": Each(Structure({"text": Text()}, ("text",))), "citations": _CITATIONS},
    ("source", "title", "content"),
)
_RESULT = Structure(
    {"text": Text(), "json": Document(), "image": _IMAGE, "document": _DOCUMENT, "video": _MEDIA, "searchResult": _FOUND},
    union=True,
)
_BLOCK = Structure(
    {
        "text": Text(),
        "image": _IMAGE,
        "document": _DOCUMENT,
        "video": _MEDIA,
        "audio": _MEDIA,
        "toolUse": Structure(
            {"toolUseId": _CALL_ID, "name": _NAME, "input": Document(), "type": Text(words=("server_tool_use",))},
            ("toolUseId", "name", "input"),
        ),
        "toolResult": Structure(
            {"toolUseId": _CALL_ID, "content": Each(_RESULT), "status": Text(words=("success", "error")), "type": Text()},
            ("toolUseId", "content"),
        ),
        "guardContent": _GUARDED,
        "cachePoint": _MARK,
        "reasoningContent": Structure(
            {"reasoningText": Structure({"text": Text(), "signature": Text()}, ("text",)), "redactedContent": Blob()}, union=True
        ),
        "citationsContent": Structure({"content": Each(Structure({"text": Text()}, union=True)), "citations": Each(Mapped())}),
        "searchResult": _FOUND,
    },
    union=True,
)
_TOOL = Structure(
    {
        "toolSpec": Structure(
            {"name": _NAME, "description": Text(1), "inputSchema": Structure({"json": Mapped()}, union=True), "strict": Switch()},
            ("name", "inputSchema"),
        ),
        "systemTool": Structure({"name": _NAME}, ("name",)),
        "cachePoint": _MARK,
    },
    union=True,
)
_SCHEMA = Structure({"schema": Text(), "name": Text(), "description": Text()}, ("schema",))
REQUEST = Structure(
    {
        "messages": Each(Structure({"role": Text(words=("user", "assistant")), "content": Each(_BLOCK)}, ("role", "content"))),
        "system": Each(Structure({"text": Text(1), "guardContent": _GUARDED, "cachePoint": _MARK}, union=True)),
        "inferenceConfig": Structure(
            {
                "maxTokens": Number(1, whole=True),
                "temperature": Number(0, 1),
                "topP": Number(0, 1),
                "stopSequences": Each(Text(1), 0, 2500),
            }
        ),
        "toolConfig": Structure(
            {
                "tools": Each(_TOOL, 1),
                "toolChoice": Structure(
                    {"auto": Structure(), "any": Structure(), "tool": Structure({"name": _NAME}, ("name",))}, union=True
                ),
            },
            ("tools",),
        ),
        "guardrailConfig": Structure(
            {
                "guardrailIdentifier": Text(0, 2048),
                "guardrailVersion": Text(pattern=r"|[1-9][0-9]{0,7}|DRAFT"),
                "trace": Text(words=("enabled", "disabled", "enabled_full")),
            }
        ),
        "additionalModelRequestFields": Mapped(),
        "additionalModelResponseFieldPaths": Each(Text(1, 256), 0, 10),
        "promptVariables": Mapped(),
        "requestMetadata": Mapped(),
        "performanceConfig": Structure({"latency": Text(words=("standard", "optimized"))}),
        "serviceTier": Structure({"type": Text(words=("priority", "default", "flex", "reserved"))}, ("type",)),
        "outputConfig": Structure(
            {
                "textFormat": Structure(
                    {"type": Text(words=("json_schema",)), "structure": Structure({"jsonSchema": _SCHEMA}, union=True)},
                    ("type", "structure"),
                ),
                "effort": Text(0, 16),
            }
        ),
    }
)


def check(value: Any, shape: Any, path: str, refuse: Refuse) -> None:
    """Refuses a value that is not of its shape; null is like absent."""
    if value is None or isinstance(shape, Document):
        return
    if isinstance(shape, Structure):
        _check_structure(value, shape, path, refuse)
    elif isinstance(shape, Each):
        if not isinstance(value, list):
            refuse(f"Expected list at {path}", name="SerializationException")
        _check_length(len(value), shape.low, shape.high, path, refuse)
        for index, item in enumerate(value):
            if item is None:
                refuse(f"Null values are not allowed in the list at {path}", name="SerializationException")
            check(item, shape.shape, f"{path}.{index}", refuse)
    elif isinstance(shape, Mapped):
        if not isinstance(value, dict):
            refuse(f"Expected map at {path}", name="SerializationException")
    elif isinstance(shape, Switch):
        if not isinstance(value, bool):
            refuse(f"{_kind(value)} can not be converted to a Boolean at {path}", name="SerializationException")
    elif isinstance(shape, Number):
        _check_number(value, shape, path, refuse)
    elif not isinstance(value, str):
        refuse(f"{_kind(value)} can not be converted to a String at {path}", name="SerializationException")
    elif isinstance(shape, Text):
        _check_text(value, shape, path, refuse)
    elif not image_checks.decode_base64(value):
        refuse(f"{path} is not valid base64 of any bytes", name="SerializationException")


def without_nulls(value: Any) -> Any:
    """A request without members that are null, which are like absent ones."""
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def _check_structure(value: Any, shape: Structure, path: str, refuse: Refuse) -> None:
    if not isinstance(value, dict):
        refuse(f"Expected structure at {path or 'the body'}", name="SerializationException")
    present = [name for name, member in value.items() if member is not None]
    for name in present:
        if name not in shape.members:
            refuse(f"Malformed input request: #/{path.replace('.', '/')}: extraneous key [{name}] is not permitted")
    for name in shape.required:
        if name not in present:
            _constraint(f"{path}.{name}".lstrip("."), "Member must not be null", refuse)
    if shape.union and len(present) != 1:
        refuse(
            f"The structure at {path} must have exactly one of the members: {', '.join(shape.members)}. It has {len(present)}."
        )
    for name in present:
        check(value[name], shape.members[name], f"{path}.{name}".lstrip("."), refuse)


def _check_number(value: Any, shape: Number, path: str, refuse: Refuse) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (shape.whole and value != int(value)):
        kind = "Integer" if shape.whole else "Float"
        refuse(f"{_kind(value)} can not be converted to {kind} at {path}", name="SerializationException")
    if shape.low is not None and value < shape.low:
        _constraint(path, f"Member must have value greater than or equal to {shape.low}", refuse)
    if shape.high is not None and value > shape.high:
        _constraint(path, f"Member must have value less than or equal to {shape.high}", refuse)


def _check_text(value: str, shape: Text, path: str, refuse: Refuse) -> None:
    _check_length(len(value), shape.low, shape.high, path, refuse)
    if shape.words and value not in shape.words:
        _constraint(path, f"Member must satisfy enum value set: [{', '.join(shape.words)}]", refuse)
    if shape.pattern is not None and re.fullmatch(shape.pattern, value) is None:
        _constraint(path, f"Member must satisfy regular expression pattern: {shape.pattern}", refuse)


def _check_length(length: int, low: int, high: int | None, path: str, refuse: Refuse) -> None:
    if length < low:
        _constraint(path, f"Member must have length greater than or equal to {low}", refuse)
    if high is not None and length > high:
        _constraint(path, f"Member must have length less than or equal to {high}", refuse)


def _constraint(path: str, words: str, refuse: Refuse) -> NoReturn:
    refuse(f"1 validation error detected: Value at '{path}' failed to satisfy constraint: {words}")


def _kind(value: object) -> str:
    return {dict: "Structure", list: "List", bool: "Boolean", str: "String"}.get(type(value), "Number")
