"""OpenRouter: OpenAI's chat completions, answered by an upstream provider. Only the differences are here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from llm_sync.models import ModelRequest
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.cache_marks import cache_control, limit_cache_marks
from llm_sync.providers.openai.chat_completions import OpenAIDialect

_MIN_OUTPUT = 16


class OpenRouterDialect(OpenAIDialect):
    """``type: openrouter``: base_url ends in /api/v1; models are named vendor/model."""

    type = "openrouter"
    default_base_url = "https://openrouter.ai/api/v1"
    key_variables = ("OPENROUTER_API_KEY",)
    keys_page = "https://openrouter.ai/settings/keys"
    billing_page = "https://openrouter.ai/settings/credits"
    request_id_headers: ClassVar[tuple[str, ...]] = ("x-generation-id", "x-request-id", "cf-ray")

    def prepare_request(self, request: ModelRequest, adjustments: Adjustments) -> dict[str, Any]:
        payload = super().prepare_request(request, adjustments)
        limit_cache_marks(payload, adjustments)
        return payload

    def cache_mark(self, model: str, ttl: str | None) -> Mapping[str, Any]:
        """``cache_control``; models that cache on their own ignore it."""
        return cache_control(ttl)

    def _add_max_tokens(self, payload: dict[str, Any], most: int, adjustments: Adjustments) -> None:
        if most < _MIN_OUTPUT and not self.config.max_tokens_field:
            adjustments.lose("max_tokens", most, _MIN_OUTPUT, f"upstreams of OpenRouter refuse fewer than {_MIN_OUTPUT}")
            most = _MIN_OUTPUT
        super()._add_max_tokens(payload, most, adjustments)

    def _max_tokens_field(self, model: str) -> str:
        return self.config.max_tokens_field or "max_completion_tokens"

    def read_listing(self, body: Any) -> tuple[list[str], dict[str, str] | None]:
        ids, _ = super().read_listing(body)
        links = body.get("links") if isinstance(body, dict) else None
        following = links.get("next") if isinstance(links, dict) else None
        return ids, dict(parse_qsl(urlsplit(following).query)) if isinstance(following, str) else None

    def _upstream_word(self, choice: Any) -> str | None:
        word = choice.get("native_finish_reason")
        return word if isinstance(word, str) else None

    def request_id(self, reply: Any, body: Any) -> str | None:
        generation_id = body.get("id") if isinstance(body, dict) and "x-generation-id" not in reply.headers else None
        return (
            generation_id
            if isinstance(generation_id, str) and generation_id.startswith("gen-")
            else super().request_id(reply, body)
        )

    def cost_in(self, body: Any) -> float | None:
        usage = body.get("usage") if isinstance(body, dict) else None
        cost = usage.get("cost") if isinstance(usage, dict) else None
        return (
            round(float(cost), 12) if isinstance(cost, (int, float)) and not isinstance(cost, bool) and 0 <= cost < 1e9 else None
        )
