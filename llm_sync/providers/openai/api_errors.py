"""What error replies of OpenAI's shape mean beyond the common tables; loaded on the first failure."""

from __future__ import annotations

from collections.abc import Mapping

from llm_sync import errors
from llm_sync.providers.answer import Failed
from llm_sync.providers.error_mapping import ApiError, ErrorClass, error_class
from llm_sync.providers.finish_words import interruption


def class_of(error: ApiError, words: Mapping[str, ErrorClass], headers: Mapping[str, str]) -> ErrorClass:
    """The class of an error; ``words``: the dialect's own."""
    kind = error_class(error, words, dialect="openai")
    if (
        kind is errors.ProviderError
        and isinstance(error.body, dict)
        and isinstance(interruption(error.body.get("finish_reason")), Failed)
    ):
        return errors.ProviderUnavailableError  # a choice that was broken off by an error without a reason
    if error.status == 402 and "weight_exceeds_budget" in error.metadata.values():
        return errors.QuotaExceededError  # OpenRouter: this request costs more than the credit
    if error.status == 402 and headers.get("retry-after"):
        return errors.RateLimitError  # OpenRouter: requests in flight hold the credit
    if error.status == 403 and _moderated(error):
        return errors.ContentBlockedError
    if error.status == 403 and _over_budget(error):
        return errors.QuotaExceededError
    if kind is errors.RateLimitError and error.per_day:
        return errors.QuotaExceededError  # Google's endpoint for OpenAI's clients
    return kind


def _moderated(error: ApiError) -> bool:
    return any(error.metadata.get(name) for name in ("reasons", "flagged_input", "patterns"))


def _over_budget(error: ApiError) -> bool:
    """Whether OpenRouter says that the budget of a key or a workspace is used up."""
    budget_named = any(part.get(name) for part in (error.metadata, error.error) for name in ("limit_source", "resets_at"))
    return budget_named or "key limit exceeded" in error.message.lower()
