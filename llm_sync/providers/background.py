"""Background answers: the request is taken by the provider, which is asked for the answer until it is there.

Loaded for requests that go ``via: background``, and when an answer comes that was deferred unasked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from llm_sync import errors
from llm_sync.errors import LLMConnectorError
from llm_sync.events import Event, Waiting, logger
from llm_sync.models import ModelResponse, PreparedRequest, Reply
from llm_sync.providers import background_replies as replies
from llm_sync.providers.attempt import AttemptMaker, Exchange
from llm_sync.providers.background_wire import BackgroundJob, BackgroundWire
from llm_sync.providers.payload import encoded
from llm_sync.providers.reply_reader import ReplyReader
from llm_sync.runtime import clock, pauses
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import Pause, Steps

FIRST_PAUSE_S, GROWTH, MAX_PAUSE_S = 2.0, 1.5, 15.0
MAX_PAUSE_IN_WINDOW_S = 120.0  # for an answer that may take hours
MAX_NOT_FOUND = 4  # in a row, of 404s and of what is no answer: an answer may be made before it can be found
CANCEL_S = 5.0
VIA = "via"
_log = logger("providers")


class Keeper(Protocol):
    """Who writes down what is needed to fetch an answer after this process was killed. Each method may raise OSError."""

    def creating(self) -> None:
        """The provider is about to be asked for an answer."""

    def created(self, job: str) -> None:
        """An answer is being made. Nothing else is done before this has returned."""

    def received(self, job: str, reply: Reply) -> None:
        """An answer came that cannot be fetched again; it was not read yet."""

    def kept(self, job: str) -> Reply | None:
        """The answer that ``received`` was called with in an earlier run; None without any."""

    def over(self, job: str) -> None:
        """There is nothing to fetch any more: the answer is here, or will never be."""


class BackgroundAttempts:
    """The attempts of one request whose answer is made in the background. Used by one thread at a time.

    ``exchange``: that of a direct call, with its ``prepared``. ``emit``: is told of the pauses between two looks.
    The request's ``deadline`` counts from the first attempt on and bounds the whole; ``timeout`` bounds each exchange.
    """

    def __init__(
        self,
        maker: AttemptMaker,
        reader: ReplyReader,
        exchange: Exchange,
        emit: Callable[[Event], None] | None,
    ) -> None:
        self._maker = maker
        self._quiet = maker.without_events()  # a look at a job is no attempt
        self._reader = reader
        prepared: Any = exchange.prepared
        self._prepared: PreparedRequest = prepared
        self._exchange = exchange
        self._offered = reader.dialect.background(prepared.model)
        self._emit = emit
        self._control = exchange.control or CallControl()
        self._keeper: Keeper | None = getattr(self._control, "keeper", None)
        self._job = getattr(prepared, "job", "")
        self._trouble = ""  # of the last look that failed
        self._began = 0.0  # monotonic, as all times here
        self._until = 0.0
        self._counted_to = 0.0  # pauses of the process up to here are in _until

    # Attempts -------------------------------------------------------------------------------------------------------

    def make(self, number: int, timeout: float) -> Steps[ModelResponse]:
        """Ask for an answer and fetch it; the first time, fetch the one that was asked for before, if there is one."""
        self._start_clock()
        job, self._job = self._job, ""
        if job:
            return (yield from self._fetch(BackgroundJob(job), number, look_now=True))
        made = yield from self._create(number, timeout)
        if isinstance(made, ModelResponse):
            return made  # the server knows no background, and answered at once
        return (yield from self._fetch(made, number))

    def finish(self, reply: Reply, number: int, error: LLMConnectorError) -> Steps[ModelResponse]:
        """Fetch the answer that a reply has deferred unasked. Raises ``error`` if an attempt's time is over before."""
        job = None if self._offered is None else self._offered.job(replies.body_of(reply))
        if job is None:
            raise error
        self._start_clock()
        self._until = min(self._until, self._began + self._prepared.options.timeout)
        _log.info("%s: the answer was deferred, and is fetched as %s", self._prepared.provider, job.id)
        try:
            return (yield from self._fetch(job, number))
        except errors.RequestTimeoutError as late:
            error.possibly_billed, error.retryable = 1, False
            raise error from late

    @property
    def _wire(self) -> BackgroundWire:
        if self._offered is None:
            raise errors.InvalidRequestError("this API makes no answers in the background", guidance="Send it via direct.")
        return self._offered

    def _create(self, number: int, timeout: float) -> Steps[BackgroundJob | ModelResponse]:
        request = self._prepared.request
        stored = "store" not in request.provider_specific
        payload = self._wire.asked(json.loads(self._exchange.body or b"{}"), request.completion_window, stored=stored)
        exchange = self._exchange._replace(body=encoded(payload), read=self._read_create)
        if (path := self._wire.create_path()) is not None:
            exchange = exchange._replace(url=self._url(path))
        if self._keeper is not None:
            self._keeper.creating()
        try:
            made: BackgroundJob | ModelResponse = yield from self._maker.make(exchange, number, timeout)
        except LLMConnectorError as error:
            if self._prepared.options.retry_timeouts or not replies.may_be_made(error):
                raise
            raise replies.lost(self._prepared, "it is not known whether the provider has taken the request", error) from error
        if isinstance(made, BackgroundJob):
            _log.info("%s: the answer is made in the background as %s", self._prepared.provider, made.id)
            if made.kept_s is not None and not self._wire.reads_once:
                _log.warning("%s: the provider keeps answer %s for %g s only", self._prepared.provider, made.id, made.kept_s)
            if self._keeper is not None:
                self._keeper.created(made.id)
        return made

    def _read_create(self, reply: Reply, number: int) -> BackgroundJob | ModelResponse:
        job = self._wire.job(replies.body_of(reply)) if reply.status < 300 else None
        return job or self._exchange.read(reply, number)

    # Fetching -------------------------------------------------------------------------------------------------------

    def _fetch(self, job: BackgroundJob, number: int, *, look_now: bool = False) -> Steps[ModelResponse]:
        if self._keeper is not None and (reply := self._keeper.kept(job.id)) is not None:
            return self._read(job, reply, number)
        pause, longer, missing = 0.0 if look_now else FIRST_PAUSE_S, FIRST_PAUSE_S, 0
        while True:
            yield from self._wait(job, pause, number)
            longer = min(longer * GROWTH, self._longest_pause())
            look = yield from self._look(job, number)
            reply = look if isinstance(look, Reply) else None
            pause = longer if reply is None else replies.asked_pause(reply) or longer
            if reply is None or reply.status in replies.PASSING or reply.status >= 500:
                self._note_trouble(job, look)
            elif reply.status in (404, 410):
                missing += 1
                if missing >= MAX_NOT_FOUND or reply.status == 410:
                    self._over(job)
                    raise replies.lost(self._prepared, f"the provider does not have the answer {job.id} (any more)", None)
            elif reply.status == 202 or self._wire.job(replies.body_of(reply)) is not None:
                missing = 0
            elif reply.status >= 300 or replies.is_answer(reply) or self._wire.reads_once or missing >= MAX_NOT_FOUND:
                return self._read(job, reply, number)
            else:
                missing += 1  # another program's page, or half an answer

    def _look(self, job: BackgroundJob, number: int) -> Steps[Reply | LLMConnectorError]:
        """One exchange; a failure of the way is part of the result."""
        exchange = Exchange("GET", self._url(self._wire.path(job.id)), None, self._exchange.headers, self._control, _as_it_is)
        timeout = min(self._prepared.options.timeout, max(0.001, self._left()))
        try:
            reply: Reply = yield from self._quiet.make(exchange, number, timeout)
        except (errors.ProviderConnectionError, errors.RequestTimeoutError, errors.ClientClosedError) as error:
            if isinstance(error, errors.ProviderConnectionError) and error.retryable is False:
                raise  # a certificate, a proxy: it would fail for ever
            return error  # stopped: the wait for the next look ends it
        return reply

    def _read(self, job: BackgroundJob, reply: Reply, number: int) -> ModelResponse:
        if reply.status >= 300:
            raise self._refused(reply, number)
        if self._keeper is not None and self._wire.reads_once:
            self._keeper.received(job.id, reply)
        whole = replace(replies.only_answer(self._wire, reply), elapsed=clock.now() - self._began)
        try:
            response: ModelResponse = self._exchange.read(whole, number)
        except RecursionError:
            failure: LLMConnectorError = self._reader.too_deep(reply)
        except LLMConnectorError as error:
            failure = error
            self._maker.redact(error)
            if isinstance(error, errors.UnusableAnswerError) and error.response is not None:
                error.response.metadata[VIA] = "background"
            if replies.status_of(reply) in ("cancelled", "expired"):  # somebody has ended it, and a new one is paid again
                error.retryable = False
        else:
            response.metadata[VIA] = "background"
            self._over(job)
            return replies.at_its_price(response, reply)
        self._over(job)
        raise failure

    def _refused(self, reply: Reply, number: int) -> LLMConnectorError:
        """The error of a look that is refused (the key was withdrawn …): the answer may still be there."""
        try:
            self._reader.response(self._prepared, reply, number)
        except LLMConnectorError as error:
            self._maker.redact(error)
            error.retryable, error.possibly_billed = False, 1
            return error
        raise AssertionError  # such a reply is never an answer

    def _over(self, job: BackgroundJob) -> None:
        if self._keeper is not None:
            self._keeper.over(job.id)

    def _note_trouble(self, job: BackgroundJob, look: Reply | LLMConnectorError) -> None:
        why = f"HTTP status {look.status}" if isinstance(look, Reply) else look.message
        self._trouble = f"; the last look failed: {why}"
        if self._wire.reads_once and isinstance(look, LLMConnectorError) and getattr(look, "phase", "body") != "connect":
            name = self._prepared.provider
            _log.warning("%s: answer %s can be read once only, and the exchange failed: it may be lost (%s)", name, job.id, why)

    def _url(self, path: str) -> str:
        return self._reader.dialect.joined_url(path, self._prepared.model, {})

    # Time -----------------------------------------------------------------------------------------------------------

    def _start_clock(self) -> None:
        if not self._began:
            self._began = self._counted_to = clock.now()
            self._until = self._began + self._prepared.options.deadline
        if self._control.ends_at is not None:
            self._until = min(self._until, self._control.ends_at)

    def _left(self) -> float:
        now = clock.now()
        self._until += pauses.seconds_between(self._counted_to, now)
        self._counted_to = now
        return self._until - now

    def _longest_pause(self) -> float:
        return MAX_PAUSE_S if self._prepared.request.completion_window in (None, "soonest") else MAX_PAUSE_IN_WINDOW_S

    def _wait(self, job: BackgroundJob, seconds: float, number: int) -> Steps[None]:
        """Wait before the next look. Raises what the request ends with if it is stopped, or its deadline comes first."""
        left = self._left()
        if left > 0 and seconds > 0:
            self._control.waiting_for = "background"
            seconds = min(seconds, left)
            if self._emit is not None:
                self._emit(Waiting(self._prepared.provider, self._control.key, seconds=seconds, reason="background"))
            yield Pause(seconds, self._control)
            left = self._left()
        if self._control.stopped:
            end = yield from self._give_up(job)
            raise errors.ClientClosedError(
                f"the request was stopped while its answer was made in the background ({job.id}); {end}",
                attempts=number,
                possibly_billed=1,
            )
        if left <= 0:
            end = yield from self._give_up(job)
            raise errors.RequestTimeoutError(
                f"no answer in the background within the deadline of {self._prepared.options.deadline:g} s ({job.id}); "
                f"{end}{self._trouble}",
                phase="body",
                retryable=False,
                possibly_billed=1,
                guidance="Raise the deadline: the provider may take long.",
            )

    def _give_up(self, job: BackgroundJob) -> Steps[str]:
        """Cancel the job if nobody could fetch its answer later; what became of it, in words."""
        if self._keeper is not None:
            return "it is fetched by the next run"
        end = yield from self._cancel(job)
        _log.warning("%s: nobody waits any more for the answer %s: %s", self._prepared.provider, job.id, end)
        return end

    def _cancel(self, job: BackgroundJob) -> Steps[str]:
        path = self._wire.cancel_path(job.id)
        if path is None:
            return "it cannot be cancelled, and is billed"
        exchange = Exchange("POST", self._url(path), b"", self._exchange.headers, CallControl(self._control.key), _as_it_is)
        try:
            reply: Reply = yield from self._quiet.make(exchange, 1, CANCEL_S)
        except LLMConnectorError as error:
            return f"it could not be cancelled ({error.message}), and may be billed"
        if reply.status >= 300:
            return f"it could not be cancelled (HTTP status {reply.status}), and may be billed"
        return "it was cancelled, and what was made until then may be billed"


def _as_it_is(reply: Reply, number: int) -> Reply:  # noqa: ARG001  (an Exchange's read)
    return reply
