"""The messages of a conversation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import field_checks, grammar
from llm_sync.models.frozen import Frozen, dataclass
from llm_sync.models.responses import ToolCall
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.models.parts import Part

ROLES = ("user", "assistant", "system", "tool")


@dataclass(frozen=True, repr=False, eq=False)
class Message(Frozen):
    """One message of a conversation. ``role``: user, assistant, system or tool (``tool_call_id`` is the call that it answers).

    ``images``: paths, bytes or URLs, in user messages. ``parts`` instead of content and images: texts, images, documents and
    audio in their order (Part objects, mappings of their fields, or plain texts); ``content`` and ``images`` then give what is
    text and image among them. ``cache``: the provider is to cache the prompt up to the end of this message, for ``cache_ttl``
    ("5m" or "1h"). ``name``: of who writes, where the API has it.

    ``state``, in assistant messages: what the provider wants back with the turn (reasoning with its signature …), a mapping of
    JSON's types with ``dialect``, ``host``, ``model`` and ``data``. It comes in ``ModelResponse.message``; hand it back
    unchanged. It is sent to the endpoint and the model that made it, and to no other. Raises InvalidRequestError for an
    invalid role or content.
    """

    role: str
    content: str | None = None
    images: Sequence[Any] = ()
    tool_calls: Sequence[ToolCall] = ()
    tool_call_id: str | None = None
    state: Mapping[str, Any] | None = field(default=None, repr=False)
    parts: Sequence[Any] = ()
    cache: bool = False
    cache_ttl: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InvalidRequestError(f"message role {self.role!r} is unknown", guidance=f"Use one of {', '.join(ROLES)}.")
        if self.parts != ():
            self._read_parts()
        if self.cache is not False or self.cache_ttl is not None:
            _parts_module().check_cache(self.cache, self.cache_ttl)
        if self.name is not None:
            field_checks.check_text("message name", self.name)
        if self.content is not None:
            field_checks.check_text("message content", self.content)
        if self.images != ():
            _set(self, "images", field_checks.images("images", self.images))
        if self.tool_calls != ():
            _set(self, "tool_calls", tuple(_tool_call(call) for call in field_checks.listed("tool_calls", self.tool_calls)))
        if self.tool_call_id is not None:
            field_checks.check_text("tool_call_id", self.tool_call_id)
        if self.state is not None:
            check_state("state", self.state)
        if self.images or self.tool_calls or self.tool_call_id or self.state:
            self._check_role()
        if self.role == "tool" and not self.tool_call_id:
            raise InvalidRequestError("a tool message has no tool_call_id", guidance="Give the id of the ToolCall it answers.")
        is_empty = not (self.content and self.content.strip()) and not self.images and not self.tool_calls
        if is_empty and self.role != "tool" and all(part.type == "text" for part in self.parts):
            raise InvalidRequestError(f"a {self.role} message is empty", guidance="Give it text, an image or tool calls.")

    def _check_role(self) -> None:
        for name, role in (("images", "user"), ("tool_calls", "assistant"), ("tool_call_id", "tool"), ("state", "assistant")):
            if getattr(self, name) and self.role != role:
                raise InvalidRequestError(f"a {self.role} message has {name}", guidance=f"Only {role} messages carry {name}.")

    def _read_parts(self) -> None:
        """Check the parts, and give content and images what is text and image among them."""
        module = _parts_module()
        parts = module.read_parts("parts", self.parts)
        _set(self, "parts", parts)
        if not parts:
            return
        text, images = module.texts_of(parts), tuple(part.source for part in parts if part.type == "image")
        if self.content not in (None, text) or (self.images != () and tuple(self.images) != images):
            raise InvalidRequestError(
                "a message has parts, and other content or images", guidance="Put everything into parts, in its order."
            )
        foreign = next((part.type for part in parts if part.type != "text" and self.role != "user"), None)
        if foreign:
            raise InvalidRequestError(
                f"a {self.role} message has {grammar.with_article(foreign)} part", guidance="Only user messages carry files."
            )
        _set(self, "content", text)
        _set(self, "images", images)

    def with_parts(self, parts: Iterable[Part]) -> Message:
        """The message with other parts, its content and images theirs."""
        return dataclasses.replace(self, parts=tuple(parts), content=None, images=())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the fields that are set, by name; ``Message(**message.to_dict())`` gives an equal message.

        Files given as bytes or as path objects are left as they are: JSON cannot represent those.
        """
        out: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.parts:
            out["parts"] = [part.to_dict() for part in self.parts]
        elif self.images:
            out["images"] = list(self.images)
        if self.tool_calls:
            out["tool_calls"] = [call.to_dict() for call in self.tool_calls]
        for name in ("tool_call_id", "state", "cache", "cache_ttl", "name"):
            if getattr(self, name) not in (None, False):
                out[name] = getattr(self, name)
        return out


def _parts_module() -> Any:
    """The module of parts, which few programs need."""
    with import_lock:
        from llm_sync.models import parts
    return parts


def check_state(name: str, state: object) -> None:
    """Raise InvalidRequestError unless ``state`` is of the form that responses have it in."""
    given = field_checks.mapping(name, state)
    for key in ("dialect", "host", "model"):
        if not isinstance(given.get(key), (str, type(None))) or "data" not in given:
            raise InvalidRequestError(
                f"{name} is not one that a response had",
                guidance="Hand ModelResponse.message back as it came, or leave state out.",
            )


def read_messages(value: object) -> tuple[Message, ...]:
    """The messages of a request: Message objects, or mappings of their fields. Raises InvalidRequestError."""
    items = tuple(
        item if isinstance(item, Message) else _build("messages", Message, field_checks.mapping("messages", item), "a message")
        for item in field_checks.listed("messages", value)
    )
    if not any(item.role != "system" for item in items):
        raise InvalidRequestError("messages holds no turn to answer", guidance="Give at least one user message.")
    return items


def detached_message(message: Message) -> Message:
    """The message without mutable parts of the caller's. Raises InvalidRequestError for a part that JSON cannot represent."""
    if not message.tool_calls and message.state is None:
        return message
    calls = tuple(
        dataclasses.replace(
            call,
            arguments=field_checks.plain("tool_calls", call.arguments),
            state=field_checks.plain("tool_calls.state", call.state),
        )
        for call in message.tool_calls
    )
    return dataclasses.replace(message, tool_calls=calls, state=field_checks.plain("state", message.state))


def _set(instance: object, name: str, value: object) -> None:
    object.__setattr__(instance, name, value)


def _build(name: str, kind: type[Any], value: Mapping[str, Any], noun: str) -> Any:
    """An object of the fields in a mapping; what is wrong with those is said in words about the mapping."""
    rows = {row.name: row for row in dataclasses.fields(kind)}
    unknown = next((key for key in value if key not in rows), None)
    if unknown is not None:
        import difflib  # costs a start of Python, and few programs need it

        near = difflib.get_close_matches(unknown, rows, n=1)
        guidance = f"Did you mean {near[0]}?" if near else f"Its fields are {', '.join(rows)}."
        raise InvalidRequestError(f"{name}: {noun} has the unknown field {unknown!r}", guidance=guidance)
    missing = [key for key, row in rows.items() if row.default is dataclasses.MISSING and key not in value]
    if missing == ["arguments"] and "raw_arguments" in value:
        return kind(**value, arguments=None)
    if missing:
        raise InvalidRequestError(f"{name}: {noun} has no {missing[0]}", guidance=f"Its fields are {', '.join(rows)}.")
    return kind(**value)


def _tool_call(value: object) -> ToolCall:
    call: ToolCall = (
        value
        if isinstance(value, ToolCall)
        else _build("tool_calls", ToolCall, field_checks.mapping("tool_calls", value), "a tool call")
    )
    for name in ("id", "name", "raw_arguments"):
        field_checks.check_text(f"tool_calls.{name}", getattr(call, name))
    if call.arguments is not None:
        field_checks.mapping("tool_calls.arguments", call.arguments)
    if call.state is not None:
        check_state("tool_calls.state", call.state)
    return call
