"""Converts a chat-completion body to a ModelRequest, and records what cannot be sent."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_sync.errors import InvalidRequestError
from llm_sync.models import Adjustment, ModelRequest, grammar
from llm_sync.models.fields import OPENAI, SERVICE_TIERS, on_wire
from llm_sync.openai_shape.adjustments import Adjustments
from llm_sync.openai_shape.content_parts import what
from llm_sync.openai_shape.messages import Turns
from llm_sync.providers.factory import ProviderFactory

# Fields of the body that go as they are into the field of the same name; the others have rules of their own below.
_PLAIN = tuple(on_wire(OPENAI))
# Sent to providers that accept OpenAI's shape. For others they are left out with an adjustment: they do not change what an
# answer is.
_OPTIONAL = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "metadata",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "safety_identifier",
        "service_tier",
        "store",
        "top_logprobs",
        "user",
        "verbosity",
    }
)
# For other providers these would change the shape of the answer: refused.
_CHANGES_FORM = frozenset({"audio", "logprobs", "modalities", "moderation", "web_search_options"})
_STREAMING = frozenset({"stream", "stream_options"})  # the client strips or refuses streaming switches by its own rule
_OURS = frozenset(
    {
        "model",
        "messages",
        "n",
        "stop",
        "max_tokens",
        "max_completion_tokens",
        "response_format",
        "tools",
        "tool_choice",
        "functions",
        "function_call",
        *_PLAIN,
    }
)
PARAMETERS = _OURS | _OPTIONAL | _CHANGES_FORM | _STREAMING
"""Every parameter of a chat completion that is known here."""


class ChatRequest(NamedTuple):
    """A parsed body. ``choices``: its ``n``, which a ModelRequest does not have: send the request that many times, or refuse.

    ``adjustments``: what is sent differently from the body; pass them on to the response. ``legacy``: the body used
    ``functions``, so a call in the response goes to ``function_call`` (``completion(…, legacy=True)``).
    """

    request: ModelRequest
    choices: int
    adjustments: tuple[Adjustment, ...]
    legacy: bool


def speaks_chat(provider_type: str) -> bool:
    """Whether providers of this ``type`` accept chat-completion bodies, so that unknown fields may be passed on.

    Raises ConfigurationError for an unknown type.
    """
    from llm_sync.providers.openai.chat_completions import OpenAIDialect
    from llm_sync.providers.openai.responses import OpenAIResponsesDialect

    kind = ProviderFactory.dialect_class(provider_type)
    return issubclass(kind, OpenAIDialect) and not issubclass(kind, OpenAIResponsesDialect)


def chat_request(
    body: Any, *, native: bool, strict: bool = False, model: str | None = None, request_id: str | int | None = None
) -> ChatRequest:
    """The request for a chat-completion body.

    ``native``: the provider accepts this shape itself (``speaks_chat``): fields that a ModelRequest does not have go into
    ``provider_specific`` unchanged. ``strict``: a loss is an error. ``model`` replaces the body's. Streaming
    switches go into ``provider_specific``, where the client strips or refuses them by its own rule.

    Raises InvalidRequestError, which names the parameter, for what can be neither sent nor recorded as an adjustment.
    """
    if not isinstance(body, Mapping):
        raise InvalidRequestError(f"the body is {grammar.type_name(body)}", guidance="Give an object with model and messages.")
    reader = _Reader(native, strict)
    given = {name: value for name, value in body.items() if value is not None}
    fields: dict[str, Any] = {name: given[name] for name in _PLAIN if name in given}
    if given.get("service_tier") in SERVICE_TIERS:  # every provider has its words for them
        fields["service_tier"] = given.pop("service_tier")
    fields["model"] = model if model is not None else given.get("model")
    fields["messages"] = Turns(reader.adjustments).read(given.get("messages"))
    fields["max_tokens"] = _token_limit(given)
    fields["stop_sequences"] = given.get("stop") or None
    fields["tools"], legacy_tools = reader.tools(given)
    fields["tool_choice"] = reader.choice(given)
    fields["response_schema"] = reader.schema(given.get("response_format"))
    for name, value in given.items():
        if name not in _OURS:
            reader.further(str(name), value)
    fields["provider_specific"] = reader.extras
    choices = given.get("n", 1)
    if isinstance(choices, bool) or not isinstance(choices, int) or not 1 <= choices <= 128:
        raise InvalidRequestError(f"n={choices!r} is not a count of answers", guidance="Give a whole number from 1 to 128.")
    return ChatRequest(ModelRequest(**fields, id=request_id), choices, tuple(reader.adjustments.adjustments), legacy_tools)


class _Reader:
    """Parses one body; ``extras`` and ``adjustments`` collect the fields that a ModelRequest does not have."""

    def __init__(self, native: bool, strict: bool) -> None:
        self.native = native
        self.adjustments = Adjustments(strict)
        self.extras: dict[str, Any] = {}

    def further(self, name: str, value: Any) -> None:
        """Handle a parameter that a ModelRequest does not have."""
        if self.native or name in _STREAMING:
            self.extras[name] = value
        elif name in _OPTIONAL:
            self.adjustments.lose(name, value, "this provider does not support it")
        elif name not in _CHANGES_FORM:
            near = difflib.get_close_matches(name, PARAMETERS, n=1)
            raise InvalidRequestError(
                f"the parameter {name!r} is unknown",
                guidance=f"Did you mean {near[0]}?" if near else "Leave it out, or use a provider with an OpenAI-compatible API.",
            )
        elif value is not False and value != ["text"]:
            raise InvalidRequestError(
                f"this provider cannot give what {name!r} asks for",
                guidance="Leave it out, or use a provider with an OpenAI-compatible API.",
            )

    def tools(self, given: Mapping[str, Any]) -> tuple[list[Any], bool]:
        """The tools, and whether they were given under the legacy name ``functions``."""
        tools, functions = given.get("tools") or [], given.get("functions") or []
        if tools and functions:
            raise InvalidRequestError("tools and functions are both given", guidance="Keep tools; functions is its old name.")
        for name, offered in (("tools", tools), ("functions", functions)):
            if not isinstance(offered, (list, tuple)):
                raise InvalidRequestError(f"{name} is {grammar.type_name(offered)}", guidance="Give a list.")
        for index, tool in enumerate(tools):
            if not isinstance(tool, Mapping) or tool.get("type", "function") != "function":
                kind = f"of type {tool.get('type')!r}" if isinstance(tool, Mapping) else grammar.type_name(tool)
                raise InvalidRequestError(f"tools[{index}] is {kind}, which cannot be sent", guidance="Give functions only.")
        if functions:
            self.adjustments.note("functions", len(functions), "tools", "functions is the old name of tools")
            return [{"type": "function", "function": function} for function in functions], True
        return list(tools), False

    def choice(self, given: Mapping[str, Any]) -> Any:
        """The tool choice."""
        choice = given.get("tool_choice", given.get("function_call"))
        if isinstance(choice, Mapping) and choice.get("type") in ("allowed_tools", "custom"):
            if not self.native:
                raise InvalidRequestError(
                    f"tool_choice of type {choice['type']!r} cannot be sent",
                    guidance="Use auto, none, required or one function.",
                )
            self.extras["tool_choice"] = choice
            return None
        return choice

    def schema(self, form: Any) -> Any:
        """The JSON Schema for the answer, if any."""
        kind = form.get("type") if isinstance(form, Mapping) else None
        if form is None or kind == "text":
            return None
        wrapped = form.get("json_schema") if kind == "json_schema" else None
        if isinstance(wrapped, Mapping) and isinstance(wrapped.get("schema"), Mapping):
            if self.native:  # with name, description and strict
                self.extras["response_format"] = form
            return wrapped["schema"]
        if kind == "json_object" and self.native:
            self.extras["response_format"] = form
            return None
        raise InvalidRequestError(
            f"response_format {what(form) if kind is None else repr(kind)} cannot be sent",
            guidance="Give a json_schema with a schema: every provider takes that.",
        )


def _token_limit(given: Mapping[str, Any]) -> Any:
    old, new = given.get("max_tokens"), given.get("max_completion_tokens")
    if old is not None and new is not None:
        raise InvalidRequestError(
            "max_tokens and max_completion_tokens are both given",
            guidance="Keep max_completion_tokens; the other is its old name.",
        )
    return old if new is None else new
