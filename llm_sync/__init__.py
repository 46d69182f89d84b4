"""The blocking LLM client for programs that are not async.

One call, any provider, no event loop::

    import llm_sync

    print(llm_sync.generate("Say hello", model="openai/gpt-4o-mini").text)

Importing this package costs nothing but this file: each public name is imported on first use (PEP 562).
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for True; typing itself costs as much as a bare start of Python

__version__ = "0.2.0"

_ROOMS = {
    "llm_sync.attempts.retry": ("RetryHandler",),
    "llm_sync.client": ("LLMClient",),
    "llm_sync.client.shared_clients": ("close", "embed", "generate", "run_tools"),
    "llm_sync.client.tools": ("Tool",),
    "llm_sync.config": ("ConfigLoader", "ConfigValidator", "LLMConfig", "ProviderConfig"),
    "llm_sync.dispatch.manager": ("ConcurrentLLMManager",),
    "llm_sync.dispatch.queue": ("ProviderRequestQueue",),
    "llm_sync.dispatch.status": ("ProviderStatus",),
    "llm_sync.models.embeddings": ("Embeddings",),
    "llm_sync.models": (
        "Adjustment",
        "Message",
        "ModelListing",
        "ModelRequest",
        "ModelResponse",
        "Part",
        "ToolCall",
        "Usage",
    ),
    "llm_sync.models.tool_run": ("ToolResult", "ToolRound", "ToolRun"),
    "llm_sync.providers.base": ("LLMProvider",),
    "llm_sync.providers.factory": ("ProviderFactory",),
    "llm_sync.transport.client": ("HTTPClient",),
    "llm_sync.validation": ("ResponseValidator",),
    "llm_sync.errors": (
        "AuthenticationError",
        "BatchError",
        "BudgetExceededError",
        "CacheMissError",
        "ClientClosedError",
        "ConfigurationError",
        "ContentBlockedError",
        "ContextLengthExceededError",
        "EmptyResponseError",
        "InvalidRequestError",
        "LLMConnectorError",
        "ModelNotFoundError",
        "PermissionDeniedError",
        "ProviderConnectionError",
        "ProviderError",
        "ProviderUnavailableError",
        "QueueFullError",
        "QuotaExceededError",
        "RateLimitError",
        "RequestTimeoutError",
        "ResponseValidationError",
        "StreamingNotSupportedError",
        "ToolRunError",
        "TruncatedResponseError",
        "UnusableAnswerError",
    ),
}
_MODULES = ("batch", "config", "errors", "events", "models", "providers", "reports", "simulator")
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604  (the names stand in _ROOMS, once)

if TYPE_CHECKING:
    from llm_sync.attempts.retry import RetryHandler as RetryHandler
    from llm_sync.client import LLMClient as LLMClient
    from llm_sync.client.shared_clients import close as close
    from llm_sync.client.shared_clients import embed as embed
    from llm_sync.client.shared_clients import generate as generate
    from llm_sync.client.shared_clients import run_tools as run_tools
    from llm_sync.client.tools import Tool as Tool
    from llm_sync.config import ConfigLoader as ConfigLoader
    from llm_sync.config import ConfigValidator as ConfigValidator
    from llm_sync.config import LLMConfig as LLMConfig
    from llm_sync.config import ProviderConfig as ProviderConfig
    from llm_sync.dispatch.manager import ConcurrentLLMManager as ConcurrentLLMManager
    from llm_sync.dispatch.queue import ProviderRequestQueue as ProviderRequestQueue
    from llm_sync.dispatch.status import ProviderStatus as ProviderStatus
    from llm_sync.errors import AuthenticationError as AuthenticationError
    from llm_sync.errors import BatchError as BatchError
    from llm_sync.errors import BudgetExceededError as BudgetExceededError
    from llm_sync.errors import CacheMissError as CacheMissError
    from llm_sync.errors import ClientClosedError as ClientClosedError
    from llm_sync.errors import ConfigurationError as ConfigurationError
    from llm_sync.errors import ContentBlockedError as ContentBlockedError
    from llm_sync.errors import ContextLengthExceededError as ContextLengthExceededError
    from llm_sync.errors import EmptyResponseError as EmptyResponseError
    from llm_sync.errors import InvalidRequestError as InvalidRequestError
    from llm_sync.errors import LLMConnectorError as LLMConnectorError
    from llm_sync.errors import ModelNotFoundError as ModelNotFoundError
    from llm_sync.errors import PermissionDeniedError as PermissionDeniedError
    from llm_sync.errors import ProviderConnectionError as ProviderConnectionError
    from llm_sync.errors import ProviderError as ProviderError
    from llm_sync.errors import ProviderUnavailableError as ProviderUnavailableError
    from llm_sync.errors import QueueFullError as QueueFullError
    from llm_sync.errors import QuotaExceededError as QuotaExceededError
    from llm_sync.errors import RateLimitError as RateLimitError
    from llm_sync.errors import RequestTimeoutError as RequestTimeoutError
    from llm_sync.errors import ResponseValidationError as ResponseValidationError
    from llm_sync.errors import StreamingNotSupportedError as StreamingNotSupportedError
    from llm_sync.errors import ToolRunError as ToolRunError
    from llm_sync.errors import TruncatedResponseError as TruncatedResponseError
    from llm_sync.errors import UnusableAnswerError as UnusableAnswerError
    from llm_sync.models import Adjustment as Adjustment
    from llm_sync.models import Message as Message
    from llm_sync.models import ModelListing as ModelListing
    from llm_sync.models import ModelRequest as ModelRequest
    from llm_sync.models import ModelResponse as ModelResponse
    from llm_sync.models import Part as Part
    from llm_sync.models import ToolCall as ToolCall
    from llm_sync.models import Usage as Usage
    from llm_sync.models.embeddings import Embeddings as Embeddings
    from llm_sync.models.tool_run import ToolResult as ToolResult
    from llm_sync.models.tool_run import ToolRound as ToolRound
    from llm_sync.models.tool_run import ToolRun as ToolRun
    from llm_sync.providers.base import LLMProvider as LLMProvider
    from llm_sync.providers.factory import ProviderFactory as ProviderFactory
    from llm_sync.transport.client import HTTPClient as HTTPClient
    from llm_sync.validation import ResponseValidator as ResponseValidator

else:  # type checkers would believe in any name, even a misspelt one

    def __getattr__(name: str) -> object:
        room = _HOME.get(name)
        if room is None and name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value: object = import_module(f"{__name__}.{name}") if room is None else getattr(import_module(room), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
