"""Decides which outcomes of previous runs can simply be kept."""

from __future__ import annotations

from collections.abc import Callable

from llm_sync.batch.context import BatchContext
from llm_sync.batch.state.records import Head
from llm_sync.models.route import Route


def needs_review(context: BatchContext) -> Callable[[Head], bool]:
    """A test for outcomes that cannot simply be kept: answers under other settings, and failures to be asked again."""
    options = context.options

    def review(head: Head) -> bool:
        other = head.provider is not None and head.settings != context.settings_of(Route(head.provider, str(head.model)))
        if head.answered:
            return other
        timed_out = head.outcome == "RequestTimeoutError" and options.retry_timeouts is True
        return other or head.again or timed_out or options.retry_failed

    return review
