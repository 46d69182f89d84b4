"""Decides which outcomes of previous runs stay, and which are asked again."""

from __future__ import annotations

from collections.abc import Callable

from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.settings_hash import former_hash, lines_part, model_part, settings_hash
from llm_sync.batch.options import Options
from llm_sync.batch.state.records import TRUNCATED, Head
from llm_sync.models.route import Route


def needs_review(context: BatchContext) -> Callable[[Head], bool]:
    """A test for outcomes that cannot simply be kept: those under other settings, and what is to be asked again."""

    def review(head: Head) -> bool:
        target = Route(str(head.provider), str(head.model))
        return (head.provider is not None and head.settings != context.settings_of(target)) or is_asked_again(context, head)

    return review


def is_asked_again(context: BatchContext, head: Head) -> bool:
    """Whether the request of an outcome is asked again although its line is the same."""
    options = context.options
    if not context.selection.asks_model((head.provider, head.model)):
        return False
    if head.answered:
        return asks_truncated(head, options)
    timed_out = head.outcome == "RequestTimeoutError" and options.retry_timeouts is True
    rebought = options.rebuy and head.unsure > 0
    if head.again or timed_out or rebought or asks_truncated(head, options) or options.retry_failed:
        return True
    return head.provider is not None and has_other_settings(context, head)


def asks_truncated(head: Head, options: Options) -> bool:
    """Whether it is asked again because a limit cut the answer, with or without usable text."""
    return options.retry_truncated and head.outcome in (TRUNCATED, "TruncatedResponseError")


def has_other_settings(context: BatchContext, head: Head) -> bool:
    """Whether an outcome was given under other settings of its model than this run's."""
    target = Route(str(head.provider), str(head.model))
    current = context.settings_of(target)
    if not current and not context.selection.asks_model(target):
        return False  # a model that is no longer configured, whose answers are kept
    return not context.are_current(head.settings, target) and model_part(head.settings) != model_part(current)


def reads_line_alike(context: BatchContext, head: Head) -> bool:
    """Whether a line with the same bytes as the outcome's makes the same prompt: the template and the columns are the same."""
    if head.provider is None:
        return True
    target = Route(head.provider, str(head.model))
    return context.are_current(head.settings, target) or lines_part(head.settings) == lines_part(context.settings_of(target))


def is_stray(context: BatchContext, head: Head) -> bool:
    """Whether an answer was given under other settings than this run's. With ``retry_truncated``, another limit is none."""
    if not has_other_settings(context, head):
        return False
    target = Route(str(head.provider), str(head.model))
    if not context.settings_of(target) or not context.options.retry_truncated:
        return True
    settings = dict(context.settings_for(target))
    settings.pop("max_tokens", None)
    if head.max_tokens is not None:
        settings["max_tokens"] = head.max_tokens
    return former_hash(settings) != head.settings and model_part(settings_hash(settings)) != model_part(head.settings)
