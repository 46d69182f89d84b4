"""Decides which outcomes of previous runs stay, and which are asked again."""

from __future__ import annotations

from collections.abc import Callable

from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.requests import settings_hash
from llm_sync.batch.options import Options
from llm_sync.batch.state.records import TRUNCATED, Head
from llm_sync.models.route import Route


def needs_review(context: BatchContext) -> Callable[[Head], bool]:
    """A test for outcomes that cannot simply be kept: answers under other settings, and what is to be asked again."""
    options = context.options

    def review(head: Head) -> bool:
        other = head.provider is not None and head.settings != context.settings_of(Route(head.provider, str(head.model)))
        if head.answered:
            return other or asks_truncated(head, options)
        timed_out = head.outcome == "RequestTimeoutError" and options.retry_timeouts is True
        return other or head.again or timed_out or asks_truncated(head, options) or options.retry_failed

    return review


def asks_truncated(head: Head, options: Options) -> bool:
    """Whether it is asked again because a limit cut the answer, with or without usable text."""
    return options.retry_truncated and head.outcome in (TRUNCATED, "TruncatedResponseError")


def is_stray(context: BatchContext, head: Head, target: Route) -> bool:
    """Whether an outcome was given under other settings than this run's. With ``retry_truncated``, another limit is none."""
    current = context.settings_of(target)
    if not current or head.settings == current or not context.options.retry_truncated:
        return head.settings != current
    settings = dict(context.settings_for(target))
    settings.pop("max_tokens", None)
    if head.max_tokens is not None:
        settings["max_tokens"] = head.max_tokens
    return settings_hash(settings) != head.settings
