"""openai's names over llm-sync, both generations in one module.

``openai.OpenAI(…)`` with chat completions, responses, embeddings and models, and its exceptions; of 0.28 ``openai.api_key``,
``openai.ChatCompletion.create(…)``, ``openai.Completion``, ``openai.Embedding``, ``openai.Model`` and ``openai.error``.
docs/migrating.md says what is supported. Importing it reads and opens nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from llm_sync.compat.openai.exceptions import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ContentFilterFinishReasonError,
    InternalServerError,
    LengthFinishReasonError,
    NotFoundError,
    OpenAIError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
    map_error,
)
from llm_sync.compat.openai.version import VERSION
from llm_sync.compat.shim.parameters import NOT_GIVEN, NotGiven
from llm_sync.compat.shim.settings import MAX_RETRIES as DEFAULT_MAX_RETRIES
from llm_sync.compat.shim.settings import TIMEOUT as DEFAULT_TIMEOUT
from llm_sync.compat.shim.unsupported import ASYNC, Refused, lookup, refused_class

if TYPE_CHECKING:
    from llm_sync.compat.openai import error, types
    from llm_sync.compat.openai.client import AzureOpenAI, OpenAI
    from llm_sync.compat.openai.error import InvalidRequestError
    from llm_sync.compat.openai.legacy import ChatCompletion, Completion, Embedding, Model
    from llm_sync.compat.shim.calls import Timeout

__all__ = [
    "DEFAULT_MAX_RETRIES",
    "DEFAULT_TIMEOUT",
    "NOT_GIVEN",
    "VERSION",
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "AzureOpenAI",
    "BadRequestError",
    "ChatCompletion",
    "Client",
    "Completion",
    "ConflictError",
    "ContentFilterFinishReasonError",
    "Embedding",
    "InternalServerError",
    "InvalidRequestError",
    "LengthFinishReasonError",
    "Model",
    "NotFoundError",
    "NotGiven",
    "OpenAI",
    "OpenAIError",
    "PermissionDeniedError",
    "RateLimitError",
    "Timeout",
    "UnprocessableEntityError",
    "error",
    "omit",
    "types",
]

__version__ = VERSION
not_given = omit = NOT_GIVEN
Omit = NotGiven

# Settings of both generations that a script may assign; every call reads them. BEFORE holds the initial values.
BEFORE: dict[str, Any] = {
    "api_key": os.environ.get("OPENAI_API_KEY"),
    "api_base": os.environ.get("OPENAI_API_BASE", "https://api.openai.com/v1"),
}
api_key: str | None = BEFORE["api_key"]
api_key_path: str | None = os.environ.get("OPENAI_API_KEY_PATH")
api_base: str | None = BEFORE["api_base"]
api_type: str | None = os.environ.get("OPENAI_API_TYPE", "open_ai")
api_version: str | None = os.environ.get("OPENAI_API_VERSION")
organization: str | None = os.environ.get("OPENAI_ORGANIZATION")
base_url: str | None = None
project: str | None = None
timeout: Any = None
max_retries: int | None = None
default_headers: Any = None
default_query: Any = None
# Settings of 0.28. Those that change where requests go or who verifies them are refused when set (legacy.py); logs and
# telemetry are llm-sync's own.
proxy = ca_bundle_path = requestssession = None
verify_ssl_certs = True
log = app_info = None
enable_telemetry = debug = False

_HOMES = {
    "OpenAI": "llm_sync.compat.openai.client",
    "Client": "llm_sync.compat.openai.client:OpenAI",
    "AzureOpenAI": "llm_sync.compat.openai.client",
    "ChatCompletion": "llm_sync.compat.openai.legacy",
    "Completion": "llm_sync.compat.openai.legacy",
    "Embedding": "llm_sync.compat.openai.legacy",
    "Model": "llm_sync.compat.openai.legacy",
    "InvalidRequestError": "llm_sync.compat.openai.error",
    "Timeout": "llm_sync.compat.shim.calls",
    "error": "llm_sync.compat.openai.error",
    "types": "llm_sync.compat.openai.types",
    "version": "llm_sync.compat.openai.version",
}
_IMAGES = "use the original package for it: llm-sync sends and gets text and images only"
_OTHER = "use the original package for it"
PROXY = "set HTTPS_PROXY and REQUESTS_CA_BUNDLE, or proxy and ca_bundle in a configuration"
NOT_SUPPORTED: dict[str, Any] = {
    **{
        name: refused_class(f"openai.{name}", ASYNC, map_error)
        for name in ("AsyncOpenAI", "AsyncClient", "AsyncAzureOpenAI", "AsyncStream", "AsyncBedrockOpenAI")
    },
    **{name: refused_class(f"openai.{name}", _OTHER, map_error) for name in ("BedrockOpenAI", "Stream")},
    **{name: Refused(f"openai.{name}", _IMAGES, map_error) for name in ("Audio", "Image", "audio", "images")},
    **{
        name: Refused(f"openai.{name}", _OTHER, map_error)
        for name in ("Moderation", "File", "FineTune", "FineTuningJob", "Edit", "Engine", "Deployment", "Customer")
    },
    **{name: Refused(f"openai.{name}", _OTHER, map_error) for name in ("moderations", "files", "batches", "beta")},
    **{
        name: refused_class(f"openai.{name}", PROXY, map_error)
        for name in ("DefaultHttpxClient", "DefaultAsyncHttpxClient", "DefaultAioHttpClient")
    },
    "pydantic_function_tool": Refused("openai.pydantic_function_tool", "write the tool as a dict with a JSON Schema", map_error),
}
_RESOURCES = ("chat", "completions", "embeddings", "responses", "models")


def __getattr__(name: str) -> Any:
    if name in _RESOURCES:
        return getattr(_module_client(), name)
    value = lookup(__name__, name, _HOMES, NOT_SUPPORTED)
    if name in _HOMES:
        globals()[name] = value
    return value


def _module_client() -> OpenAI:
    """The client behind ``openai.chat`` and the like, made from the module's current settings."""
    from llm_sync.compat.openai.client import OpenAI

    names = ("base_url", "organization", "project", "timeout", "max_retries", "default_headers", "default_query")
    given = {name: globals()[name] for name in names if globals()[name] is not None}
    if api_key != BEFORE["api_key"]:
        given["api_key"] = api_key
    return OpenAI(**given)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_RESOURCES})
