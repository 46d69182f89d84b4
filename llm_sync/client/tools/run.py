"""``LLMClient.run_tools``: its options checked, its requests sent through the client."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from llm_sync.client.request_defaults import check_seconds
from llm_sync.client.tools.cost import most_cost
from llm_sync.client.tools.loop import Settings, ToolLoop
from llm_sync.client.tools.tool import Tools, read_tools
from llm_sync.errors import InvalidRequestError
from llm_sync.models import ModelRequest, ModelResponse, field_checks
from llm_sync.models.tool_run import ToolRun

_CALL_OPTIONS = ("timeout", "deadline", "max_retries", "wait_timeout")


def run_tools(
    ask: Callable[..., ModelResponse],
    dispatcher: Any,
    request: ModelRequest,
    tools: Tools,
    max_rounds: int = 8,
    max_cost: float | None = None,
    *,
    on_error: str = "model",
    tool_timeout: float | None = 120.0,
    parallel: int = 8,
    max_result: int | None = 100_000,
    **call_options: Any,
) -> ToolRun:
    """See ``LLMClient.run_tools``. ``ask``: the client's ``generate_response``, with ``call_options`` for each answer;
    ``dispatcher``: its dispatcher."""
    if not isinstance(request, ModelRequest):
        raise TypeError(f"a request is a ModelRequest, not {type(request).__name__}")
    unknown = next((name for name in call_options if name not in _CALL_OPTIONS), None)
    if unknown is not None:
        raise TypeError(f"run_tools() got an unexpected keyword argument {unknown!r}")
    for name, number in (("max_rounds", max_rounds), ("parallel", parallel), ("max_result", max_result)):
        if number is not None or name != "max_result":
            field_checks.check_integer(name, number, 1)
    if max_cost is not None:
        field_checks.check_number("max_cost", max_cost, 0, 1e6)
    if on_error not in ("model", "raise"):
        raise InvalidRequestError(f"on_error={on_error!r} is unknown", guidance="Give 'model' or 'raise'.")
    check_seconds("tool_timeout", tool_timeout)
    settings = Settings(max_rounds, max_cost, on_error == "raise", tool_timeout, parallel, max_result)

    tools = read_tools(tools, request.tools)
    return ToolLoop(partial(ask, **call_options), partial(most_cost, dispatcher), request, tools, settings).run()
