"""OpenAI's Responses API: the only API of some models (gpt-5-pro, codex, deep research)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from llm_sync.models import Message, ModelRequest, ToolCall, Usage
from llm_sync.models.images import load_image
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.answer import Answer, Blocked, Cut, Deferred, Failed, Outcome, count, label, tool_call
from llm_sync.providers.finish_words import interruption
from llm_sync.providers.message_parts import is_rich
from llm_sync.providers.openai.chat_completions import OpenAIDialect, part_writer
from llm_sync.providers.openai.output_items import kept_items, state_of
from llm_sync.providers.openai.reasoning_models import is_reasoning_model, sampling
from llm_sync.providers.openai.strict_schema import strict_form
from llm_sync.providers.payload import arguments_text, tool_choice, tool_parts
from llm_sync.providers.turns import own_state, with_unique_ids
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.providers.background_wire import BackgroundWire

_TEXT = {"type": "string", "nullable": True}
_ANYTHING = {"nullable": True}
_MIN_OUTPUT = 16  # tokens; fewer is a 400 integer_below_min_value


class OpenAIResponsesDialect(OpenAIDialect):
    """``type: openai-responses``: POST {base_url}/responses; base_url ends in /v1."""

    type = "openai-responses"
    path = "/responses"
    part_types = frozenset({"text", "image", "document"})
    message_names = False
    forbidden = OpenAIDialect.forbidden | {"previous_response_id", "conversation"}
    json_object: ClassVar[Mapping[str, Any]] = {"text": {"format": {"type": "json_object"}}}
    response_schema: ClassVar[Mapping[str, Any]] = {
        "model": _ANYTHING,
        "status": _TEXT,
        "output": {
            "type": "list",
            "required": True,
            "schema": {
                "type": "dict",
                "schema": {
                    "type": {"type": "string", "required": True},
                    "name": _TEXT,
                    "arguments": {"type": ["string", "dict"], "nullable": True},
                    "call_id": _ANYTHING,
                    "content": {
                        "type": "list",
                        "nullable": True,
                        "schema": {"type": "dict", "schema": {"type": _TEXT, "text": _TEXT, "refusal": _TEXT}},
                    },
                    "summary": {"type": "list", "nullable": True},
                },
            },
        },
        "incomplete_details": {"type": "dict", "nullable": True, "schema": {"reason": _TEXT}},
        "usage": _ANYTHING,
    }

    def prepare_request(self, request: ModelRequest, adjustments: Adjustments) -> dict[str, Any]:
        model = request.model or ""
        payload: dict[str, Any] = {"model": model, "input": self._input(request, adjustments), "store": False, "stream": False}
        if (is_reasoning_model(model) or model.startswith("grok-4")) and "include" not in request.provider_specific:
            payload["include"] = ["reasoning.encrypted_content"]  # what a later turn of a tool loop hands back
        if request.system_prompt is not None and not (request.cache_system and self.cache_mark(model, None)):
            payload["instructions"] = request.system_prompt
        reasoning = request.provider_specific.get("reasoning")
        effort = reasoning.get("effort") if isinstance(reasoning, Mapping) else None
        payload |= sampling(request, effort, adjustments)
        if request.max_tokens is not None:
            payload["max_output_tokens"] = max(request.max_tokens, _MIN_OUTPUT)
            if request.max_tokens < _MIN_OUTPUT:
                adjustments.lose(
                    "max_tokens", request.max_tokens, _MIN_OUTPUT, f"the Responses API takes no less than {_MIN_OUTPUT}"
                )
        if request.stop_sequences:
            adjustments.lose("stop_sequences", list(request.stop_sequences), None, "the Responses API has no stop sequences")
        if request.seed is not None:
            adjustments.lose("seed", request.seed, None, "the Responses API has no seed")
        if request.response_schema is not None:
            schema, strict = strict_form(request.response_schema, adjustments)
            payload["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": strict}}
        if request.tools:
            payload["tools"] = [_tool(tool) for tool in request.tools]
        choice = tool_choice(request)
        if choice is not None:
            payload["tool_choice"] = {"type": "function", "name": choice[1]} if choice[1] else choice[0]
        return payload

    def _input(self, request: ModelRequest, adjustments: Adjustments) -> Any:
        model = request.model or ""
        mark = self.cache_mark(model, request.cache_ttl) if request.cache_system and request.system_prompt else None
        if request.prompt is not None and not request.images and not request.documents and not mark:
            return request.prompt
        origin = self.origin(model)
        items: list[dict[str, Any]] = []
        if mark:  # instructions take no mark
            text = {"type": "input_text", "text": request.system_prompt, **mark}
            items.append({"type": "message", "role": "system", "content": [text]})
        for message in self.turns(request):
            items += kept_items(message, own_state(message.state, origin)) or self._items(message, request, adjustments)
        return items

    def structured_output(self) -> str:
        return "json_schema"  # whatever the host: the API has it from the start

    def _items(self, message: Message, request: ModelRequest, adjustments: Adjustments) -> list[dict[str, Any]]:
        if message.role in ("assistant", "tool") and (message.cache or any(part.cache for part in message.parts)):
            adjustments.note("cache", True, None, f"the Responses API has no cache points on {message.role} messages")
        elif is_rich(message) and message.role not in ("assistant", "tool"):
            content = part_writer(request, self, adjustments).input_content(message)
            return [{"type": "message", "role": message.role, "content": content}]
        return _items(message)

    def background(self, model: str) -> BackgroundWire | None:
        with import_lock:
            from llm_sync.providers.openai.background import responses_background

        return responses_background(self.is_at)

    def accepted_ids(self, model: str) -> re.Pattern[str]:
        """1 to 64 characters, whatever the model."""
        return self.tool_call_ids

    def unwrap(self, body: Any) -> Any:
        return body

    def schema_for(self, body: Any) -> Mapping[str, Any]:
        return self.response_schema

    def partial_text(self, body: Any) -> str:
        items = body.get("output") if isinstance(body, dict) else None
        parts = [item.get("content") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
        return "".join(_piece(part) for content in parts if isinstance(content, list) for part in content)

    def read_answer(self, body: Any) -> Answer:
        texts, thoughts, calls, refusals = [], [], [], []
        for item in body["output"]:
            if item["type"] == "message":
                for part in item.get("content") or ():
                    texts.append(part.get("text") or "" if part.get("type") in ("output_text", "text") else "")
                    refusals.append(part.get("refusal") or "")
            elif item["type"] == "reasoning":
                thoughts += [_piece(part) for part in [*(item.get("summary") or ()), *(item.get("content") or ())]]
            elif item["type"] in ("function_call", "custom_tool_call"):
                calls.append(_call(item))
        status = body.get("status")
        reason = (body.get("incomplete_details") or {}).get("reason")
        refusal = "".join(refusals) or ("content_filter" if reason == "content_filter" else None)
        cut = status == "incomplete" and reason != "content_filter"
        outcome: Outcome | None = None
        if status in ("queued", "in_progress"):
            outcome = Deferred(status)
        elif refusal:
            outcome = Blocked(refusal)
        elif status in ("failed", "cancelled", "expired"):
            outcome = Failed(f"status {status}")
        elif cut:
            outcome = interruption(reason) or Cut()
        return Answer(
            text="".join(texts),
            finish_reason="length" if cut else "stop" if status in ("completed", "complete") else "other",
            finish_reason_raw=reason or status,
            usage=self.read_usage(body),
            model=label(body.get("model")),
            tool_calls=with_unique_ids(tuple(calls)),
            thinking="\n".join(piece for piece in thoughts if piece) or None,
            outcome=outcome,
            state=state_of(body),
        )

    def other_content(self, body: Any) -> list[str]:
        return [item["type"] for item in body["output"] if item["type"] not in ("message", "reasoning", "compaction")]

    def read_usage(self, body: Any) -> Usage:
        usage = body.get("usage") if isinstance(body, dict) else None
        return Usage(
            count(usage, "input_tokens"),
            count(usage, "output_tokens"),
            count(usage, "input_tokens_details", "cached_tokens"),
            count(usage, "output_tokens_details", "reasoning_tokens"),
            count(usage, "input_tokens_details", "cache_write_tokens"),
        )


def _items(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [{"type": "function_call_output", "call_id": message.tool_call_id, "output": message.content or ""}]
    parts: list[dict[str, Any]] = [{"type": "input_text", "text": message.content}] if message.content else []
    parts += [{"type": "input_image", "image_url": load_image(image).data_url, "detail": "auto"} for image in message.images]
    # An assistant's text in parts would need an id and a status, which no text of ours has.
    content = message.content if message.role == "assistant" else parts
    calls = [
        {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments_text(call)}
        for call in message.tool_calls
    ]
    return [*([{"type": "message", "role": message.role, "content": content}] if parts else []), *calls]


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    if tool.get("type", "function") != "function":
        return dict(tool)  # a tool of the provider's own (web_search_preview …)
    name, description, parameters, rest = tool_parts(tool)
    out: dict[str, Any] = {"type": "function", "name": name, "parameters": parameters, "strict": False, **rest}
    return {**out, "description": description} if description else out


def _call(item: Mapping[str, Any]) -> ToolCall:
    call_id = item.get("call_id") or item.get("id")
    if item["type"] == "custom_tool_call":
        raw = item.get("input")
        return ToolCall(str(call_id or ""), item.get("name") or "", None, raw if isinstance(raw, str) else "")
    return tool_call(call_id, item.get("name"), item.get("arguments"))


def _piece(part: Any) -> str:
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else ""
