"""The Responses API: its input read as turns, its answers handed on or, from other providers, written in its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_sync import errors
from llm_sync.compat.openai.response_objects import Response
from llm_sync.compat.shim import sending
from llm_sync.compat.shim.calls import Door
from llm_sync.compat.shim.error_mapping import translated
from llm_sync.compat.shim.parameters import Table, shown
from llm_sync.compat.shim.settings import Place, place
from llm_sync.errors import InvalidRequestError
from llm_sync.models import ModelRequest, ModelResponse, Usage
from llm_sync.openai_shape.messages import Told, Turns

_NATIVE = "openai-responses"
# What chat completions have under the same name.
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
_PLAIN = {"temperature": "temperature", "top_p": "top_p", "max_output_tokens": "max_tokens", "instructions": "system_prompt"}


def respond(door: Door, table: Table, arguments: Mapping[str, Any]) -> Response:
    """A response to the arguments of ``responses.create``."""
    with translated(door.shim):
        reading, door = door.read(table, arguments)
        given = reading.given
        where = place(door.settings, given.pop("model", None))
        made = sending.left_out(table.call, reading) if reading.left_out else []
        told = Told(where.strict)
        request = _request(given, where, told)
        made += told.adjustments
        outcome = sending.ask_once(where, request, timeout=door.timeout, max_retries=door.max_retries)
        return sending.finished(Response.read(_body(outcome, given)), made, [outcome])


def _request(given: Mapping[str, Any], where: Place, told: Told) -> ModelRequest:
    fields: dict[str, Any] = {ours: given[name] for name, ours in _PLAIN.items() if name in given}
    asked = given.get("input")
    if isinstance(asked, str):
        fields["prompt"] = asked
    else:
        fields["messages"] = Turns(told).read(_messages(asked, told))
    extras: dict[str, Any] = {}
    fields["tools"] = _tools(given.get("tools"), where.type)
    fields["tool_choice"] = given.get("tool_choice")
    if "text" in given:
        fields["response_schema"] = _format(given["text"], where, extras, told)
    for name, value in given.items():
        if name in _PLAIN or name in ("input", "tools", "tool_choice", "text"):
            continue
        if where.type == _NATIVE or (name in _SHARED and where.chat):
            extras[name] = value
        elif name == "reasoning" and isinstance(value, Mapping) and value.get("effort") and where.chat:
            extras["reasoning_effort"] = value["effort"]
            told.note("reasoning", dict(value), {"reasoning_effort": value["effort"]}, "chat completions take the effort only")
        else:
            told.lose(name, value, "this provider does not know it")
    return ModelRequest(model=where.model, provider_specific=extras, **fields)


def _messages(items: Any, told: Told) -> list[dict[str, Any]]:
    """Items of the input as messages of a chat; calls that follow each other are one turn."""
    if not isinstance(items, (list, tuple)):
        raise InvalidRequestError(f"input is {shown(items)}", guidance="Give a text or a list of items.")
    out: list[dict[str, Any]] = []
    for index, item in enumerate(items):
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
            told.lose(f"input[{index}]", "reasoning", "what the model thought before is not sent")
        else:
            raise InvalidRequestError(
                f"input[{index}] is of type {kind!r}, which cannot be carried",
                guidance="Items are messages, function calls and their outputs.",
            )
    return out


def _parts(content: Any, where: str) -> Any:
    """The content of an item in the words of chat completions."""
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
                f"{where}.content[{index}] is of type {kind!r}, which cannot be carried",
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


def _format(text: Any, where: Place, extras: dict[str, Any], told: Told) -> Any:
    """The JSON Schema the answer is to keep to, where the provider does not read ``text`` itself."""
    if where.type == _NATIVE:
        extras["text"] = text
        return None
    if not isinstance(text, Mapping):
        raise InvalidRequestError(f"text is {shown(text)}", guidance="Give an object with format.")
    if text.get("verbosity") and where.chat:
        extras["verbosity"] = text["verbosity"]
    elif text.get("verbosity"):
        told.lose("text.verbosity", text["verbosity"], "this provider does not know it")
    form = text.get("format")
    if form is None or (isinstance(form, Mapping) and form.get("type") == "text"):
        return None
    if isinstance(form, Mapping) and form.get("type") == "json_schema" and isinstance(form.get("schema"), Mapping):
        return form["schema"]
    raise InvalidRequestError("text.format cannot be carried", guidance="Give a json_schema with a schema.")


def _body(outcome: sending.Outcome, given: Mapping[str, Any]) -> dict[str, Any]:
    """The provider's own body, or one written of the answer."""
    answer = outcome if isinstance(outcome, ModelResponse) else outcome.response
    assert answer is not None  # noqa: S101  (asking hands on no other)
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
    told = answer.request_id or "0"
    status = "incomplete" if answer.truncated else "completed"
    out: list[dict[str, Any]] = []
    if parts:
        out.append({"id": f"msg_{told}", "type": "message", "role": "assistant", "status": status, "content": parts})
    out += [
        {
            "id": f"fc_{call.id}",
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.raw_arguments,
            "status": status,
        }
        for call in answer.tool_calls
    ]
    return out


def _usage(usage: Usage) -> dict[str, Any] | None:
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens or 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
