"""From a request to the response that goes back: its record, holds, the script, the dialect."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from llm_sync.simulator.answers.sources import Sources
from llm_sync.simulator.dialects.base import Call, Dialect, stream_beside
from llm_sync.simulator.faults.context import Scene
from llm_sync.simulator.faults.script import Script
from llm_sync.simulator.server import admin
from llm_sync.simulator.server.hold import Hold
from llm_sync.simulator.server.http1 import BrokenRequest, HTTPRequest
from llm_sync.simulator.server.request_log import RequestLog, RequestRecord
from llm_sync.simulator.server.response import KnownError, Response
from llm_sync.simulator.server.routes import BASES


class Answered(NamedTuple):
    """``ended`` closes the request's account; for a response without a delivery of its own that has been done."""

    response: Response
    ended: Callable[[], None]


class Answering:
    """Answers requests, each on the thread that asks for it. ``wait`` lets seconds pass, or returns when the simulator stops."""

    def __init__(
        self,
        log: RequestLog,
        script: Script | None,
        sources: Sources,
        *,
        keys: Sequence[str] | None,
        latency: float,
        seed: int,
        on_request: Callable[[RequestRecord], Response | None] | None,
        models: Mapping[str, Sequence[str]],
        root: Callable[[], str],
        wait: Callable[[float], object],
    ) -> None:
        self._log = log
        self._script = script
        self._sources = sources
        self._keys = None if keys is None else frozenset(keys)
        self._latency = latency
        self._seed = seed
        self._on_request = on_request
        self._models = models
        self._root = root
        self._wait = wait
        self._lock = threading.Lock()  # guards _holds and _faults
        self._holds: list[Hold] = []
        self._faults: list[BaseException] = []

    @property
    def faults(self) -> list[BaseException]:
        """What went wrong in here."""
        with self._lock:
            return list(self._faults)

    def fault(self, error: BaseException) -> None:
        """Notes one more."""
        with self._lock:
            self._faults.append(error)

    def hold(self, match: Callable[[RequestRecord], bool] | None) -> Hold:
        """A new one, which requests meet from now on."""
        hold = Hold(match, self._forget)
        with self._lock:
            self._holds.append(hold)
        return hold

    def let_go(self) -> None:
        """Closes every hold."""
        with self._lock:
            holds = list(self._holds)
        for hold in holds:
            hold.close()

    def answer(self, request: HTTPRequest) -> Answered:
        """The response to a request; raises nothing."""
        if request.path.startswith(admin.PREFIX):
            return Answered(admin.show(request, self._log), _nothing)
        dialect, call = self._found(request) or (None, None)
        if call:
            self._sources.tell(call)
        record = self._arrived(request, dialect, call)
        exchange = _Exchange(self._log, record, self.fault)
        try:
            response = self._answer(dialect, call, record, exchange)
            response = response._replace(body=response.content())
        except RecursionError:
            message = "The request is nested too deeply."
            response = dialect.error(400, message) if dialect else admin.plain_error(400, message)
            exchange.outcome = "refused"
        except Exception as error:  # noqa: BLE001  (a bug here, or on_request's, must not look like a lost connection)
            self.fault(error)
            message = f"The simulator failed: {type(error).__name__}: {error}"
            response = dialect.error(500, message) if dialect else admin.plain_error(500, message)
            exchange.outcome = "failed"
        exchange.response = response
        if response.delivery is None:
            exchange.end()
        return Answered(response, exchange.end)

    def cut(self, request: HTTPRequest) -> None:
        """Writes a request down that came over a connection which had expired, and gets no answer."""
        found = self._found(request)
        if found:
            exchange = _Exchange(self._log, self._arrived(request, *found), self.fault)
            exchange.outcome = "expired_keep_alive"
            exchange.end()

    def refuse(self, broken: BrokenRequest) -> Response:
        """What is said to a request that could not be read: in its provider's words where its body is too large."""
        request = broken.request
        found = self._found(request) if request else None
        if not request or not found:
            return admin.plain_error(broken.status, broken.message)
        dialect, call = found
        exchange = _Exchange(self._log, self._arrived(request, *found), self.fault)
        exchange.response = response = dialect.refused(call, KnownError("too_large"))
        exchange.end()
        return response

    def _found(self, request: HTTPRequest) -> tuple[Dialect, Call] | None:
        """Who is asked, and what."""
        found = self._sources.route(request.path)
        if not found:
            return None
        dialect, path = found
        return dialect, dialect.open(request, path, self._seed, self._accepts, self._models[dialect.provider])

    def _arrived(self, request: HTTPRequest, dialect: Dialect | None, call: Call | None) -> RequestRecord:
        key = dialect.key_of(call) if dialect and call else None
        return self._log.arrive(
            provider=dialect.provider if dialect else "",
            dialect=dialect.called(call) if dialect and call else "",
            size=len(request.body),
            method=request.method,
            path=request.path,
            model=call.model if call else "",
            key_hash=hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16] if key else None,
            stream=call.stream if call else stream_beside(request),
            payload=call.payload if call else None,
        )

    def _answer(self, dialect: Dialect | None, call: Call | None, record: RequestRecord, exchange: _Exchange) -> Response:
        with self._lock:
            holds = list(self._holds)
        for hold in holds:
            hold.pause(record)
        given = self._on_request(record) if self._on_request else None
        if self._latency:
            self._wait(self._latency)
        if given is not None:
            exchange.outcome = "given"
            return given
        if dialect is None or call is None:
            bases = ", ".join(f"{self._root()}{base}" for base in dict.fromkeys(BASES.values()))
            return admin.plain_error(404, f"Nothing is simulated at {record.path}. The base URLs are {bases}.")
        if self._script is None:
            return dialect.answer(call)
        scene = Scene(record.dialect, dialect, call, self._root(), record.key_hash)
        performance = self._script.perform(scene, self._seed, self._wait)
        exchange.outcome, exchange.rules, exchange.leaving = performance.outcome, performance.rules, performance.ended
        return performance.response

    def _forget(self, hold: Hold) -> None:
        with self._lock:
            if hold in self._holds:
                self._holds.remove(hold)

    def _accepts(self, key: str) -> bool:
        if not key or "wrong" in key or "invalid" in key:
            return False
        return self._keys is None or key in self._keys


class _Exchange:
    """One request's account, from its arrival to its end. Used by one thread."""

    def __init__(self, log: RequestLog, record: RequestRecord, fault: Callable[[BaseException], None]) -> None:
        self._log, self._record, self._fault = log, record, fault
        self.outcome: str | None = None
        self.rules: tuple[str, ...] = ()
        self.leaving: tuple[Callable[[], None], ...] = ()
        self.response: Response | None = None
        self._over = False

    def end(self) -> None:
        """Closes it; may be repeated."""
        if self._over:
            return
        self._over = True
        for leave in self.leaving:
            leave()
        response = self.response
        told = response is not None and (response.delivery is None or response.delivery.told)
        status = response.status if response is not None and told else None
        outcome = self.outcome or ("ok" if status is not None and status < 400 else "refused")
        tokens = response.tokens if response is not None else None
        try:
            self._log.end(self._record, status, tokens, outcome, self.rules)
        except OSError as error:  # the log file cannot be written: not the client's trouble
            self._fault(error)


def _nothing() -> None:
    """An account that nobody keeps."""
