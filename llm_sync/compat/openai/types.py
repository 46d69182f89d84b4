"""``openai.types`` and what is in it: the classes of answers, and ``dict`` for the shapes of requests, which are typing only."""

from __future__ import annotations

from typing import Any

from llm_sync.compat.answers import AnswerObject
from llm_sync.compat.openai import shapes

_OTHER_NAMES = {
    "ChatCompletionMessageToolCall": shapes.ChatCompletionMessageFunctionToolCall,
    "ResponseOutputMessage": shapes.ResponseOutputItem,
    "ResponseFunctionToolCall": shapes.ResponseOutputItem,
    "ResponseReasoningItem": shapes.ResponseOutputItem,
    "ResponseOutputRefusal": shapes.ResponseOutputText,
}


def __getattr__(name: str) -> Any:
    if name.endswith(("Param", "Params", "Role", "Effort", "Model")) and name[:1].isupper() and name != "Model":
        return dict
    found = _OTHER_NAMES.get(name) or getattr(shapes, name, None)
    if isinstance(found, type) and issubclass(found, AnswerObject):
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
