"""Building payloads: what was changed on the way, and what the caller adds by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import Adjustment, ModelRequest, ToolCall
from llm_sync.models.fields import FIELDS, TEXT

_SETTINGS = tuple(field.name for field in FIELDS if field.wire and field.kind != TEXT)  # system prompts are sent as messages, too
_REASONING = re.compile(r"^(?:o\d|gpt-5)")


class Changes:
    """Collects what is sent differently from what was asked; under ``strict`` a loss is refused instead.

    One per request, used by one thread.
    """

    def __init__(
        self, made: Iterable[Adjustment] = (), *, strict: bool = False, tell: Callable[[Adjustment, bool], None] | None = None
    ) -> None:
        """``made``: adjustments from before. ``tell`` hears of each further one, and whether something is lost by it."""
        self.made = list(made)
        self._strict = strict
        self._tell = tell

    def note(self, parameter: str, asked: Any, sent: Any, reason: str) -> None:
        """Something is sent in another form or is filled in; nothing asked for is lost."""
        self._add(Adjustment(parameter, asked, sent, reason), lost=False)

    def lose(self, parameter: str, asked: Any, sent: Any, reason: str) -> None:
        """Something asked for cannot be had. Raises InvalidRequestError under strict."""
        if self._strict:
            raise InvalidRequestError(
                f"{parameter}={asked!r} cannot be sent: {reason}",
                guidance="Leave it out, choose another model, or drop strict to have it adjusted.",
            )
        self._add(Adjustment(parameter, asked, sent, reason), lost=True)

    def lose_others(self, request: ModelRequest, sent: Iterable[str], reason: str) -> None:
        """Lose every setting of ``request`` but those in ``sent``, images and tool calls of its messages too, as ``lose``."""
        turns = request.conversation()
        asked: dict[str, Any] = {name: getattr(request, name) for name in _SETTINGS}
        asked["images"] = [image for turn in turns for image in turn.images]
        asked["tool_calls"] = [call.name for turn in turns for call in turn.tool_calls]
        for name in sorted(asked.keys() - set(sent)):
            if asked[name] not in (None, (), []):
                self.lose(name, asked[name], None, reason)

    def _add(self, adjustment: Adjustment, *, lost: bool) -> None:
        self.made.append(adjustment)
        if self._tell:
            self._tell(adjustment, lost)


def merge(
    payload: dict[str, Any], extra: Mapping[str, Any], changes: Changes, forbidden: frozenset[str], where: str = ""
) -> None:
    """Merge ``provider_specific`` last into ``payload``, mappings key by key; a replaced field is an adjustment.

    Raises InvalidRequestError for a key in ``forbidden``: those have fields of their own on the request.
    """
    for key, value in extra.items():
        name = f"{where}{key}"
        if not where and key in forbidden:
            raise InvalidRequestError(
                f"provider_specific holds {key!r}, which the request itself carries",
                guidance="Use the request's own field (model, prompt, messages, system_prompt) instead.",
            )
        present = payload.get(key)
        if isinstance(present, Mapping) and isinstance(value, Mapping):
            payload[key] = dict(present)  # a copy: it may be the caller's own (a schema, a tool's parameters)
            merge(payload[key], value, changes, forbidden, f"{name}.")
            continue
        if key in payload and present != value:
            changes.note(name, present, value, "provider_specific replaces it")
        payload[key] = value


def tool_parts(tool: Mapping[str, Any]) -> tuple[str, str | None, Mapping[str, Any], Mapping[str, Any]]:
    """A tool's name, description, parameters (JSON Schema) and further keys, from the plain or OpenAI's wrapped form."""
    wrapped = tool.get("function")
    inner = wrapped if isinstance(wrapped, Mapping) else tool
    name = inner.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidRequestError("a tool has no name", guidance='Write {"name": …, "description": …, "parameters": {…}}.')
    parameters = inner.get("parameters", inner.get("input_schema")) or {"type": "object", "properties": {}}
    if not isinstance(parameters, Mapping):
        raise InvalidRequestError(f"the parameters of tool {name!r} are not a mapping", guidance="Give a JSON Schema.")
    rest = {
        key: value for key, value in inner.items() if key not in ("name", "description", "parameters", "input_schema", "type")
    }
    return name, inner.get("description"), parameters, rest


def tool_choice(request: ModelRequest) -> tuple[str, str | None] | None:
    """The choice as ("auto" | "none" | "required" | "named", the tool's name), or None where none was made."""
    choice = request.tool_choice
    if choice is None:
        return None
    if isinstance(choice, Mapping):
        inner = choice.get("function")
        name = inner.get("name") if isinstance(inner, Mapping) else choice.get("name")
        if isinstance(name, str) and name:
            return "named", name
        kind = choice.get("type")
        choice = kind if isinstance(kind, str) else ""
    if choice == "any":
        choice = "required"
    if choice in ("auto", "none", "required"):
        return choice, None
    known = [tool_parts(tool)[0] for tool in request.tools]
    if choice in known:
        return "named", choice
    raise InvalidRequestError(
        f"tool_choice {request.tool_choice!r} is unknown",
        guidance=f"Use auto, none, required or a tool's name ({', '.join(known) or 'there are no tools'}).",
    )


def system_texts(request: ModelRequest, changes: Changes) -> list[str]:
    """Every system text of a request, for APIs that take them in one place, before the conversation."""
    turns = request.conversation()
    roles = [message.role for message in turns]
    first = next((place for place, role in enumerate(roles) if role != "system"), len(roles))
    if "system" in roles[first:]:
        changes.note(
            "messages", "a system message between turns", "a system prompt before them", "this API has one system prompt"
        )
    texts = [request.system_prompt, *(message.content for message in turns if message.role == "system")]
    return [text for text in texts if text]


def arguments_text(call: ToolCall) -> str:
    """A call's arguments as JSON text, from either of its two fields."""
    return call.raw_arguments or json.dumps(call.arguments or {}, ensure_ascii=False)


def call_arguments(call: ToolCall, changes: Changes) -> dict[str, Any]:
    """A call's arguments for APIs that take objects only."""
    if call.arguments is None:
        changes.lose("messages", call.raw_arguments, {}, f"the arguments of tool call {call.id!r} are not a JSON object")
    return call.arguments or {}


def lose_tool_keys(tool: str, rest: Iterable[str], changes: Changes) -> None:
    """Say that further keys of a tool (OpenAI's ``strict`` …) are not sent, if there are any."""
    for key in rest:
        changes.lose(f"tools.{tool}.{key}", "set", None, "this API's tools have no such key")


def is_strict_schema(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes the schema: every object closed and every property of it required."""
    if isinstance(schema, list):
        return all(is_strict_schema(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    kinds = schema.get("type")
    if kinds == "object" or (isinstance(kinds, list) and "object" in kinds) or "properties" in schema:
        properties = schema.get("properties", {})
        required = schema.get("required")
        complete = isinstance(required, list) and all(name in required for name in properties)
        if schema.get("additionalProperties") is not False or not (complete or not properties):
            return False
    return all(is_strict_schema(value) for value in schema.values())


def openai_model(model: str) -> str:
    """The model's bare name: ``openai/gpt-5-mini`` is ``gpt-5-mini``, ``ft:o4-mini:me::id`` is ``o4-mini:me::id``."""
    return model.rsplit("/", 1)[-1].lower().removeprefix("ft:")


def is_reasoning_model(model: str) -> bool:
    """Whether OpenAI serves the model with reasoning (o-series and GPT-5, but for its chat variant)."""
    name = openai_model(model)
    return bool(_REASONING.match(name)) and not name.startswith("gpt-5-chat")


# OpenAI accepts sampling parameters only while reasoning is off. First matching prefix wins:
# (prefix, reasons unless told otherwise, takes reasoning_effort "none"). Facts as of August 2026.
_EFFORT: tuple[tuple[re.Pattern[str], bool, bool], ...] = tuple(
    (re.compile(pattern), default, none)
    for pattern, default, none in (
        (r"gpt-5\.5-pro|gpt-5\.4-pro|gpt-5\.2-pro|gpt-5\.[123]-chat|gpt-5\.1-codex", True, False),
        (r"gpt-5\.[56]", True, True),
        (r"gpt-5\.[1234]", False, True),
        (r"gpt-5-chat", False, False),
        (r"gpt-5|o\d", True, False),
    )
)


def takes_sampling(model: str, effort: Any) -> bool:
    """Whether temperature and top_p may be sent to this OpenAI model at this reasoning effort (None: its default)."""
    name = openai_model(model)
    for pattern, reasons, takes_none in _EFFORT:
        if pattern.match(name):
            if effort is None:
                return not reasons
            return effort == "none" and takes_none
    return True


def sampling(request: ModelRequest, effort: Any, changes: Changes) -> dict[str, Any]:
    """temperature and top_p for an OpenAI model at this reasoning effort; what it does not take is lost."""
    model = request.model or ""
    asked = {name: value for name in ("temperature", "top_p") if (value := getattr(request, name)) is not None}
    if takes_sampling(model, effort):
        return asked
    for name, value in asked.items():
        changes.lose(name, value, None, f"{model} takes no sampling parameters while it reasons")
    return {}
