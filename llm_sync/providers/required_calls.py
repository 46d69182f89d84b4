"""Whether an answer calls the tool that the request insists on. Some servers ignore ``tool_choice`` (llama.cpp)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync import errors
from llm_sync.models import Adjustment, PreparedRequest
from llm_sync.providers.answer import Answer, Completed
from llm_sync.providers.payload import tool_choice, tool_parts


def ignored_choice(answer: Answer, prepared: PreparedRequest) -> Adjustment | None:
    """The adjustment that a finished answer without the required call is; None for every other one.

    Nothing is expected of tools that the provider runs itself, of an answer that was cut, and where the choice was not sent.
    """
    request = prepared.request
    choice = tool_choice(request) if request.tool_choice is not None else None
    if choice is None or choice[0] not in ("required", "named") or not isinstance(answer.outcome, Completed):
        return None
    if any(made.parameter == "tool_choice" for made in prepared.adjustments) or "tool_choice" in request.provider_specific:
        return None
    functions = [tool_parts(tool)[0] for tool in request.tools if _is_function(tool)]
    if choice[0] == "required":
        met = bool(answer.tool_calls) or len(functions) < len(request.tools)
    else:
        met = any(call.name == choice[1] for call in answer.tool_calls) or choice[1] not in functions
    if met:
        return None
    calls = ", ".join(call.name for call in answer.tool_calls) or "no tool"
    return Adjustment("tool_choice", request.tool_choice, "auto", f"the model ignored it and called {calls}")


def ignored_choice_error(ignored: Adjustment, text: str) -> errors.ResponseValidationError:
    """The error that it is under ``strict``."""
    return errors.ResponseValidationError(
        f"tool_choice={ignored.asked!r} was sent, but {ignored.reason}",
        partial_text=text or None,
        guidance="Use a model and a server that support tool_choice, or drop strict to get the answer as it is.",
    )


def _is_function(tool: Mapping[str, Any]) -> bool:
    return ("name" in tool or "function" in tool) and tool.get("type", "function") in ("function", "custom")
