"""``openai.types`` and what is in it: the classes of answers, and ``dict`` for the shapes of requests, which are typing only."""

from __future__ import annotations

from typing import Any

from llm_sync.compat.answers import by_name
from llm_sync.compat.openai import shapes
from llm_sync.compat.openai.exceptions import shim_error
from llm_sync.compat.refusals import type_named

_SHAPES = {
    **by_name(vars(shapes)),
    "ChatCompletionMessageToolCall": shapes.ChatCompletionMessageFunctionToolCall,
    "ChatCompletionMessageToolCallUnion": shapes.ChatCompletionMessageFunctionToolCall,
    "ResponseOutputMessage": shapes.ResponseOutputItem,
    "ResponseFunctionToolCall": shapes.ResponseOutputItem,
    "ResponseReasoningItem": shapes.ResponseOutputItem,
    "ResponseOutputRefusal": shapes.ResponseOutputText,
}
_REQUESTS = ("Param", "Params", "Role", "Effort", "Model", "FunctionDefinition", "FunctionParameters", "Metadata", "Reasoning")
_FORMATS = ("ResponseFormat", "ResponseFormatText", "ResponseFormatJSONObject", "ResponseFormatJSONSchema", "JSONSchema")


def __getattr__(name: str) -> Any:
    return type_named(__name__, name, _SHAPES, (*_REQUESTS, *_FORMATS), shim_error)
