"""A few requests of each model of a dry run, whose tokens the provider counts."""

from __future__ import annotations

import random
from collections.abc import Callable

from llm_sync.client.dispatcher import Dispatcher
from llm_sync.errors import LLMConnectorError
from llm_sync.models import PreparedRequest
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.import_lock import import_lock
from llm_sync.runtime.steps import run

SIZE = 20  # requests of one model
_TIMEOUT_S = 30.0
_NO_ENDPOINT = "no free endpoint of this provider for counting tokens is known"


class TokenSample:
    """Up to ``SIZE`` requests of one model, each of all as probably as any other. One thread uses it."""

    def __init__(self) -> None:
        self._seen = 0
        self._chosen: list[tuple[PreparedRequest, int]] = []
        self._random = random.Random(0)  # noqa: S311  (no secret; a second dry run asks the same)
        self.counted = 0
        self.tokens = 0  # of those that were counted
        self._bounds = 0  # the most tokens that they could have had
        self.problem: str | None = None  # why not all are counted

    def add(self, prepare: Callable[[], PreparedRequest], bound: int) -> None:
        """One more request, of at most ``bound`` tokens in."""
        self._seen += 1
        place = len(self._chosen) if len(self._chosen) < SIZE else self._random.randrange(self._seen)
        if place < SIZE:
            try:
                chosen = prepare(), bound
            except LLMConnectorError as error:  # no key, for example
                self.problem = error.message
                return
            self._chosen[place : place + 1] = [chosen]

    def count(self, dispatcher: Dispatcher) -> None:
        """Ask the provider, one request after another, until it refuses one."""
        with import_lock:
            from llm_sync.providers.token_counting import count_tokens
        for prepared, bound in self._chosen:
            endpoint, control = dispatcher.endpoint(prepared.provider), CallControl(0)
            try:
                turn = run(endpoint.gate.admit(control, max_retry_after=_TIMEOUT_S))
                try:
                    tokens = count_tokens(endpoint.provider, endpoint.http, prepared, _TIMEOUT_S, control)
                finally:
                    turn.leave()
            except LLMConnectorError as error:
                self.problem = error.message
                return
            if tokens is None:
                self.problem = _NO_ENDPOINT
                return
            self.counted += 1
            self.tokens += tokens
            self._bounds += bound

    def expected(self, requests: int, bound: int, *, has_images: bool) -> int | None:
        """About how many tokens in ``requests`` of this model have, which could be at most ``bound``; None if none was counted.

        ``has_images``: the bound counts text alone.
        """
        if not self.counted:
            return None
        if has_images or not self._bounds:
            return round(self.tokens / self.counted * requests)
        return round(self.tokens / self._bounds * bound)
