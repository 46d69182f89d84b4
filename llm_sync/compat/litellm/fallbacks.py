"""``fallbacks=`` of ``completion``: models that are asked in turn when the first one fails, as a route does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llm_sync.client.route_rules import goes_on
from llm_sync.compat.shim import notices
from llm_sync.compat.shim.error_mapping import ShimError
from llm_sync.compat.shim.parameters import shown
from llm_sync.config.models import DEFAULT_GO_ON_AFTER
from llm_sync.errors import InvalidRequestError, LLMConnectorError

# litellm's fallbacks are for keys that are refused and requests that are too long for a model, too.
_CLASSES = DEFAULT_GO_ON_AFTER | {"authentication", "context_length"}


def alternatives(arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The arguments of each call, the first one without its fallbacks. Raises InvalidRequestError for what is no fallback."""
    given = arguments.get("fallbacks")
    first = {name: value for name, value in arguments.items() if name != "fallbacks"}
    if not isinstance(given, (list, tuple)):
        raise InvalidRequestError(f"fallbacks is {shown(given)}", guidance="Give a list of models.")
    calls = [first]
    for each in given:
        if isinstance(each, str):
            calls.append({**first, "model": each})
        elif isinstance(each, Mapping) and isinstance(each.get("model"), str):
            calls.append({**first, **each})
        else:
            raise InvalidRequestError(f"fallbacks has {shown(each)}", guidance="Give names of models, or dicts with model.")
    return calls


def complete_any(arguments: Mapping[str, Any], complete: Callable[[Mapping[str, Any]], Any]) -> Any:
    """The answer of the first call that has one. Raises the error of the last one that was made."""
    calls = alternatives(arguments)
    for number, call in enumerate(calls, 1):
        try:
            return complete(call)
        except ShimError as error:  # noqa: PERF203  (one call follows another)
            if number == len(calls) or not _goes_on(error, first=number == 1):
                raise
            following = calls[number]["model"]
            notices.notify_once(f"{call['model']} fails ({type(error).__name__}): {following}, its fallback, is asked")
    raise AssertionError("there is a first call")


def _goes_on(error: ShimError, *, first: bool) -> bool:
    cause = error.__cause__
    return isinstance(cause, LLMConnectorError) and goes_on(cause, _CLASSES, retry_timeouts=True, first=first)
