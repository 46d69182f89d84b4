"""Sending one request of a batch: what stands in the journal before it, what becomes of it, what stands there after it."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple

from llm_sync.attempts.rate_gate import JITTER
from llm_sync.attempts.retry import MAX_RETRY_AFTER_S
from llm_sync.batch.context import Work
from llm_sync.batch.input.requests import line_hash
from llm_sync.batch.plan import LINE_ERRORS
from llm_sync.batch.state.index import Entry
from llm_sync.batch.state.journal import Journal, line_of
from llm_sync.batch.state.records import Asked, Head, head, journal_line, record_of, with_attempts
from llm_sync.errors import (
    ClientClosedError,
    InvalidRequestError,
    LLMConnectorError,
    ProviderConnectionError,
    ProviderUnavailableError,
    RateLimitError,
    RequestTimeoutError,
)
from llm_sync.events import logger
from llm_sync.models import ModelResponse
from llm_sync.runtime.cancellation import CallControl

_log = logger("batch")


class Ended(NamedTuple):
    """A request's end. ``head`` is None when it was not sent; ``place`` where its record stands, -1: nowhere yet; ``reason``
    what its error says."""

    slot: int
    provider: str
    head: Head | None
    place: int = -1
    attempts: int = 0
    elapsed: float = 0.0
    trouble: BaseException | None = None
    reason: str = ""


class Sender:
    """What the workers do for each request: journal, call, journal. ``ended`` gets each request's end.

    ``ended`` may be read by any one thread; ``stop`` and what follows it belong to the thread that runs the batch.
    """

    def __init__(self, work: Work, journal: Journal) -> None:
        self._work = work
        self._journal = journal
        self.ended: SimpleQueue[Ended] = SimpleQueue()
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # guards _under_way, and that none begins once _stopping is set
        self._under_way: dict[int, CallControl] = {}

    def submit(self, slot: int, entry: Entry, unsure: int) -> Future[Any] | Ended:
        """Queue the request of a slot; its end, where its line cannot be sent any more (an image is gone).

        Raises QueueFullError, ClientClosedError, OSError.
        """
        work = self._work
        content = work.form.at(work.source, entry.place)
        place = work.routes.named(entry.route)
        asked = work.asked(slot, line_hash(content), place, unsure=unsure)
        try:
            question = work.questions.ask(work.form.read(content), work.model(slot))
            if question.route != place:
                raise InvalidRequestError("the line has changed while the batch ran", guidance="Run it again.")
            asked = asked._replace(request=work.questions.hash(question), id=question.request.id)
            around = partial(self._run, slot, asked)
            return work.send(question, around)
        except LINE_ERRORS as error:
            return self._written(slot, asked, error, 0, 0.0)

    @property
    def busy(self) -> bool:
        """Whether any request is under way."""
        return bool(self._under_way)

    def stop(self) -> None:
        """Nothing more is sent; what is under way makes no further attempt."""
        with self._lock:
            self._stopping.set()
            controls = list(self._under_way.values())
        for control in controls:
            control.stop_retrying()

    def abort(self) -> None:
        """End what is under way."""
        with self._lock:
            controls = list(self._under_way.values())
        for control in controls:
            control.abort()

    def _run(self, slot: int, asked: Asked, send: Any, control: CallControl) -> None:
        """On the worker: nothing is sent that the journal does not know of, and every outcome is in it before the next."""
        end = Ended(slot, str(asked.key.provider), None)
        try:
            self._enter(slot, control)
            with self._journal.writing():
                end = self._asked(slot, asked, send, control)
        except BaseException as trouble:
            end = end._replace(trouble=trouble)
            raise
        finally:
            self.ended.put(end)
            with self._lock:  # after its end is told: whoever sees nothing under way finds every end
                self._under_way.pop(slot, None)

    def _enter(self, slot: int, control: CallControl) -> None:
        with self._lock:
            if self._stopping.is_set():
                raise ClientClosedError("the batch is stopped", attempts=0)
            self._under_way[slot] = control

    def _asked(self, slot: int, asked: Asked, send: Any, control: CallControl) -> Ended:
        began = time.monotonic()
        attempts = 0
        while True:
            self._park(asked, control)
            self._journal.note({"started": asked.key, "line": asked.line})
            outcome = _outcome(send)
            attempts += outcome.attempts or 0
            if isinstance(outcome, ClientClosedError):
                return self._taken_back(slot, asked, outcome, control)
            if control.stopped or not self._is_cooling(asked, outcome):
                break
            self._journal.add(line_of({"unsent": asked.key}))  # it was refused; what it waits for now, nobody bills
        return self._written(slot, asked, with_attempts(outcome, attempts), attempts, time.monotonic() - began)

    def _park(self, asked: Asked, control: CallControl) -> None:
        """Wait while the provider cools down: such a request is not under way. Its deadline has not begun, or begins anew."""
        while seconds := self._work.cooling_down_for(str(asked.key.provider)):
            if seconds > self._work.options.max_cool_down:
                return  # the gate refuses it
            if control.wait(min(seconds * (1 + JITTER * random.random()), threading.TIMEOUT_MAX)):  # noqa: S311  (no secret)
                raise ClientClosedError("the batch is stopped while the provider cools down", attempts=0)

    def _is_cooling(self, asked: Asked, outcome: ModelResponse | LLMConnectorError) -> bool:
        """Whether it failed only because the provider asked for a longer pause than a request may wait."""
        kinds = (RateLimitError, ProviderUnavailableError, ProviderConnectionError)
        if not isinstance(outcome, kinds) or outcome.retryable is not True:
            return False
        attempts = self._work.attempts(asked.key)
        pause, cooling = outcome.retry_after or 0.0, self._work.cooling_down_for(str(asked.key.provider))
        if max(pause, cooling) > min(self._work.options.max_cool_down, MAX_RETRY_AFTER_S):  # beyond that, nobody waits for a hint
            return False
        return pause > attempts.max_retry_after or ((outcome.attempts or 0) <= attempts.max_retries and cooling > 0)

    def _taken_back(self, slot: int, asked: Asked, error: ClientClosedError, control: CallControl) -> Ended:
        """The batch was stopped. What was cut off in the middle stays as started: it may be billed."""
        if not control.aborted and not isinstance(error.__cause__, RequestTimeoutError):
            self._journal.add(line_of({"unsent": asked.key}))
        return Ended(slot, str(asked.key.provider), None)

    def _written(
        self, slot: int, asked: Asked, outcome: ModelResponse | LLMConnectorError, attempts: int, elapsed: float
    ) -> Ended:
        told = head(asked, outcome)
        try:
            line = journal_line(told, record_of(asked, outcome, told))
        except Exception as error:  # noqa: BLE001  (a dialect's metadata may hold anything; what was paid for is kept in words)
            failure = LLMConnectorError(f"the outcome cannot be written ({error!r}): {outcome!r}")
            told = head(asked, failure)
            line = journal_line(told, record_of(asked, failure, told))
        reason = str(outcome) if isinstance(outcome, LLMConnectorError) else ""
        return Ended(slot, str(asked.key.provider), told, self._journal.add(line), attempts, elapsed, reason=reason)


def _outcome(send: Any) -> ModelResponse | LLMConnectorError:
    """The answer, or the error that came instead: whatever it is, it is this request's outcome."""
    try:
        answer: ModelResponse = send()
        return answer
    except LLMConnectorError as error:
        return error
    except Exception as error:  # noqa: BLE001  (a mistake in a dialect: told, and the next request goes on)
        _log.debug("an unexpected error", exc_info=error)
        return LLMConnectorError(
            f"an unexpected {type(error).__name__}: {error}",
            guidance="This is a bug in llm-sync or in an added dialect; 'llm-sync -vv' shows where.",
        )
