"""The way of a request that does not simply go to the provider: in the background, or at a tier that takes its time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from llm_sync.client import time_limits
from llm_sync.config.models import LLMConfig
from llm_sync.config.ways import BACKGROUND, BATCH, checked_way
from llm_sync.errors import InvalidRequestError, LLMConnectorError
from llm_sync.models import AdjustmentNotice, PreparedRequest
from llm_sync.models.background import BackgroundRequest
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.dialect import Dialect


def sent_via(
    way: str | None,
    prepared: PreparedRequest,
    dialect: Dialect,
    config: LLMConfig,
    options: Mapping[str, Any],
    *,
    strict: bool,
    is_asked: bool,
) -> PreparedRequest:
    """The request as it goes ``way``, with time limits that fit; what the provider cannot do is an adjustment, and the request
    goes directly.

    ``options``: those of the call. ``is_asked``: whether the call itself names the way. Raises InvalidRequestError for a way that
    does not exist, for ``batch`` where a call asks for it, and under ``strict`` for what cannot be done.
    """
    try:
        if checked_way(way) == BATCH and is_asked:
            raise InvalidRequestError(
                "via='batch' is the way of a whole batch", guidance="Use llm_sync.batch.run, or via='background' for one request."
            )
        return _sent_via(way, prepared, dialect, config, options, strict=strict)
    except LLMConnectorError as error:
        error.provider, error.model = error.provider or prepared.provider, error.model or prepared.model or None
        raise


def _sent_via(
    way: str | None,
    prepared: PreparedRequest,
    dialect: Dialect,
    config: LLMConfig,
    options: Mapping[str, Any],
    *,
    strict: bool,
) -> PreparedRequest:
    made, window = Adjustments(strict=strict), prepared.request.completion_window
    where = (config, prepared.provider, prepared.model, options)
    if prepared.request.service_tier == "flex" and dialect.service_tier("flex", prepared.model) is not None:
        attempts = time_limits.grown(prepared.options, time_limits.FLEX, *where)
        prepared = dataclasses.replace(prepared, options=attempts)
    wire = dialect.background(prepared.model) if way == BACKGROUND else None
    if way == BACKGROUND and wire is None:
        reason = f"{prepared.provider} makes no answers in the background"
        made.lose("via", BACKGROUND, "direct", reason)
        made.notices[-1] = AdjustmentNotice(f"sent directly, not via background: {reason}", lost=True)
    if window not in (None, "soonest") and not (wire is not None and wire.windows()):
        made.lose("completion_window", window, None, "only an answer in the background has one (via: background), at OpenAI")
    if made.made:
        notes = {"adjustments": (*prepared.adjustments, *made.made), "notices": (*prepared.notices, *made.notices)}
        prepared = dataclasses.replace(prepared, **notes)  # type: ignore[arg-type]
    if wire is None:
        return prepared
    attempts = time_limits.grown(prepared.options, time_limits.in_background(window), *where)
    return BackgroundRequest(**{**vars(prepared), "options": attempts})
