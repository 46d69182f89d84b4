"""The Responses API: parses its input; returns OpenAI's own response, or another provider's written in its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from llm_sync import errors
from llm_sync.compat.openai.reasoned_turns import STATE, reasoned_turns, state_items
from llm_sync.compat.openai.response_objects import Response
from llm_sync.compat.shim import sending
from llm_sync.compat.shim.calls import CallContext
from llm_sync.compat.shim.error_mapping import translate_errors
from llm_sync.compat.shim.parameters import Table, shown
from llm_sync.compat.shim.targets import Target, resolve_target
from llm_sync.errors import InvalidRequestError
from llm_sync.models import ModelRequest, ModelResponse, Usage
from llm_sync.models.fields import NUMBER, RESPONSES, TEXT, WHOLE, on_wire
from llm_sync.openai_shape.messages import Adjustments, Turns
from llm_sync.openai_shape.response_writer import prompt_details

ResponseKind = TypeVar("ResponseKind", bound=Response)
_NATIVE = "openai-responses"
# Parameters that chat completions have under the same name.
_SHARED = frozenset(
    {
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "top_logprobs",
        "user",
    }
)
_PLAIN = on_wire(RESPONSES, (NUMBER, WHOLE, TEXT))


def respond(context: CallContext, table: Table, arguments: Mapping[str, Any], kind: type[ResponseKind]) -> ResponseKind:
    """The Response, of class ``kind``, for a call of ``responses.create``."""
    with translate_errors(context.map_error):
        reading, context = context.read(table, arguments)
        given = reading.given
        target = resolve_target(context.settings, given.pop("model", None))
        made = sending.not_sent(table.call, reading) if reading.not_sent else []
        adjustments = Adjustments(target.strict)
        request = _request(given, target, adjustments)
        made += adjustments.adjustments
        outcome = sending.send(target, request, timeout=context.timeout, max_retries=context.max_retries)
        return sending.finished(kind.read(_body(outcome, given)), made, [outcome])


def _request(given: Mapping[str, Any], target: Target, adjustments: Adjustments) -> ModelRequest:
    fields: dict[str, Any] = {ours: given[name] for name, ours in _PLAIN.items() if name in given}
    asked = given.get("input")
    if isinstance(asked, str):
        fields["prompt"] = asked
    else:
        fields["messages"] = Turns(adjustments).read(_messages(asked, adjustments, native=target.type == _NATIVE))
    extras: dict[str, Any] = {}
    fields["tools"] = _tools(given.get("tools"), target.type)
    fields["tool_choice"] = given.get("tool_choice")
    if "text" in given:
        fields["response_schema"] = _format(given["text"], target, extras, adjustments)
    for name, value in given.items():
        if name in _PLAIN or name in ("input", "tools", "tool_choice", "text"):
            continue
        if target.type == _NATIVE or (name in _SHARED and target.chat):
            extras[name] = value
        elif name == "reasoning" and isinstance(value, Mapping) and value.get("effort") and target.chat:
            extras["reasoning_effort"] = value["effort"]
            adjustments.note(
                "reasoning", dict(value), {"reasoning_effort": value["effort"]}, "chat completions take the effort only"
            )
        else:
            adjustments.lose(name, value, "this provider does not support it")
    return ModelRequest(model=target.model, provider_specific=extras, **fields)


def _messages(items: Any, adjustments: Adjustments, *, native: bool) -> list[dict[str, Any]]:
    """Converts input items to chat messages; consecutive calls become one turn.

    ``native``: the provider speaks the Responses API, and takes reasoning back with the items that follow it.
    """
    if not isinstance(items, (list, tuple)):
        raise InvalidRequestError(f"input is {shown(items)}", guidance="Give a text or a list of items.")
    out: list[dict[str, Any]] = []
    kept = reasoned_turns(items, native=native)
    for index, item in enumerate(items):
        if index in kept:
            if kept[index] is not None:
                out.append(kept[index])
            continue
        if not isinstance(item, Mapping):
            raise InvalidRequestError(f"input[{index}] is {shown(item)}", guidance="Give an object.")
        kind = item.get("type") or "message"
        if kind == "message":
            out.append({"role": item.get("role"), "content": _parts(item.get("content"), f"input[{index}]")})
        elif kind == "function_call":
            call = {
                "id": item.get("call_id"),
                "type": "function",
                "function": {"name": item.get("name"), "arguments": item.get("arguments")},
            }
            if not out or out[-1]["role"] != "assistant":
                out.append({"role": "assistant", "content": None})
            out[-1].setdefault("tool_calls", []).append(call)
        elif kind == "function_call_output":
            content = _parts(item.get("output"), f"input[{index}]")
            out.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": content})
        elif kind == "reasoning":
            adjustments.lose(f"input[{index}]", "reasoning", "what the model thought before is not sent")
        else:
            raise InvalidRequestError(
                f"input[{index}] is of type {kind!r}, which cannot be sent",
                guidance="Items are messages, function calls and their outputs.",
            )
    return out


def _parts(content: Any, target: str) -> Any:
    """Converts an item's content to the parts of chat completions."""
    if not isinstance(content, (list, tuple)):
        return content
    out: list[dict[str, Any]] = []
    for index, part in enumerate(content):
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind in ("input_text", "output_text", "text"):
            out.append({"type": "text", "text": part.get("text")})
        elif kind == "refusal":
            out.append({"type": "refusal", "refusal": part.get("refusal")})
        elif kind == "input_image" and part.get("image_url"):
            out.append({"type": "image_url", "image_url": {"url": part["image_url"], "detail": part.get("detail")}})
        else:
            raise InvalidRequestError(
                f"{target}.content[{index}] is of type {kind!r}, which cannot be sent",
                guidance="Parts are input_text, and input_image with image_url.",
            )
    return out


def _tools(tools: Any, kind: str) -> list[Any]:
    if tools is None:
        return []
    if not isinstance(tools, (list, tuple)):
        raise InvalidRequestError(f"tools is {shown(tools)}", guidance="Give a list.")
    for index, tool in enumerate(tools):
        found = tool.get("type", "function") if isinstance(tool, Mapping) else None
        if found is None or (found != "function" and kind != _NATIVE):
            raise InvalidRequestError(
                f"tools[{index}] is of type {found!r}, which this provider does not have",
                guidance="Give functions, or ask a provider of type openai-responses.",
            )
    return list(tools)


def _format(text: Any, target: Target, extras: dict[str, Any], adjustments: Adjustments) -> Any:
    """The JSON Schema for the answer, unless the provider reads ``text`` itself."""
    if target.type == _NATIVE:
        extras["text"] = text
        return None
    if not isinstance(text, Mapping):
        raise InvalidRequestError(f"text is {shown(text)}", guidance="Give an object with format.")
    if text.get("verbosity") and target.chat:
        extras["verbosity"] = text["verbosity"]
    elif text.get("verbosity"):
        adjustments.lose("text.verbosity", text["verbosity"], "this provider does not support it")
    form = text.get("format")
    if form is None or (isinstance(form, Mapping) and form.get("type") == "text"):
        return None
    if isinstance(form, Mapping) and form.get("type") == "json_schema" and isinstance(form.get("schema"), Mapping):
        return form["schema"]
    raise InvalidRequestError("text.format cannot be sent", guidance="Give a json_schema with a schema.")


def _body(outcome: sending.Outcome, given: Mapping[str, Any]) -> dict[str, Any]:
    """The provider's own body, or one written from our response."""
    answer = outcome if isinstance(outcome, ModelResponse) else outcome.response
    assert answer is not None  # noqa: S101  (``send`` returns no outcome without one)
    raw = answer.metadata.get("raw")
    if isinstance(raw, dict) and isinstance(raw.get("output"), list):
        return raw
    at = int(answer.timestamp.timestamp())
    return {
        "id": f"resp_{answer.request_id or int(answer.timestamp.timestamp() * 1e6)}",
        "object": "response",
        "created_at": at,
        "status": "incomplete" if answer.truncated else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if answer.truncated else None,
        "instructions": given.get("instructions"),
        "metadata": dict(given.get("metadata") or {}),
        "model": answer.model,
        "output": _output(outcome, answer),
        "parallel_tool_calls": True,
        "temperature": given.get("temperature"),
        "tool_choice": given.get("tool_choice", "auto"),
        "tools": list(given.get("tools") or ()),
        "top_p": given.get("top_p"),
        "max_output_tokens": given.get("max_output_tokens"),
        "usage": _usage(answer.usage),
    }


def _output(outcome: sending.Outcome, answer: ModelResponse) -> Sequence[dict[str, Any]]:
    blocked = isinstance(outcome, errors.ContentBlockedError)
    parts: list[dict[str, Any]] = []
    if answer.text or not (answer.tool_calls or blocked):
        parts.append({"type": "output_text", "text": answer.text, "annotations": []})
    if blocked:
        parts.append({"type": "refusal", "refusal": str(getattr(outcome, "reason", None) or "the answer is blocked")})
    request_id = answer.request_id or "0"
    status = "incomplete" if answer.truncated else "completed"
    out: list[dict[str, Any]] = state_items(answer, request_id)
    if parts:
        out.append({"id": f"msg_{request_id}", "type": "message", "role": "assistant", "status": status, "content": parts})
    out += [
        {
            "id": f"fc_{call.id}",
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.raw_arguments,
            "status": status,
            **({} if call.state is None else {STATE: dict(call.state)}),
        }
        for call in answer.tool_calls
    ]
    return out


def _usage(usage: Usage) -> dict[str, Any] | None:
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": prompt_details(usage.cached_tokens, usage.cache_write_tokens),
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
