"""litellm's names over llm-sync: ``completion``, ``batch_completion``, and the exceptions.

docs/migrating.md says what is supported. Importing it reads and opens nothing.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

from llm_sync.compat.litellm.exceptions import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    AuthenticationError,
    BadGatewayError,
    BadRequestError,
    BudgetExceededError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InternalServerError,
    InvalidRequestError,
    JSONSchemaValidationError,
    NotFoundError,
    OpenAIError,
    PermissionDeniedError,
    RateLimitError,
    ServiceUnavailableError,
    Timeout,
    UnprocessableEntityError,
    UnsupportedParamsError,
    map_error,
)
from llm_sync.compat.litellm.response_objects import Choices, Message, ModelResponse, Usage
from llm_sync.compat.shim.unsupported import ASYNC, Refused, lookup, refuse, refused_class

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "AuthenticationError",
    "BadGatewayError",
    "BadRequestError",
    "BudgetExceededError",
    "Choices",
    "ContentPolicyViolationError",
    "ContextWindowExceededError",
    "InternalServerError",
    "InvalidRequestError",
    "JSONSchemaValidationError",
    "Message",
    "ModelResponse",
    "NotFoundError",
    "OpenAIError",
    "PermissionDeniedError",
    "RateLimitError",
    "ServiceUnavailableError",
    "Timeout",
    "UnprocessableEntityError",
    "UnsupportedParamsError",
    "Usage",
    "batch_completion",
    "completion",
    "completion_cost",
    "completion_with_retries",
    "exceptions",
]

version = __version__ = "1.110.2"  # the version of the original package that the parameter tables were made for; scripts read it

# Settings that a script may assign; every call reads them.
api_key: str | None = None
openai_key: str | None = None
anthropic_key: str | None = None
api_base: str | None = None
api_version: str | None = None
organization: str | None = None
headers: Any = None
drop_params = False
num_retries: int | None = None
request_timeout: Any = None
# These have no effect; for callbacks and caches a line on standard error says so.
success_callback: list[Any] = []
failure_callback: list[Any] = []
input_callback: list[Any] = []
callbacks: list[Any] = []
cache: Any = None
set_verbose = suppress_debug_info = False
telemetry = False
modify_params = False

_OTHER = "use the original package for it"
_COST_OF_ANSWER = "call completion_cost(completion_response=response)"
_PRICES = "install a price list (pip install 'llm-sync[prices]'), or write pricing into a configuration"
NOT_SUPPORTED: dict[str, Any] = {
    **{
        name: Refused(f"litellm.{name}", ASYNC, map_error)
        for name in ("acompletion", "atext_completion", "aembedding", "aresponses", "abatch_completion")
    },
    **{
        name: Refused(f"litellm.{name}", _OTHER, map_error)
        for name in (
            *("embedding", "image_generation", "transcription", "speech", "moderation", "rerank", "text_completion", "responses"),
            *(
                "token_counter",
                "encode",
                "decode",
                "cost_per_token",
                "get_max_tokens",
                "get_llm_provider",
                "validate_environment",
                "model_cost",
                "enable_cache",
                "disable_cache",
            ),
            *("check_valid_key", "batch_completion_models", "batch_completion_models_all_responses", "stream_chunk_builder"),
            *("supports_function_calling", "supports_vision", "supports_response_schema", "get_model_info", "register_model"),
        )
    },
    "Router": refused_class("litellm.Router", "write a configuration, and catch the exception to ask another model", map_error),
    "Cache": refused_class("litellm.Cache", "write `cache: true` into a configuration", map_error),
    "EmbeddingResponse": refused_class("litellm.EmbeddingResponse", _OTHER, map_error),
}


@lru_cache  # cache is a name of litellm
def _calls() -> Any:
    """The module of calls, imported at the first call: an import statement in each call would cost time."""
    from llm_sync.compat.litellm import calls

    return calls


def completion(model: Any = None, messages: Any = None, **arguments: Any) -> ModelResponse:
    """An answer as a ModelResponse; docs/migrating.md says how each argument is handled. Raises this module's exceptions."""
    return _calls().complete({"model": model, "messages": messages, **arguments}, sys.modules[__name__])  # type: ignore[no-any-return]


completion_with_retries = completion


def batch_completion(model: Any = None, messages: Any = None, **arguments: Any) -> list[Any]:
    """The answers to a list of conversations, in order; a failed one has its exception in its place."""
    return _calls().complete_all({"model": model, "messages": messages, **arguments}, sys.modules[__name__])  # type: ignore[no-any-return]


def completion_cost(completion_response: Any = None, model: Any = None, **arguments: Any) -> float:
    """The cost of an answer in US dollars. ``model``: the answer's own, if any.

    Raises OpenAIError for texts or another model, and if neither the configuration, the provider nor a price list has a price.
    """
    answered = str(getattr(completion_response, "model", ""))
    if arguments or (model and not answered.startswith(str(model).rpartition("/")[2])):
        refuse("litellm.completion_cost supports only an answer, at its own model's price", _COST_OF_ANSWER, map_error)
    hidden = getattr(completion_response, "_hidden_params", None) or {}
    cost = hidden.get("response_cost")
    if cost is None:
        refuse(f"litellm.completion_cost knows no price of {answered or 'this'}", _PRICES, map_error)
    return float(cost)


def _turn_on_debug() -> None:
    """Print what is sent and received, without keys, on standard error: llm-sync's own debug log."""
    import logging

    from llm_sync.events import logger

    log = logger("requests").parent
    if log is not None and not any(isinstance(handler, logging.StreamHandler) for handler in log.handlers):
        log.addHandler(logging.StreamHandler())
        log.setLevel(logging.DEBUG)


def __getattr__(name: str) -> Any:
    return lookup(__name__, name, {"exceptions": f"{__name__}.exceptions"}, NOT_SUPPORTED)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
