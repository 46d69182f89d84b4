"""The response objects of openai: chats, completions, responses, embeddings, models. Fields are named as on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from llm_sync.compat.shim.response_objects import AnswerObject, Page


def _none(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split())


class CompletionTokensDetails(AnswerObject):
    """Details of ``usage.completion_tokens``."""

    absent = _none("accepted_prediction_tokens audio_tokens reasoning_tokens rejected_prediction_tokens text_tokens")


class PromptTokensDetails(AnswerObject):
    """Details of ``usage.prompt_tokens``."""

    absent = _none("audio_tokens cache_write_tokens cached_tokens image_tokens text_tokens")


class CompletionUsage(AnswerObject):
    """Tokens."""

    absent = _none("completion_tokens_details prompt_tokens_details")
    parts: ClassVar = {"completion_tokens_details": CompletionTokensDetails, "prompt_tokens_details": PromptTokensDetails}


class Function(AnswerObject):
    """A called function: ``name``, and ``arguments`` as JSON text."""


class FunctionCall(AnswerObject):
    """A legacy function call, without an id."""


class ChatCompletionMessageFunctionToolCall(AnswerObject):
    """One tool call."""

    parts: ClassVar = {"function": Function, "custom": Function}


class ChatCompletionMessage(AnswerObject):
    """The message of a choice."""

    absent = _none("content refusal annotations audio function_call tool_calls")
    parts: ClassVar = {"tool_calls": ChatCompletionMessageFunctionToolCall, "function_call": FunctionCall}


class Choice(AnswerObject):
    """One choice of a chat completion."""

    absent = _none("logprobs finish_reason")
    parts: ClassVar = {"message": ChatCompletionMessage, "logprobs": AnswerObject}


class ChatCompletion(AnswerObject):
    """A chat completion."""

    absent = _none("metadata moderation service_tier system_fingerprint usage")
    parts: ClassVar = {"choices": Choice, "usage": CompletionUsage}


class CompletionChoice(AnswerObject):
    """One choice of a completion."""

    absent = _none("logprobs")


class Completion(AnswerObject):
    """A completion of a prompt."""

    absent = _none("system_fingerprint usage")
    parts: ClassVar = {"choices": CompletionChoice, "usage": CompletionUsage}


class Embedding(AnswerObject):
    """The vector of one text: ``embedding``, a list of numbers or their base64."""


class EmbeddingUsage(AnswerObject):
    """Tokens of embeddings."""


class CreateEmbeddingResponse(AnswerObject):
    """The vectors of texts; ``llm_sync`` holds the Embeddings it was made from."""

    parts: ClassVar = {"data": Embedding, "usage": EmbeddingUsage}


class ResponseOutputText(AnswerObject):
    """A text of a message, or a refusal."""

    absent = _none("logprobs")


class ResponseOutputItem(AnswerObject):
    """One item of ``output``: a message, a function call, reasoning …; ``type`` tells."""

    absent = _none("phase")
    parts: ClassVar = {"content": ResponseOutputText, "summary": AnswerObject}


class ResponseUsage(AnswerObject):
    """Tokens of a response."""

    parts: ClassVar = {"input_tokens_details": AnswerObject, "output_tokens_details": AnswerObject}


class Response(AnswerObject):
    """A response of the Responses API."""

    absent = _none(
        "error incomplete_details instructions metadata usage background conversation max_output_tokens max_tool_calls "
        "previous_response_id prompt prompt_cache_key reasoning safety_identifier service_tier status text top_logprobs "
        "truncation user"
    )
    parts: ClassVar = {
        "output": ResponseOutputItem,
        "usage": ResponseUsage,
        "incomplete_details": AnswerObject,
        "error": AnswerObject,
        "reasoning": AnswerObject,
        "text": AnswerObject,
    }

    @property
    def output_text(self) -> str:
        """The texts of all messages, joined."""
        messages = [item for item in self["output"] if item.get("type") == "message"]
        parts = [part for item in messages for part in item.get("content") or ()]
        return "".join(part.get("text") or "" for part in parts if part.get("type") == "output_text")


class Model(AnswerObject):
    """One model of a listing."""

    absent = _none("shutdown_date")


class SyncPage(Page):
    """The result of ``models.list()``."""

    parts: ClassVar = {"data": Model}


class OpenAIObject(AnswerObject):
    """The response object of openai 0.28: a dict whose items are attributes too. ``str()`` gives JSON."""

    parts: ClassVar = {}

    @classmethod
    def read(cls, body: Any) -> Any:
        """Converts nested objects at any depth."""
        if isinstance(body, dict):
            return cls({name: cls.read(value) for name, value in body.items()})
        return [cls.read(item) for item in body] if isinstance(body, list) else body

    def __iter__(self) -> Iterator[str]:
        """The names, as of a dict."""
        return dict.__iter__(self)

    def __str__(self) -> str:
        return json.dumps(self, indent=2, ensure_ascii=False)

    @property
    def organization(self) -> str | None:
        """None: response headers are not kept."""
        return None

    @property
    def openai_id(self) -> str | None:
        """The id."""
        return self.get("id")

    @property
    def response_ms(self) -> int | None:
        """Milliseconds of the last attempt."""
        return int(self.llm_sync[0].latency_ms) if self.llm_sync else None
