"""``messages.create``: parses the request; returns Anthropic's own response, or another provider's written in its shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llm_sync import errors
from llm_sync.compat.anthropic.request_messages import STATE, read_messages, read_system
from llm_sync.compat.anthropic.response_objects import Message as AnswerMessage
from llm_sync.compat.shim import sending
from llm_sync.compat.shim.calls import CallContext
from llm_sync.compat.shim.error_mapping import translate_errors
from llm_sync.compat.shim.parameters import Table, shown
from llm_sync.compat.shim.targets import Target, resolve_target
from llm_sync.errors import InvalidRequestError
from llm_sync.models import Message, ModelRequest, ModelResponse, ToolCall, Usage
from llm_sync.models.fields import ANTHROPIC, NUMBER, TEXTS, WHOLE, on_wire
from llm_sync.openai_shape.adjustments import Adjustments
from llm_sync.providers.factory import ProviderFactory

_SIMPLE_FIELDS = tuple(on_wire(ANTHROPIC, (NUMBER, WHOLE, TEXTS)))
_SHORT = {*_SIMPLE_FIELDS, "messages", "system"}
_READ = (*_SIMPLE_FIELDS, "messages", "system", "tools", "tool_choice", "output_config")
_STOP = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_AS_HEADERS = {"user_profile_id": "anthropic-user-profile-id", "workspace_id": "anthropic-workspace-id"}


def message(context: CallContext, table: Table, arguments: Mapping[str, Any]) -> AnswerMessage:
    """The Message for a call of ``messages.create``."""
    with translate_errors(context.map_error):
        reading, context = context.read(table, with_headers(arguments))
        given = reading.given
        target = resolve_target(context.settings, given.pop("model", None))
        made = sending.not_sent(table.call, reading) if reading.not_sent else []
        request = _simple_request(given, target.model)
        if request is None:
            adjustments = Adjustments(target.strict)
            request = _request(given, target, adjustments)
            made += adjustments.adjustments
        outcome = sending.send(target, request, timeout=context.timeout, max_retries=context.max_retries)
        return sending.finished(AnswerMessage.read(_body(outcome)), made, [outcome])


def _simple_request(given: Mapping[str, Any], model: str | None) -> ModelRequest | None:
    """Fast path for the most common request, one question with or without a system prompt; None for all others."""
    asked = given.get("messages")
    if type(asked) is not list or len(asked) != 1 or not given.keys() <= _SHORT:
        return None
    turn, system = asked[0], given.get("system")
    if type(turn) is not dict or len(turn) != 2 or turn.get("role") != "user" or not (system is None or type(system) is str):
        return None
    text = turn.get("content")
    if type(text) is not str or not text or text.isspace():
        return None
    settings = {name: given[name] for name in _SIMPLE_FIELDS if name in given}
    return ModelRequest(text, model, system_prompt=system or None, **settings)


def with_headers(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments; those that Anthropic takes as headers are moved to ``extra_headers``."""
    if arguments.keys().isdisjoint(_AS_HEADERS):
        return arguments
    headers = {header: arguments[name] for name, header in _AS_HEADERS.items() if isinstance(arguments.get(name), str)}
    rest = {name: value for name, value in arguments.items() if _AS_HEADERS.get(name) not in headers}
    return {**rest, "extra_headers": {**headers, **(rest.get("extra_headers") or {})}} if headers else rest


def _request(given: Mapping[str, Any], target: Target, adjustments: Adjustments) -> ModelRequest:
    native = _speaks_messages(target.type)
    fields: dict[str, Any] = {name: given[name] for name in _SIMPLE_FIELDS if name in given}
    extras: dict[str, Any] = {}
    fields["messages"] = read_messages(given.get("messages"), adjustments)
    system = read_system(given.get("system"), adjustments)
    if isinstance(system, Message):
        fields["messages"].insert(0, system)
    else:
        fields["system_prompt"] = system
    fields["tools"] = _tools(given.get("tools"), native, adjustments)
    fields["tool_choice"] = _choice(given.get("tool_choice"), target, native, extras, adjustments)
    if "output_config" in given and native:
        extras["output_config"] = given["output_config"]
    elif "output_config" in given:
        fields["response_schema"] = _format(given["output_config"], adjustments)
    for name, value in given.items():
        if name in _READ:
            continue
        if native:
            extras[name] = value
        else:
            adjustments.lose(name, value, "this provider does not support it")
    return ModelRequest(model=target.model, provider_specific=extras, **fields)


def _speaks_messages(kind: str) -> bool:
    """Whether providers of this type accept Anthropic's Messages payload."""
    from llm_sync.providers.anthropic.messages import AnthropicDialect

    return issubclass(ProviderFactory.dialect_class(kind), AnthropicDialect)


def _tools(tools: Any, native: bool, adjustments: Adjustments) -> list[Any]:
    if tools is None:
        return []
    if not isinstance(tools, (list, tuple)):
        raise InvalidRequestError(f"tools is {shown(tools)}", guidance="Give a list.")
    if native:
        return list(tools)
    out = []
    for index, tool in enumerate(tools):
        if not isinstance(tool, Mapping) or tool.get("type") not in (None, "custom"):
            raise InvalidRequestError(
                f"tools[{index}] is one that this provider does not have",
                guidance="Give tools with name and input_schema, or ask a provider of type anthropic.",
            )
        for name in tool.keys() - {"name", "description", "input_schema", "type", "cache_control"}:
            adjustments.lose(f"tools[{index}].{name}", tool[name], "this provider does not support it")
        out.append({name: tool[name] for name in ("name", "description", "input_schema", "cache_control") if name in tool})
    return out


def _choice(choice: Any, target: Target, native: bool, extras: dict[str, Any], adjustments: Adjustments) -> Any:
    if not isinstance(choice, Mapping) or not choice.get("disable_parallel_tool_use"):
        return choice
    if native:
        extras["tool_choice"] = {"disable_parallel_tool_use": True}
    elif target.chat:
        extras["parallel_tool_calls"] = False
    else:
        adjustments.lose("tool_choice.disable_parallel_tool_use", True, "this provider does not support it")
    return {name: value for name, value in choice.items() if name != "disable_parallel_tool_use"}


def _format(config: Any, adjustments: Adjustments) -> Any:
    """The JSON Schema for the answer."""
    form = config.get("format") if isinstance(config, Mapping) else None
    for name in (config.keys() if isinstance(config, Mapping) else set()) - {"format"}:
        adjustments.lose(f"output_config.{name}", config[name], "this provider does not support it")
    if form is None:
        return None
    if not isinstance(form, Mapping) or not isinstance(form.get("schema"), Mapping):
        raise InvalidRequestError("output_config.format cannot be sent", guidance="Give a json_schema with a schema.")
    return form["schema"]


def _body(outcome: sending.Outcome) -> dict[str, Any]:
    """The provider's own body, or one written from our response."""
    answer = outcome if isinstance(outcome, ModelResponse) else outcome.response
    assert answer is not None  # noqa: S101  (``send`` returns no outcome without one)
    raw = answer.metadata.get("raw")
    if isinstance(raw, dict) and raw.get("type") == "message" and isinstance(raw.get("content"), list):
        return raw
    blocked = isinstance(outcome, errors.ContentBlockedError)
    content: list[dict[str, Any]] = []
    if answer.metadata.get("thinking") or answer.metadata.get("state"):
        thought: dict[str, Any] = {"type": "thinking", "thinking": answer.metadata.get("thinking") or "", "signature": ""}
        content.append({**thought, STATE: answer.metadata["state"]} if answer.metadata.get("state") else thought)
    if answer.text:
        content.append({"type": "text", "text": answer.text})
    content += [_tool_use(call) for call in answer.tool_calls]
    return {
        "id": f"msg_{answer.request_id or int(answer.timestamp.timestamp() * 1e6)}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": "refusal" if blocked else _STOP.get(answer.finish_reason, "end_turn"),
        "stop_sequence": None,
        "usage": _usage(answer.usage),
    }


def _tool_use(call: ToolCall) -> dict[str, Any]:
    block = {"type": "tool_use", "id": call.id, "name": call.name, "input": _arguments(call.arguments, call.raw_arguments)}
    return block if call.state is None else {**block, STATE: dict(call.state)}


def _arguments(arguments: dict[str, Any] | None, raw: str) -> Any:
    if arguments is not None:
        return arguments
    try:
        return json.loads(raw)
    except ValueError:
        return {}


def _usage(usage: Usage) -> dict[str, Any]:
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    return {
        "input_tokens": max(0, (usage.input_tokens or 0) - cached - written),
        "output_tokens": usage.output_tokens or 0,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
    }
