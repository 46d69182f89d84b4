"""After which failures a route goes on, and which requests cannot fit into a model's context window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_sync import errors
from llm_sync.errors import LLMConnectorError, RequestTimeoutError

if TYPE_CHECKING:
    from llm_sync.models import ModelRequest

_CHARACTERS_PER_TOKEN = 8  # more than any language has on average: the estimate is a lower bound
_CLASSES: tuple[tuple[str, type[LLMConnectorError]], ...] = (
    ("unavailable", errors.ProviderUnavailableError),
    ("connection", errors.ProviderConnectionError),
    ("timeout", errors.RequestTimeoutError),
    ("rate_limit", errors.RateLimitError),
    ("quota", errors.QuotaExceededError),
    ("permission", errors.PermissionDeniedError),
    ("model_not_found", errors.ModelNotFoundError),
    ("malformed", errors.ResponseValidationError),
    ("authentication", errors.AuthenticationError),
    ("empty", errors.EmptyResponseError),
    ("truncated", errors.TruncatedResponseError),
    ("context_length", errors.ContextLengthExceededError),
)


def goes_on(error: LLMConnectorError, classes: frozenset[str], *, retry_timeouts: bool, first: bool) -> bool:
    """Whether a route asks its next model after ``error``. ``first``: it came from the first model that was asked.

    ``classes``: the route's ``go_on_after``. A time-out after the request was sent counts only where ``retry_timeouts`` allows
    to ask again: the answer may be billed. A later model whose context window is too small does not end the route.
    """
    if isinstance(error, errors.ContextLengthExceededError) and not first:
        return True
    word = next((word for word, kind in _CLASSES if isinstance(error, kind)), None)
    if word == "empty" and getattr(error, "response", None) is None:
        word = "malformed"  # an empty body, not an answer without text
    if word not in classes:
        return False
    if isinstance(error, RequestTimeoutError):
        return error.phase == "connect" or error.status is not None or retry_timeouts
    return True


def tokens_at_least(request: ModelRequest) -> int:
    """How many tokens a request has at the very least, its longest answer included."""
    turns = [request.prompt or ""] if request.messages is None else [message.content or "" for message in request.messages]
    return (len(request.system_prompt or "") + sum(map(len, turns))) // _CHARACTERS_PER_TOKEN + (request.max_tokens or 0)
