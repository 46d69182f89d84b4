"""``openai.types`` and what is in it: the response classes, and ``dict`` for request types, which exist for typing only."""

from __future__ import annotations

from typing import Any

from llm_sync.compat.openai import response_objects
from llm_sync.compat.openai.exceptions import map_error
from llm_sync.compat.shim.response_objects import by_name
from llm_sync.compat.shim.unsupported import type_named

_SHAPES = {
    **by_name(vars(response_objects)),
    "ChatCompletionMessageToolCall": response_objects.ChatCompletionMessageFunctionToolCall,
    "ChatCompletionMessageToolCallUnion": response_objects.ChatCompletionMessageFunctionToolCall,
    "ResponseOutputMessage": response_objects.ResponseOutputItem,
    "ResponseFunctionToolCall": response_objects.ResponseOutputItem,
    "ResponseReasoningItem": response_objects.ResponseOutputItem,
    "ResponseOutputRefusal": response_objects.ResponseOutputText,
}
_REQUESTS = ("Param", "Params", "Role", "Effort", "Model", "FunctionDefinition", "FunctionParameters", "Metadata", "Reasoning")
_FORMATS = ("ResponseFormat", "ResponseFormatText", "ResponseFormatJSONObject", "ResponseFormatJSONSchema", "JSONSchema")


def __getattr__(name: str) -> Any:
    return type_named(__name__, name, _SHAPES, (*_REQUESTS, *_FORMATS), map_error)
