"""Sends one request of a batch, with a line in the journal before it and its outcome after it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, NamedTuple

from llm_sync.attempts.rate_gate import JITTER
from llm_sync.attempts.retry import MAX_RETRY_AFTER_S
from llm_sync.batch.budget_pause import opens_soon
from llm_sync.batch.context import BatchContext
from llm_sync.batch.in_flight import InFlight
from llm_sync.batch.input.requests import BatchRequest, line_digest
from llm_sync.batch.line_requests import request_of
from llm_sync.batch.line_sending import LineSending, outcome_in_steps
from llm_sync.batch.line_templates import LineTemplates
from llm_sync.batch.local_trouble import is_local_trouble
from llm_sync.batch.lost_workers import is_asked_again, without_worker, written_elsewhere
from llm_sync.batch.plan import LINE_ERRORS
from llm_sync.batch.routed_sending import RoutedSending
from llm_sync.batch.state.answer_lines import outcome_line
from llm_sync.batch.state.index import Entry
from llm_sync.batch.state.journal import Journal
from llm_sync.batch.state.journal_format import line_of, started_line
from llm_sync.batch.state.records import Head, RequestIdentity, head_of, with_attempts
from llm_sync.config.ways import BACKGROUND
from llm_sync.errors import (
    BudgetExceededError,
    ClientClosedError,
    LLMConnectorError,
    ProviderConnectionError,
    ProviderUnavailableError,
    QueueFullError,
    RateLimitError,
    RequestTimeoutError,
)
from llm_sync.models import ModelResponse, PreparedRequest
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import Pause, Steps, Together, in_one_step, run


class RequestEnd(NamedTuple):
    """How a request ended. ``head``: None if it was not sent. ``offset``: of its record in the journal; -1: not written.
    ``elapsed``: seconds. ``error``: what went wrong on the worker outside of the call. ``reason``: the failure's message.
    ``cached``: whether the answer came from a cache, and ``saved`` USD. ``local_trouble``: whether the failure is no fault of the
    request. ``changed``: why it was not sent, if its line, or an image that the line names, is no longer as it was checked.
    ``stop``: why its provider gets no more requests: a budget is spent. ``waiting``: why its answer, which the provider makes in
    the background, stays there for the next run.
    """

    slot: int
    provider: str
    head: Head | None
    offset: int = -1
    attempts: int = 0
    elapsed: float = 0.0
    error: BaseException | None = None
    reason: str = ""
    local_trouble: bool = False
    changed: str = ""
    cached: bool = False
    saved: float = 0.0
    stop: str = ""
    waiting: str = ""


class Sender(InFlight):
    """Queues requests. The worker writes the journal, calls the provider, writes the journal, and puts the end into ``ended``.

    ``submit``, ``stop`` and ``abort`` are called, and ``ended`` is read, by the thread that runs the batch.
    """

    def __init__(self, context: BatchContext, journal: Journal) -> None:
        super().__init__()
        self._context = context
        self.journal = journal
        self._templates = LineTemplates(context)
        self.ended: SimpleQueue[RequestEnd | None] = SimpleQueue()  # None: there is something else to do

    def submit(self, slot: int, entry: Entry, unsure: int) -> Future[Any] | RequestEnd:
        """Queue the request of a slot, or return its end if its line cannot be sent: it has changed, or an image file is gone.

        Raises QueueFullError, ClientClosedError, OSError.
        """
        context = self._context
        content = context.line_format.at(context.source, entry.offset)
        target = context.routes.named(entry.route)
        digest = line_digest(content)
        if int.from_bytes(digest, "big") != context.hashes.at(slot):
            return RequestEnd(slot, str(target[0]), None, changed="the line changed while the batch ran")
        identity = context.identity(slot, digest.hex(), target, unsure=unsure)
        try:
            values = context.line_format.read(content)
            kind = self._templates.kind(values, context.model(slot))
            template = self._templates.find(kind)
            if template is not None:
                identity, prepared = template.fill(values["prompt"], values.get("id"), identity)
                return context.send(prepared, LineSending(self, slot, identity))
            identity, batch_request = request_of(context, slot, values, identity)
            if batch_request.routed is not None:
                return self._submit_routed(slot, identity, batch_request)
            prepared = context.prepare(batch_request, slot)
            self._templates.learn(kind, values, batch_request, identity, prepared)
            stored = self._stored(prepared)
            if stored is not None:
                return self.record(slot, identity, stored, 0, 0.0)
            return self._submit_alone(slot, identity, batch_request, prepared)  # type: ignore[no-any-return]
        except (QueueFullError, ClientClosedError):
            raise
        except LINE_ERRORS as error:  # it was without error when it was planned: an image file has gone since
            return RequestEnd(slot, str(target[0]), None, changed=str(error))
        except LLMConnectorError as error:
            return self.record(slot, identity, error, 0, 0.0)

    def _submit_alone(self, slot: int, identity: RequestIdentity, batch_request: BatchRequest, prepared: PreparedRequest) -> Any:
        """Queue a request to one model. An answer that an earlier run asked for in the background is fetched."""
        context, notes = self._context, self._context.background
        made = None if notes is None else notes.find(identity.key, identity.line, identity.settings)
        if made is None and not prepared.in_background and notes is None:
            return context.send(prepared, LineSending(self, slot, identity))
        from llm_sync.batch.background_sending import BackgroundSending, lost_on_the_way

        if notes is not None and made is None and (identity.key, identity.line) in notes.lost and not context.options.rebuy:
            return self.record(slot, identity, lost_on_the_way(prepared), 0, 0.0)
        if made is not None and not prepared.in_background:
            prepared = context.prepare(batch_request, slot, via=BACKGROUND)
        if not prepared.in_background:
            return context.send(prepared, LineSending(self, slot, identity))
        future = context.send(prepared, BackgroundSending(self, slot, identity._replace(via=BACKGROUND), made))
        if notes is not None and made is not None:
            notes.give(made)
        return future

    def _submit_routed(self, slot: int, identity: RequestIdentity, batch_request: BatchRequest) -> Future[Any]:
        settings = self._context.line_routes.digest(str(batch_request.routed), batch_request.route)
        sending = RoutedSending(self, slot, identity._replace(settings=settings))
        future = self._context.send_routed(batch_request, sending.around)
        future.add_done_callback(sending.ended)
        return future

    def _stored(self, prepared: PreparedRequest) -> ModelResponse | LLMConnectorError | None:
        """The outcome that the cache has; None if the request has to be sent."""
        try:
            return self._context.dispatcher.stored(prepared)
        except ClientClosedError:
            raise
        except LLMConnectorError as error:
            return error

    def wake(self) -> None:
        """Let the thread that runs the batch look after its jobs. Any thread may call it."""
        self.ended.put(None)

    def no_outcome(self, slot: int, identity: RequestIdentity) -> RequestEnd:
        """The end of a request that was not sent."""
        return RequestEnd(slot, str(identity.key.provider), None)

    def send(
        self, slot: int, identity: RequestIdentity, send: Callable[[], Steps[ModelResponse]], control: CallControl
    ) -> Steps[tuple[RequestEnd, ModelResponse | LLMConnectorError]]:
        """Send one request as often as the provider asks to wait first, and write its outcome to the journal."""
        began = time.monotonic()
        attempts = lost = 0
        while True:
            if self._context.cooling_down_for(str(identity.key.provider)):
                yield from self.cool_down_steps(str(identity.key.provider), control)
            control.label = _with_billed(identity, control)
            yield Together(self.journal.note_lines, started_line(*identity.key, identity.line))
            outcome = yield from outcome_in_steps(send())
            attempts += outcome.attempts or 0
            if isinstance(outcome, ModelResponse):
                identity = _with_billed(identity, control)  # an error counts them itself
                break
            if is_asked_again(outcome, lost, control):
                lost += 1
                continue
            if isinstance(outcome, ClientClosedError):
                return self.withdraw(slot, identity, outcome, control), outcome
            if isinstance(outcome, BudgetExceededError):
                if not control.possibly_billed:
                    self.journal.add(line_of({"unsent": identity.key}))
                if (yield from opens_soon(outcome, control)):
                    continue
                return RequestEnd(slot, str(identity.key.provider), None, stop=str(outcome)), outcome
            if control.stopped or not self.is_cooling(identity, str(identity.key.provider), outcome):
                break
            self.journal.add(line_of({"unsent": identity.key}))  # it was refused, so it is not billed while it waits
        written = written_elsewhere(outcome, identity, attempts, control)
        if written is None:
            outcome = with_attempts(without_worker(outcome), attempts)
        elapsed = time.monotonic() - began
        head, line = _head_and_line(identity, outcome, written)
        offset = yield Together(self.journal.add_all, line)
        end = _end_of(outcome, RequestEnd(slot, str(identity.key.provider), head, offset, attempts, elapsed))
        for _ in range(lost):  # the outcome has closed one "started", and counts all that may be billed
            self.journal.add(line_of({"unsent": identity.key}))
        return end, outcome

    def cool_down_steps(self, provider: str, control: CallControl) -> Steps[None]:
        """Wait while the provider cools down. The request is not in flight meanwhile; its deadline begins afterwards."""
        while seconds := self._context.cooling_down_for(provider):
            if seconds > self._context.options.max_cool_down:
                return  # the rate gate refuses it
            yield Pause(min(seconds * (1 + JITTER * random.random()), threading.TIMEOUT_MAX), control)  # noqa: S311  (no secret)
            if control.stopped:
                raise ClientClosedError("the batch is stopped while the provider cools down", attempts=0)

    def is_cooling(self, identity: RequestIdentity, provider: str, outcome: ModelResponse | LLMConnectorError) -> bool:
        """Whether it failed only because the provider asked for a longer pause than a single request may wait."""
        kinds = (RateLimitError, ProviderUnavailableError, ProviderConnectionError)
        if not isinstance(outcome, kinds) or outcome.retryable is not True:
            return False
        attempts = self._context.attempts(identity.key)
        pause, cooling = outcome.retry_after or 0.0, self._context.cooling_down_for(provider)
        if max(pause, cooling) > min(self._context.options.max_cool_down, MAX_RETRY_AFTER_S):  # no retry waits for longer
            return False
        return pause > attempts.max_retry_after or ((outcome.attempts or 0) <= attempts.max_retries and cooling > 0)

    def withdraw(self, slot: int, identity: RequestIdentity, error: ClientClosedError, control: CallControl) -> RequestEnd:
        """The batch was stopped. A request that was aborted in flight stays "started", because it may be billed."""
        if not control.aborted and not isinstance(error.__cause__, RequestTimeoutError):
            self.journal.add(line_of({"unsent": identity.key}))
        return RequestEnd(slot, str(identity.key.provider), None)

    def record(
        self,
        slot: int,
        identity: RequestIdentity,
        outcome: ModelResponse | LLMConnectorError,
        attempts: int,
        elapsed: float,
    ) -> RequestEnd:
        """Write an outcome to the journal."""
        head, line = _head_and_line(identity, outcome, None)
        return _end_of(outcome, RequestEnd(slot, str(identity.key.provider), head, self.journal.add(line), attempts, elapsed))

    def outcome_of(self, send: Any) -> ModelResponse | LLMConnectorError:
        """Make the call, and return its answer or its error."""
        return run(outcome_in_steps(in_one_step(send)))


def _head_and_line(
    identity: RequestIdentity, outcome: ModelResponse | LLMConnectorError, line: bytes | None
) -> tuple[Head, bytes]:
    """What the journal gets of an outcome. ``line``: its line, if a worker has made it."""
    head = head_of(identity, outcome)
    try:
        return head, line or outcome_line(identity, outcome, head)
    except Exception as error:  # noqa: BLE001  (a dialect's metadata may hold anything; keep the paid text in the message)
        failure = LLMConnectorError(f"the outcome cannot be written ({error!r}): {outcome!r}")
        head = head_of(identity, failure)
        return head, outcome_line(identity, failure, head)


def _end_of(outcome: ModelResponse | LLMConnectorError, end: RequestEnd) -> RequestEnd:
    """The end of a request with what its outcome says beside its head."""
    if isinstance(outcome, LLMConnectorError):
        return end._replace(reason=str(outcome), local_trouble=is_local_trouble(outcome))
    return end._replace(cached=True, saved=outcome.saved_estimate or 0.0) if outcome.cached else end


def _with_billed(identity: RequestIdentity, control: CallControl) -> RequestIdentity:
    """The identity with the sendings whose outcome is not known."""
    return identity._replace(unsure=identity.unsure + control.possibly_billed) if control.possibly_billed else identity
