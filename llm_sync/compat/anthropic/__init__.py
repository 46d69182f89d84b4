"""anthropic's names over llm-sync: ``Anthropic(…).messages.create``, ``.models.list``, and its exceptions.

docs/migrating.md says what is supported. Importing it reads and opens nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_sync.compat.anthropic.exceptions import (
    AnthropicError,
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ContentTooLargeError,
    DeadlineExceededError,
    GatewayTimeoutError,
    InternalServerError,
    NotFoundError,
    OverloadedError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    RequestTooLargeError,
    ServiceUnavailableError,
    UnprocessableEntityError,
    map_error,
)
from llm_sync.compat.shim.parameters import NOT_GIVEN, NotGiven
from llm_sync.compat.shim.settings import MAX_RETRIES as DEFAULT_MAX_RETRIES
from llm_sync.compat.shim.settings import TIMEOUT as DEFAULT_TIMEOUT
from llm_sync.compat.shim.unsupported import ASYNC, Refused, lookup, refused_class

if TYPE_CHECKING:
    from llm_sync.compat.anthropic import types
    from llm_sync.compat.anthropic.client import Anthropic
    from llm_sync.compat.shim.calls import Timeout

__all__ = [
    "AI_PROMPT",
    "DEFAULT_MAX_RETRIES",
    "DEFAULT_TIMEOUT",
    "HUMAN_PROMPT",
    "NOT_GIVEN",
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "Anthropic",
    "AnthropicError",
    "AuthenticationError",
    "BadRequestError",
    "Client",
    "ConflictError",
    "ContentTooLargeError",
    "DeadlineExceededError",
    "GatewayTimeoutError",
    "InternalServerError",
    "NotFoundError",
    "NotGiven",
    "OverloadedError",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTimeoutError",
    "RequestTooLargeError",
    "ServiceUnavailableError",
    "Timeout",
    "UnprocessableEntityError",
    "omit",
    "types",
]

VERSION = __version__ = "2.14.0"  # the version of the original package that the parameter tables were made for; scripts read it
not_given = omit = NOT_GIVEN
Omit = NotGiven
HUMAN_PROMPT, AI_PROMPT = "\n\nHuman:", "\n\nAssistant:"

_HOMES = {
    "Anthropic": "llm_sync.compat.anthropic.client",
    "Client": "llm_sync.compat.anthropic.client:Anthropic",
    "Timeout": "llm_sync.compat.shim.calls",
    "types": "llm_sync.compat.anthropic.types",
}
_CLOUD = "write a configuration: docs/providers.md has Google Cloud; then use Anthropic()"
_OTHER = "use the original package for it"
_PROXY = "set HTTPS_PROXY and REQUESTS_CA_BUNDLE, or proxy and ca_bundle in a configuration"
NOT_SUPPORTED: dict[str, Any] = {
    **{
        name: refused_class(f"anthropic.{name}", ASYNC, map_error)
        for name in ("AsyncAnthropic", "AsyncClient", "AsyncStream", "AsyncAnthropicBedrock", "AsyncAnthropicVertex")
    },
    "AnthropicVertex": refused_class("anthropic.AnthropicVertex", _CLOUD, map_error),
    **{
        name: refused_class(f"anthropic.{name}", _OTHER, map_error) for name in ("AnthropicBedrock", "AnthropicFoundry", "Stream")
    },
    **{
        name: refused_class(f"anthropic.{name}", _PROXY, map_error)
        for name in ("DefaultHttpxClient", "DefaultAsyncHttpxClient", "DefaultAioHttpClient")
    },
    **{name: Refused(f"anthropic.{name}", _OTHER, map_error) for name in ("beta_tool", "beta_async_tool", "transform_schema")},
}


def __getattr__(name: str) -> Any:
    value = lookup(__name__, name, _HOMES, NOT_SUPPORTED)
    if name in _HOMES:
        globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
