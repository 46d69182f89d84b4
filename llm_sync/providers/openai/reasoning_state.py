"""What chat-completion endpoints want back with an assistant's message: reasoning under several names, signatures of calls.

OpenAI's own API has nothing of it. Servers of thinking models refuse the second turn of a tool loop without it, and others
refuse a message that has it, so that the host decides; the provider option ``reasoning_field`` does so for all other servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.models import Message, ToolCall
from llm_sync.providers.dialect import Dialect
from llm_sync.providers.turns import Origin, own_state

REASONING = ("reasoning_content", "reasoning_details", "reasoning")
_PLAIN = ("reasoning_content", "reasoning")  # texts, which are valid for any model of the endpoint
_BY_HOST: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("groq.com", "openai.com", "openai.azure.com", "cognitiveservices.azure.com", "mistral.ai", "x.ai", "perplexity.ai"), ()),
    (("cerebras.ai",), ("reasoning",)),
    (("openrouter.ai",), ("reasoning_details", "reasoning")),
)
_STATELESS = frozenset({"role", "content", "refusal", "annotations", "tool_calls", "function_call", "audio", "name"})
_UNKNOWN_HOST = ("reasoning_content", "reasoning_details")  # who writes these reads them
_REQUIRING = ("deepseek.com", "moonshot.ai", "moonshot.cn", "kimi.com")  # on every assistant message with tool calls


def reasoning_fields(dialect: Dialect) -> tuple[str, ...]:
    """The fields of a message that the endpoint takes back, in the order of preference."""
    option = dialect.config.reasoning_field
    if option:
        return () if option == "none" else (option,)
    if dialect.type == "openrouter":
        return ("reasoning_details", "reasoning")
    for hosts, fields in _BY_HOST:
        if dialect.is_at(*hosts):
            return fields
    return _UNKNOWN_HOST


def read_state(message: Mapping[str, Any], dialect: Dialect, *, has_calls: bool) -> dict[str, Any] | None:
    """What an answer's message holds that is to be handed back with it."""
    if message.keys() <= _STATELESS and not isinstance(message.get("content"), list):
        return None  # the usual message, without a look at the host
    out: dict[str, Any] = {}
    for field in reasoning_fields(dialect):
        value = message.get(field)
        if not value and dialect.config.reasoning_field in _PLAIN:  # it may be another name than the answer has for the text
            value = next((message[name] for name in _PLAIN if message.get(name)), None)
        if value:
            out[field] = value
            break
    content = message.get("content")
    if isinstance(content, list) and any(isinstance(part, Mapping) and part.get("type") == "thinking" for part in content):
        out["content"] = content  # Mistral: thinking stands in it, before the text
    if message.get("extra_content") and not has_calls:
        out["extra_content"] = message["extra_content"]
    return out or None


def call_state(call: Mapping[str, Any], message: Mapping[str, Any], position: int) -> dict[str, Any] | None:
    """What is to be handed back with a tool call. Gemini's signature stood on the message in 2025; the first call carries it."""
    extra = call.get("extra_content") or (message.get("extra_content") if position == 0 else None)
    return {"extra_content": extra} if extra else None


def add_state(out: dict[str, Any], turn: Message, dialect: Dialect, model: str) -> None:
    """Put what the endpoint wants back into ``out``, the assistant's message for ``turn``."""
    origin = _origin(turn.state, dialect, model)
    fields = reasoning_fields(dialect)
    data = own_state(turn.state, origin, any_model=True)
    if isinstance(data, Mapping):
        bound = own_state(turn.state, origin) is not None
        for name, value in data.items():
            if name == "content":
                if bound and _text(value) == (turn.content or ""):
                    out["content"] = value
            elif (name in fields and (bound or name in _PLAIN)) or (name not in REASONING and bound):
                out[name] = value
    for call, written in zip(turn.tool_calls, out.get("tool_calls", ()), strict=True):
        _add_call_state(written, call, dialect, model)
    wanted = fields == ("reasoning_content",) or dialect.is_at(*_REQUIRING)
    if wanted and turn.tool_calls and "reasoning_content" in fields:
        out.setdefault("reasoning_content", "")  # a call that another model made has none; an empty one is accepted


def _origin(state: Mapping[str, Any] | None, dialect: Dialect, model: str) -> Origin:
    """Where the message goes. What a caller read elsewhere, in the shape of chat completions, is good for OpenRouter, too."""
    origin = dialect.origin(model)
    unbound = state is not None and state.get("host") is None and state.get("dialect") == "openai"
    return origin._replace(dialect="openai") if unbound else origin


def _add_call_state(written: dict[str, Any], call: ToolCall, dialect: Dialect, model: str) -> None:
    data = own_state(call.state, _origin(call.state, dialect, model))
    if isinstance(data, Mapping):
        written.update(data)


def _text(content: Any) -> str:
    parts = [part for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []
    return "".join(str(part.get("text") or "") for part in parts if part.get("type") == "text")
