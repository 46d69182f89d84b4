"""OpenAI's chat completions and compatible servers: Azure, Groq, Mistral, DeepSeek, xAI, Ollama, vLLM and others.

The deviations read here were recorded from those servers; each is accepted from any of them, since gateways mix them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from llm_sync.models import ModelRequest, Usage
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.answer import Answer, Blocked, count, label
from llm_sync.providers.cache_marks import cache_control
from llm_sync.providers.dialect import Dialect
from llm_sync.providers.error_mapping import ApiError, ErrorClass
from llm_sync.providers.finish_words import interruption, normalized
from llm_sync.providers.message_parts import is_rich
from llm_sync.providers.openai import message as openai_message
from llm_sync.providers.openai import reasoning_state
from llm_sync.providers.openai.reasoning_models import is_reasoning_model, openai_model, sampling
from llm_sync.providers.openai.strict_schema import strict_form
from llm_sync.providers.payload import tool_choice
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.providers.background_wire import BackgroundWire
    from llm_sync.providers.openai.content_parts import PartWriter
    from llm_sync.providers.service_tier import AskedTier

_FINISH = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "max_output_tokens": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
}
_MAX_FIELDS = ("max_tokens", "max_completion_tokens")
_MISTRAL = re.compile(r"mistral|ministral|mixtral|magistral|codestral|devstral|pixtral|voxtral", re.IGNORECASE)
_NINE, _WORDS = re.compile(r"[a-zA-Z0-9]{9}"), re.compile(r"[a-zA-Z0-9_-]{1,64}")  # ids of tool calls
# Which form of structured output hosts take that do not take json_schema (facts as of November 2026).
_STRUCTURED = {
    "json_object": (
        *("deepseek.com", "moonshot.cn", "moonshot.ai", "bigmodel.cn", "z.ai", "aliyuncs.com", "volces.com", "baidubce.com"),
        *("siliconflow.cn", "siliconflow.com", "stepfun.com", "lkeap.cloud.tencent.com"),
    ),
    "tool": ("anthropic.com",),  # ignores response_format
    "prompt": ("minimax.io", "minimaxi.com", "minimax.chat"),
}
_CACHE_CONTROL = ("openrouter.ai", "aliyuncs.com")  # Qwen's own server is the second
_BREAKPOINTS = re.compile(r"gpt-(?:5\.[6-9]|[6-9])")
_NEW_MAX_FIELD = ("openai.com", "openai.azure.com", "cognitiveservices.azure.com", "groq.com", "openrouter.ai")


class OpenAIDialect(Dialect):
    """``type: openai``: POST {base_url}/chat/completions; base_url ends in /v1, or in the server's equivalent."""

    type = "openai"
    embeddings = "llm_sync.providers.embeddings.openai:wire_of"
    default_base_url = "https://api.openai.com/v1"
    key_variables = ("OPENAI_API_KEY",)
    keys_page = "https://platform.openai.com/api-keys"
    billing_page = "https://platform.openai.com/settings/organization/limits"
    request_id_headers: ClassVar[tuple[str, ...]] = (
        "x-request-id",
        "apim-request-id",
        "x-generation-id",
        "request-id",
        "mistral-correlation-id",
        "x-kong-request-id",
        "x-ds-trace-id",
        "x-log-id",
        "x-ms-client-request-id",
    )
    json_object: ClassVar[Mapping[str, Any]] = {"response_format": {"type": "json_object"}}
    part_types = frozenset({"text", "image", "document", "audio"})
    image_details = True
    message_names = True
    response_schema: ClassVar[Mapping[str, Any]] = openai_message.SCHEMA
    filtered_schema: ClassVar[Mapping[str, Any]] = openai_message.FILTERED_SCHEMA

    # Request -------------------------------------------------------------------------------------------------------

    def prepare_request(self, request: ModelRequest, adjustments: Adjustments) -> dict[str, Any]:
        model = request.model or ""
        payload: dict[str, Any] = {"model": model, "messages": self._messages(request, adjustments), "stream": False}
        effort = request.provider_specific.get("reasoning_effort")
        if request.temperature is not None or request.top_p is not None:
            payload |= sampling(request, effort, adjustments)
        if request.max_tokens is not None:
            by_hand = {name: request.provider_specific[name] for name in _MAX_FIELDS if name in request.provider_specific}
            if by_hand:  # both names at once are refused
                adjustments.note("max_tokens", request.max_tokens, by_hand, "provider_specific replaces it")
            else:
                self._add_max_tokens(payload, request.max_tokens, adjustments)
        if request.stop_sequences:
            if is_reasoning_model(model) and not openai_model(model).startswith("o1"):
                adjustments.lose("stop_sequences", list(request.stop_sequences), None, f"{model} takes no stop sequences")
            else:
                payload["stop"] = list(request.stop_sequences)
        if request.seed is not None:
            payload["random_seed" if self.is_at("mistral.ai") else "seed"] = request.seed
        if request.response_schema is not None:
            schema, strict = strict_form(request.response_schema, adjustments)
            wrapped = {"name": "answer", "schema": schema, "strict": strict}
            payload["response_format"] = {"type": "json_schema", "json_schema": wrapped}
        if request.tools:
            payload["tools"] = [openai_message.tool(tool, self.cache_mark(model, None)) for tool in request.tools]
        choice = None if request.tool_choice is None else tool_choice(request)
        if choice is not None:
            payload["tool_choice"] = {"type": "function", "function": {"name": choice[1]}} if choice[1] else choice[0]
        return payload

    def structured_output(self) -> str:
        return next((form for form, hosts in _STRUCTURED.items() if self.is_at(*hosts)), "json_schema")

    def _add_max_tokens(self, payload: dict[str, Any], most: int, adjustments: Adjustments) -> None:
        field = self._max_tokens_field(payload["model"])
        payload[field] = most
        if field != "max_tokens":
            adjustments.note("max_tokens", most, {field: most}, f"this endpoint calls it {field}")

    def _messages(self, request: ModelRequest, adjustments: Adjustments) -> list[dict[str, Any]]:
        model = request.model or ""
        if not (request.messages or request.images or request.documents):
            return self._with_system_prompt([{"role": "user", "content": request.prompt}], request, adjustments)
        messages = []
        for turn in self.turns(request):
            written = openai_message.message(turn)
            if is_rich(turn):
                written["content"] = part_writer(request, self, adjustments).chat_content(turn)
            if turn.role == "assistant":
                reasoning_state.add_state(written, turn, self, model)
            messages.append(written)
        return self._with_system_prompt(messages, request, adjustments)

    def _with_system_prompt(
        self, messages: list[dict[str, Any]], request: ModelRequest, adjustments: Adjustments
    ) -> list[dict[str, Any]]:
        model = request.model or ""
        if request.system_prompt is not None:
            mark = self.cache_mark(model, request.cache_ttl) if request.cache_system else None
            text = request.system_prompt
            messages.insert(0, {"role": "system", "content": [{"type": "text", "text": text, **mark}] if mark else text})
        if openai_model(model).startswith(("o1-mini", "o1-preview")):
            for message in messages:
                if message["role"] == "system":
                    message["role"] = "user"
                    adjustments.note(
                        "system_prompt", message["content"], "a user message", f"{request.model} takes no system role"
                    )
        return messages

    def cache_mark(self, model: str, ttl: str | None) -> Mapping[str, Any] | None:
        """Anthropic's mark where a server passes it on or has it, too; OpenAI's own from GPT-5.6 on."""
        if self.is_at(*_CACHE_CONTROL):
            return cache_control(ttl)
        own = self.is_at("openai.com") and _BREAKPOINTS.match(openai_model(model))
        return {"prompt_cache_breakpoint": {"mode": "explicit"}} if own else None

    def accepted_ids(self, model: str) -> re.Pattern[str]:
        """Compatible servers pass ids on to models whose own APIs are stricter than OpenAI's."""
        if self.is_at("mistral.ai") or _MISTRAL.search(model):
            return _NINE
        return _WORDS if self.is_at("anthropic.com") or "claude" in model else self.tool_call_ids

    def service_tier(self, tier: str, model: str) -> AskedTier | None:
        with import_lock:
            from llm_sync.providers.service_tier import openai_tier

        return openai_tier(tier, self.is_at)

    def background(self, model: str) -> BackgroundWire | None:
        with import_lock:
            from llm_sync.providers.openai.background import chat_background

        return chat_background(model, self.is_at)

    def _max_tokens_field(self, model: str) -> str:
        """OpenAI renamed the field for reasoning models; most compatible servers know only the old name. Never send both."""
        if self.config.max_tokens_field:
            return self.config.max_tokens_field
        new = self.is_at(*_NEW_MAX_FIELD) or is_reasoning_model(model)
        return "max_completion_tokens" if new else "max_tokens"

    # Reply ---------------------------------------------------------------------------------------------------------

    def unwrap(self, body: Any) -> Any:
        nested = body.get("provider") if isinstance(body, dict) else None
        return nested if isinstance(nested, dict) and "choices" in nested else body  # OpenRouter does this sometimes

    def error_in(self, body: Any) -> Any:
        found = super().error_in(body)
        if found is not None or not isinstance(body, dict):
            return found
        if body.get("object") == "error":
            return body  # old vLLM's flat form
        choice = _first_choice(body)
        return choice if choice.get("error") else None

    def schema_for(self, body: Any) -> Mapping[str, Any]:
        choice = _first_choice(body) if isinstance(body, dict) else {}
        blocked = not choice.get("message") and isinstance(interruption(choice.get("finish_reason")), Blocked)
        return self.filtered_schema if blocked else self.response_schema  # Azure: a filtered choice has no message

    def read_answer(self, body: Any) -> Answer:
        choice = body["choices"][0]
        message = choice.get("message") or {}
        text, thinking, parsed = openai_message.content(message.get("content"))
        calls = openai_message.tool_calls(message)
        word = (
            label(choice.get("finish_reason")) or (choice.get("finish_details") or {}).get("type") or self._upstream_word(choice)
        )
        refusal = message.get("refusal") or openai_message.refusal(message.get("content"))
        outcome = Blocked(refusal) if refusal else interruption(word)
        if isinstance(outcome, Blocked) and not refusal:
            outcome = Blocked(f"finish reason {word}")
        return Answer(
            text=text or openai_message.transcript(message),
            finish_reason=_FINISH.get(normalized(word), "other"),
            finish_reason_raw=word,
            usage=self.read_usage(body),
            model=label(body.get("model")),
            tool_calls=calls,
            thinking=openai_message.reasoning(message) or thinking,
            outcome=outcome,
            cost=self.cost_in(body),
            parsed=parsed,
            state=reasoning_state.read_state(message, self, has_calls=bool(calls)),
        )

    def other_content(self, body: Any) -> list[str]:
        return openai_message.other_content(_first_choice(body).get("message") or {})

    def _upstream_word(self, choice: Mapping[str, Any]) -> str | None:
        """The finish reason of the upstream behind the endpoint, if the endpoint has none of its own."""
        return None

    def request_id(self, reply: Any, body: Any) -> str | None:
        groq = body.get("x_groq") if isinstance(body, dict) else None
        groq_id = groq.get("id") if isinstance(groq, dict) else None
        return super().request_id(reply, body) or (groq_id if isinstance(groq_id, str) else None)

    def read_usage(self, body: Any) -> Usage:
        usage = body.get("usage") if isinstance(body, dict) else None
        sent, made, all_of_it = count(usage, "prompt_tokens"), count(usage, "completion_tokens"), count(usage, "total_tokens")
        thought = count(usage, "completion_tokens_details", "reasoning_tokens")
        if sent is not None and made is not None and all_of_it is not None and all_of_it > sent + made:
            if thought and all_of_it == sent + made + thought:
                made += thought  # xAI does not include reasoning in completion_tokens; all others do
            elif self.is_at("googleapis.com"):
                thought = all_of_it - sent - made  # Google tells of thoughts only in the total
                made += thought
        details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
        cached = count(details, "cached_tokens") if details else None
        if cached is None and isinstance(usage, dict):
            for other in ("prompt_cache_hit_tokens", "cached_tokens"):  # DeepSeek, Moonshot
                cached = count(usage, other) if cached is None and other in usage else cached
        return Usage(sent, made, cached, thought, _cache_writes(details) if details else None)

    def partial_text(self, body: Any) -> str:
        message = _first_choice(body).get("message") if isinstance(body, dict) else None
        return openai_message.content(message.get("content"))[0] if isinstance(message, dict) else ""

    def classify(self, error: ApiError, headers: Mapping[str, str]) -> ErrorClass:
        with import_lock:  # imported on the first failure
            from llm_sync.providers.openai.api_errors import class_of

        return class_of(error, self.error_words, headers)


def part_writer(request: ModelRequest, dialect: Dialect, adjustments: Adjustments) -> PartWriter:
    """Writes messages part by part; few requests need it."""
    with import_lock:
        from llm_sync.providers.openai.content_parts import PartWriter

    return PartWriter(request, dialect, adjustments)


def _cache_writes(details: Any) -> int | None:
    written = count(details, "cache_write_tokens")
    return count(details, "cache_creation_input_tokens") if written is None else written  # Qwen's name


def _first_choice(body: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}
