"""The cache as a client uses it: look an answer up, ask once where several ask, store what came."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from llm_sync.cache.asking_locks import AskingLocks, Release
from llm_sync.cache.entry import Entry, Headers
from llm_sync.cache.housekeeping import shrink
from llm_sync.cache.in_flight import Flight, flights
from llm_sync.cache.key import request_digest, sample_key
from llm_sync.cache.nearest import miss
from llm_sync.cache.recording import note_miss
from llm_sync.cache.samples import counter_of
from llm_sync.cache.settings import CacheSettings, default_folder, is_older
from llm_sync.cache.store import Store, redacted_text
from llm_sync.errors import ClientClosedError, InvalidRequestError, LLMConnectorError, ModelNotFoundError, UnusableAnswerError
from llm_sync.models import PreparedRequest, Reply
from llm_sync.runtime.steps import Blocking, Steps

if TYPE_CHECKING:
    from llm_sync.models import ModelResponse
    from llm_sync.runtime.cancellation import CallControl


class Asked(NamedTuple):
    """What asking gave: the response or the error, and the reply that it was read from (None: nothing came)."""

    outcome: ModelResponse | LLMConnectorError
    reply: Reply | None


Ask = Callable[[], Steps[Asked]]
"""Sends the request, in steps."""


@dataclass(frozen=True)
class Reading:
    """How the provider of a request reads replies.

    ``judge`` reads an entry for a request: the response, marked as cached, or the error that it raises. ``redact`` removes the
    provider's secrets from bytes. ``headers``: the names of the headers it reads, in small letters.
    """

    judge: Callable[[PreparedRequest, Entry], ModelResponse]
    redact: Callable[[bytes], bytes]
    headers: frozenset[str]


class AnswerCache:
    """The answers of one folder under one set of settings. Any thread may use it; a fork needs nothing.

    Raises ConfigurationError for a folder that cannot be used.
    """

    def __init__(self, settings: CacheSettings) -> None:
        self.settings = settings
        self.store = Store(settings.dir or default_folder(), owners=settings.owners, pretty=settings.pretty)
        self._locks = AskingLocks(self.store.folder)
        self._explained = 0  # misses that were compared with everything in the store
        self._written = settings.max_bytes or 0  # bytes since the size of the store was last looked at: with the first answer

    def numbered(self, prepared: PreparedRequest) -> PreparedRequest:
        """The request with the number of its sample, where single calls are counted; else as it is."""
        if not self.settings.counted:
            return prepared
        return counter_of(self.settings.counted).numbered(prepared)

    def look_up(self, prepared: PreparedRequest, reading: Reading) -> ModelResponse | None:
        """The stored answer to a request, read anew; None if it has to be asked.

        Raises the stored error, if ``errors`` are stored; offline, CacheMissError, or what is wrong with the stored answer.
        """
        settings = self.settings
        if settings.refresh:
            return None
        digest = request_digest(prepared)
        served = self._served(prepared, digest, reading) if self.store.has(digest, prepared.sample) else None
        if isinstance(served, LLMConnectorError):
            raise served
        if served is None and settings.offline:
            raise self._miss(prepared, digest)
        return served

    def _miss(self, prepared: PreparedRequest, digest: str) -> LLMConnectorError:
        self._explained += 1
        error = miss(self.store, prepared, digest, compare=self._explained <= _MAX_EXPLAINED)
        if self.settings.counted:
            error.guidance = "Record it: run pytest with --llm-recorded=all, or remove the cassette."
            note_miss(self.settings.counted, str(error))
        return error

    def has(self, prepared: PreparedRequest) -> bool:
        """Whether an answer seems to be there; it is not read."""
        return not self.settings.refresh and self.store.has(request_digest(prepared), prepared.sample)

    def serves(self, prepared: PreparedRequest, reading: Reading) -> bool:
        """Whether the stored answer is given to such a request: it is there, readable and not too old."""
        if self.settings.refresh:
            return False
        digest = request_digest(prepared)
        return self.store.has(digest, prepared.sample) and self._served(prepared, digest, reading) is not None

    def ask_once(self, prepared: PreparedRequest, reading: Reading, control: CallControl, ask: Ask) -> Steps[ModelResponse]:
        """In steps: the stored answer, or that of an equal request in flight; else what ``ask`` gives, which is stored.

        Raises the error that ``ask`` gives, CacheMissError, and ClientClosedError if the request is stopped while it waits.
        """
        if self.settings.offline:
            response = self.look_up(prepared, reading)
            assert response is not None  # noqa: S101  (offline, a miss is an error)
            return response
        digest = request_digest(prepared)
        if self.settings.refresh:
            outcome, _ = yield from self._ask(prepared, digest, reading, ask)
            return self._result(outcome)
        key, patience = sample_key(digest, prepared.sample), prepared.options.deadline
        while True:
            flight, leads = flights.join(self.store.folder, key)
            if leads:
                return (yield from self._lead(prepared, digest, key, reading, control, ask))
            ended = yield Blocking(partial(flight.wait, control, patience))
            if not ended:
                outcome, _ = yield from self._ask(prepared, digest, reading, ask)
                return self._result(outcome)
            response = _shared_response(flight, prepared, reading)
            if response is not None:
                return response

    def _lead(
        self,
        prepared: PreparedRequest,
        digest: str,
        key: str,
        reading: Reading,
        control: CallControl,
        ask: Ask,
    ) -> Steps[ModelResponse]:
        """Ask, as the only one in this process and, as far as there are locks, on this machine."""
        shared: Any = None
        release: Release | None = None
        try:
            release = yield from self._locks.acquire(key, control, prepared.options.deadline)
            is_new = not self.store.has(digest, prepared.sample)
            if not is_new:  # perhaps another process has stored it meanwhile
                served = self._served(prepared, digest, reading)
                if served is not None:
                    return self._result(served)
            outcome, shared = yield from self._ask(prepared, digest, reading, ask, is_new=is_new)
            return self._result(outcome)
        finally:
            if release is not None:
                release()
            flights.leave(self.store.folder, key, shared)

    def _ask(
        self, prepared: PreparedRequest, digest: str, reading: Reading, ask: Ask, *, is_new: bool = False
    ) -> Steps[tuple[ModelResponse | LLMConnectorError, Any]]:
        """What asking gives, stored if it is to be; and what those who wait for it get: the entry, or the error.

        They read the entry of an answer that cannot be used, too: its cost is that of the one who asked.
        """
        outcome, reply = yield from ask()
        if isinstance(outcome, ClientClosedError):
            return outcome, None
        entry = None if reply is None else _entry(prepared, digest, outcome, reply, reading)
        if isinstance(outcome, LLMConnectorError):
            if entry is not None and self.settings.errors and _is_lasting(outcome):
                self._put(entry, is_new=is_new)
            is_answer = entry is not None and isinstance(outcome, UnusableAnswerError)
            return outcome, entry if is_answer else (prepared.options, outcome)
        if entry is not None and (self.settings.errors or not outcome.truncated):
            self._put(entry, is_new=is_new)
        return outcome, entry

    def _served(self, prepared: PreparedRequest, digest: str, reading: Reading) -> ModelResponse | LLMConnectorError | None:
        """The stored answer, or the stored error; None if nothing of use is stored."""
        entry = self.store.get(prepared, digest, reading.redact)
        if entry is None or self._is_too_old(entry):
            return None
        try:
            response = reading.judge(prepared, entry)
        except LLMConnectorError as error:
            return error if self.settings.errors or self.settings.offline else None
        return response if self.settings.errors or self.settings.offline or not response.truncated else None

    def _is_too_old(self, entry: Entry) -> bool:
        age = self.settings.max_age
        return age is not None and not self.settings.offline and is_older(entry.stored, age)

    def _put(self, entry: Entry, *, is_new: bool) -> None:
        if not self.store.put(entry, is_new=is_new) or self.settings.max_bytes is None:
            return
        self._written += len(entry.body) + (0 if entry.reply is None else len(entry.reply.content))
        if self._written * _LOOKS_PER_FILL >= self.settings.max_bytes:
            self._written = 0
            shrink(self.store, self.settings.max_bytes)

    @staticmethod
    def _result(outcome: ModelResponse | LLMConnectorError) -> ModelResponse:
        if isinstance(outcome, LLMConnectorError):
            raise outcome
        return outcome


_LASTING = (InvalidRequestError, ModelNotFoundError, UnusableAnswerError)  # not those of the account, nor those that pass
_MAX_EXPLAINED = 20  # misses of one client that are compared with all stored requests: a batch may have a million
_LOOKS_PER_FILL = 20  # how often the size of the store is looked at while as much is written as it may hold


def _shared_response(flight: Flight, prepared: PreparedRequest, reading: Reading) -> ModelResponse | None:
    """What an equal request in flight has ended with; None if it has to be asked again. Raises the error it ended with."""
    shared = flight.outcome
    if isinstance(shared, Entry):
        return reading.judge(prepared, shared)
    if shared is None or shared[0] != prepared.options:
        return None  # it was stopped, or it had other limits
    error: LLMConnectorError = copy.copy(shared[1])
    error.attempts = error.possibly_billed = 0
    raise error


def _entry(
    prepared: PreparedRequest, digest: str, outcome: ModelResponse | LLMConnectorError, reply: Reply, reading: Reading
) -> Entry:
    """The entry of a reply, without the provider's secrets, and with the headers that are read."""
    present = reading.headers.intersection(map(str.lower, reply.headers))
    received = {name: value for name in sorted(present) if isinstance(value := reply.headers.get(name), str)}
    texts, contents = _without_secrets(
        [prepared.url, prepared.model, *received.values()], [prepared.body, reply.content], reading.redact
    )
    url, model, *values = texts
    body, content = contents
    answer = outcome if not isinstance(outcome, LLMConnectorError) else getattr(outcome, "response", None)
    return Entry(
        digest=digest,
        sample=prepared.sample,
        dialect=prepared.dialect,
        url=url,
        model=model,
        body=body,
        stored=_now() if answer is None else answer.timestamp,
        reply=Reply(reply.status, Headers(zip(received, values, strict=True)), content, reply.elapsed),
        attempts=outcome.attempts or 1,
        usage={} if answer is None else {name: count for name, count in vars(answer.usage).items() if count is not None},
        cost=_known_cost(answer),
        redacted=(body, url, model) != (prepared.body, prepared.url, prepared.model),
    )


def _without_secrets(texts: list[str], contents: list[bytes], redact: Callable[[bytes], bytes]) -> tuple[list[str], list[bytes]]:
    """The same without the provider's secrets. They are searched all at once, because nearly always there are none."""
    try:
        everything = b"\0".join([*contents, "\0".join(texts).encode("utf-8")])
    except UnicodeEncodeError:  # half of a surrogate pair, which cannot be stored
        everything = b""
    if everything and redact(everything) == everything:
        return texts, contents
    return [redacted_text(text, redact) for text in texts], [redact(content) for content in contents]


def _known_cost(answer: ModelResponse | None) -> float | None:
    """The cost as far as it is known without looking prices up."""
    cost = None if answer is None else vars(answer)["cost_estimate"]
    return cost if isinstance(cost, (int, float)) else None


def _is_lasting(error: LLMConnectorError) -> bool:
    """Whether the same request would get the same error again."""
    return error.retryable is not True and isinstance(error, _LASTING)


def _now() -> datetime:
    return datetime.now(timezone.utc)
