"""Which lines of a run go by jobs of their provider's Batch API, and why others that should do not."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from llm_sync.config.ways import is_own_choice
from llm_sync.errors import InvalidRequestError
from llm_sync.events import logger
from llm_sync.jobs.choice import batch_wire
from llm_sync.models.grammar import counted

if TYPE_CHECKING:
    from llm_sync.batch.input.requests import BatchRequest
    from llm_sync.client.dispatcher import Dispatcher
    from llm_sync.config.models import LLMConfig
    from llm_sync.jobs.wire import BatchWire
    from llm_sync.models import PreparedRequest
    from llm_sync.models.route import Route

_ID_BYTES = 64  # what an id of ours and the names around a payload add to a line, at most

_log = logger("batch")


class JobWays:
    """Decides it for each line before anything is sent. One thread at a time uses it."""

    def __init__(self, dispatcher: Dispatcher, config: LLMConfig) -> None:
        """``config``: the client's own; the dispatcher's has other addresses in a simulation."""
        self._dispatcher = dispatcher
        self._config = config
        self._wires: dict[Route, BatchWire | None] = {}
        self._direct: Counter[tuple[str, str]] = Counter()  # lines by provider and reason

    def goes_by_job(self, batch_request: BatchRequest, prepared: PreparedRequest) -> bool:
        """Whether a line goes by a job. Raises InvalidRequestError, under strict, if it should and cannot."""
        reason = self._refusal(batch_request, prepared)
        if reason is None:
            return True
        provider = batch_request.route.provider
        if self._dispatcher.strict:
            raise InvalidRequestError(
                f"{provider}: {reason}, and strict sends nothing in another way than asked",
                guidance="Send this line with --via direct (via='direct'), or leave strict out.",
            )
        self._direct[provider, reason] += 1
        return False

    def report(self) -> None:
        """Say how many lines go directly, and why."""
        for (provider, reason), number in self._direct.items():
            lines = counted(number, "line goes", "lines go")
            _log.warning("%s: %s directly, at the full price: %s", provider, lines, reason)

    def _refusal(self, batch_request: BatchRequest, prepared: PreparedRequest) -> str | None:
        target = batch_request.route
        if batch_request.routed is not None:
            return f"a line that names a route ({batch_request.routed}) goes on to another model by itself, which no job does"
        if target not in self._wires:
            kind = batch_wire(
                self._dispatcher.endpoint(target.provider).provider.dialect, asked_for=is_own_choice(self._config, *target)
            )
            self._wires[target] = None if kind is None else kind.without_door()
        wire = self._wires[target]
        if wire is None:
            return "no Batch API is known at its address"
        limits, size = wire.limits, len(prepared.body) + _ID_BYTES
        if size > min(limits.bytes, limits.line_bytes or limits.bytes):
            return f"a request of {len(prepared.body)} bytes is too large for its Batch API"
        return wire.refusal(json.loads(prepared.body), prepared)
