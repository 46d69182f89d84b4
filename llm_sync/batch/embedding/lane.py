"""What is sent next: new groups, halves of refused ones, and groups that wait until the provider takes requests again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from llm_sync.batch.embedding.known import Known
from llm_sync.batch.embedding.records import Target
from llm_sync.batch.embedding.sender import Division, Group, GroupEnd, GroupSender, divides
from llm_sync.batch.embedding.summary import EmbeddingSummary
from llm_sync.client.embedding import Embedder
from llm_sync.errors import (
    AuthenticationError,
    BudgetExceededError,
    ClientClosedError,
    ConfigurationError,
    ContextLengthExceededError,
    LLMConnectorError,
    ModelNotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
)

_AHEAD = 2  # groups that are queued beside those in flight
_MAX_IN_FLIGHT = 64
_MAX_FAILURES = 10  # requests in a row that fail as a whole, until nothing more is sent
# What the next request would fail with, too.
_ENDS = (
    *(AuthenticationError, PermissionDeniedError, QuotaExceededError, ModelNotFoundError),
    *(BudgetExceededError, ConfigurationError, ClientClosedError),
)


class Lane:
    """Keeps the provider's queue filled with the groups of one run. ``left``: texts that have no outcome yet; ``failed``: texts
    whose outcome is an error. Used by the thread of the batch.
    """

    def __init__(
        self,
        embedder: Embedder,
        target: Target,
        sender: GroupSender,
        known: Known,
        summary: EmbeddingSummary,
        groups: Iterator[Group],
        max_cool_down: float,
    ) -> None:
        self._embedder = embedder
        self._target = target
        self._sender = sender
        self._known = known
        self._summary = summary
        self._groups = groups
        self._max_cool_down = max_cool_down
        self._again: deque[Group] = deque()
        self._futures: dict[int, Future[Any]] = {}  # by the first position of the group
        self._paused_until = 0.0
        self._failures = 0
        self.left = summary.sent
        self.failed = 0
        concurrency = embedder.dispatcher.config.providers[target.provider].concurrency
        self._most = min(concurrency, _MAX_IN_FLIGHT) + _AHEAD

    def fill(self) -> bool:
        """Queue what there is room for; False when nothing is left to wait for."""
        while self._summary.stopped is None and len(self._futures) < self._most and time.monotonic() >= self._paused_until:
            group = self._again.popleft() if self._again else next(self._groups, None)
            if group is None:
                break
            self._submit(group)
        waits = self._summary.stopped is None and bool(self._again)
        return bool(self._futures) or waits

    def cancel(self) -> None:
        """Withdraw what is queued."""
        for position, future in reversed(list(self._futures.items())):
            if future.cancel():
                del self._futures[position]

    def take(self, end: GroupEnd) -> None:
        """Note the end of a request, and decide what becomes of its texts. Raises what went wrong outside of the request."""
        self._futures.pop(end.group.positions[0], None)
        if end.failure is not None and not isinstance(end.failure, ClientClosedError):
            raise end.failure
        if end.error is not None:
            self._take_error(end, end.error)
            return
        if end.answer is None:  # it was stopped before it was sent
            return
        self._failures = 0
        if end.group.division is not None:
            end.group.division.taken = True
        summary, usage = self._summary, end.usage
        summary.requests += 1
        summary.input_tokens = _added(summary.input_tokens, 0 if end.answer.cached else usage.input_tokens)
        summary.cost = _added(summary.cost, end.answer.cost_estimate)
        self._note(end.outcomes)
        if summary.dimensions is None:
            summary.dimensions = self._sender.dimensions

    def _submit(self, group: Group) -> None:
        if group.division is not None and group.division.is_hopeless:
            self._fail(group, group.division.error)
            return
        try:
            prepared = self._embedder.prepare(group.texts)
        except LLMConnectorError as error:
            self._take_error(GroupEnd(group, error=error), error)
            return
        future = self._embedder.dispatcher.submit(prepared, middleware=self._sender.around(group))
        self._futures[group.positions[0]] = future

    def _take_error(self, end: GroupEnd, error: LLMConnectorError) -> None:
        group = end.group
        if isinstance(error, _ENDS):
            self._summary.stopped = self._summary.stopped or error
            self.cancel()
        elif self._is_cooling(error):
            self._again.appendleft(group)
        elif divides(end):
            self._again.extendleft(reversed(group.halves(group.division or Division(error))))
        else:
            self._fail(group, error)
            self._count_failure(group, error)

    def _count_failure(self, group: Group, error: LLMConnectorError) -> None:
        """After some texts that are refused alike the others of their group are not tried; after some requests that fail as a
        whole nothing more is sent, unless others were answered and these are refused."""
        if group.division is not None:
            group.division.alike += not isinstance(error, ContextLengthExceededError)
        elif not isinstance(error, ContextLengthExceededError):
            self._failures += 1
            if self._failures >= _MAX_FAILURES and (error.retryable or not self._summary.requests):
                self._summary.stopped = error
                self.cancel()

    def _is_cooling(self, error: LLMConnectorError) -> bool:
        """Whether a request failed because the provider wants a longer pause than one request waits; that is waited for."""
        if error.retryable is not True:
            return False
        pause = max(error.retry_after or 0.0, self._embedder.dispatcher.cooling_down(self._target.provider))
        if not 0 < pause <= self._max_cool_down:
            return False
        self._paused_until = max(self._paused_until, time.monotonic() + pause)
        return True

    def _fail(self, group: Group, error: LLMConnectorError) -> None:
        """Have the journal say that all texts of a group failed with an error."""
        self._note([self._sender.write_failure(*each, error) for each in zip(group.positions, group.keys, strict=True)])

    def _note(self, outcomes: Any) -> None:
        for key, outcome in outcomes:
            if outcome.offset >= 0:
                self._known.add(key, outcome)
            self.left -= 1
            self.failed += not outcome.answered


def _added(total: Any, more: Any) -> Any:
    """The sum; None if either is unknown."""
    return None if total is None or more is None else total + more
