"""The response objects of litellm: openai's under other names, with litellm's additions."""

from __future__ import annotations

from typing import Any, ClassVar

from llm_sync.compat.openai.response_objects import ChatCompletionMessageFunctionToolCall, CompletionUsage, FunctionCall
from llm_sync.compat.shim.response_objects import AnswerObject


class Usage(CompletionUsage):
    """Tokens."""


class Message(AnswerObject):
    """The message of a choice."""

    absent: ClassVar = dict.fromkeys(("content", "tool_calls", "function_call", "provider_specific_fields", "refusal"))
    parts: ClassVar = {"tool_calls": ChatCompletionMessageFunctionToolCall, "function_call": FunctionCall}


class Choices(AnswerObject):
    """One choice."""

    absent: ClassVar = dict.fromkeys(("logprobs", "provider_specific_fields", "finish_reason"))
    parts: ClassVar = {"message": Message, "logprobs": AnswerObject}


class ModelResponse(AnswerObject):
    """A chat completion."""

    absent: ClassVar = dict.fromkeys(("system_fingerprint", "usage"))
    parts: ClassVar = {"choices": Choices, "usage": Usage}

    @property
    def _hidden_params(self) -> dict[str, Any]:
        """Additional facts about the answer that litellm gives, as far as they are known."""
        costs = [answer.cost_estimate for answer in self.llm_sync]
        known = [cost for cost in costs if cost is not None]
        return {
            "response_cost": round(sum(known), 12) if known and len(known) == len(costs) else None,
            "custom_llm_provider": self.llm_sync[0].provider if self.llm_sync else None,
            "model_id": None,
        }

    def json(self, **options: Any) -> Any:
        """As a dict, as in litellm."""
        return self.model_dump(**options)
