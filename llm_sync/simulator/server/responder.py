"""From a request to its response: the log record, holds, the script, the dialect."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from llm_sync.simulator.dialects.base import Call, Dialect, stream_switch_of_other
from llm_sync.simulator.faults.context import RequestContext
from llm_sync.simulator.faults.script import Script
from llm_sync.simulator.jobs.settings import JobSettings
from llm_sync.simulator.jobs.store import JobStore
from llm_sync.simulator.server import admin
from llm_sync.simulator.server.answer_sources import AnswerSources
from llm_sync.simulator.server.delivery import FromFile
from llm_sync.simulator.server.file_body import FileBody
from llm_sync.simulator.server.hold import Hold
from llm_sync.simulator.server.http1 import HTTPRequest, UnreadableRequest
from llm_sync.simulator.server.request_log import RequestLog, RequestRecord
from llm_sync.simulator.server.response import ListedError, Response
from llm_sync.simulator.server.routes import BASE_PATHS


class PreparedResponse(NamedTuple):
    """A response; ``close_record`` completes the log record, which is done already unless ``response.delivery`` is set."""

    response: Response
    close_record: Callable[[], None]


class Responder:
    """Answers each request on the calling thread. Thread-safe. ``wait`` sleeps, or returns when the simulator stops."""

    def __init__(
        self,
        log: RequestLog,
        script: Script | None,
        sources: AnswerSources,
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
        self.jobs = JobStore(script.jobs if script else JobSettings(), log.bill)
        self._lock = threading.Lock()  # guards _holds and _faults
        self._holds: list[Hold] = []
        self._faults: list[BaseException] = []

    @property
    def faults(self) -> list[BaseException]:
        """Internal errors so far."""
        with self._lock:
            return list(self._faults)

    def summary(self) -> dict[str, Any]:
        """The counts of the log, and the jobs if there are any; their lines are answered and billed first."""
        jobs = self.jobs.summary()
        return {**self._log.summary(), **({"jobs": jobs} if jobs else {})}

    def add_fault(self, error: BaseException) -> None:
        """Records an internal error."""
        with self._lock:
            self._faults.append(error)

    def hold(self, match: Callable[[RequestRecord], bool] | None) -> Hold:
        """A new hold, which applies to all later requests."""
        hold = Hold(match, self._forget_hold)
        with self._lock:
            self._holds.append(hold)
        return hold

    def close(self) -> None:
        """Closes every hold, and removes the files of jobs."""
        self.jobs.close()
        with self._lock:
            holds = list(self._holds)
        for hold in holds:
            hold.close()

    def respond(self, request: HTTPRequest) -> PreparedResponse:
        """The response to a request; raises nothing."""
        if request.path.startswith(admin.PREFIX):
            return PreparedResponse(admin.respond(request, self._log, self.summary, self.jobs.advance), _do_nothing)
        dialect, call = self._route(request) or (None, None)
        if call:
            self._sources.attach_to(call)
            call.jobs, call.answer_line, call.root = self.jobs, self._answer_line, self._root()
        record = self._log_arrival(request, dialect, call)
        open_record = _OpenRecord(self._log, record, self.add_fault)
        try:
            response = self._respond(dialect, call, record, open_record)
            response = _ready_to_send(response)
        except RecursionError:
            message = "The request is nested too deeply."
            response = dialect.error(400, message) if dialect else admin.plain_error(400, message)
            open_record.outcome = "refused"
        except Exception as error:  # noqa: BLE001  (a bug here or in on_request must not look like a lost connection)
            self.add_fault(error)
            message = f"The simulator failed: {type(error).__name__}: {error}"
            response = dialect.error(500, message) if dialect else admin.plain_error(500, message)
            open_record.outcome = "failed"
        open_record.response = response
        if response.delivery is None:
            open_record.end()
        return PreparedResponse(response, open_record.end)

    def log_expired(self, request: HTTPRequest) -> None:
        """Logs a request on an expired connection; it gets no answer."""
        routed = self._route(request)
        if routed:
            open_record = _OpenRecord(self._log, self._log_arrival(request, *routed), self.add_fault)
            open_record.outcome = "expired_keep_alive"
            open_record.end()

    def respond_to_unreadable(self, unreadable: UnreadableRequest) -> Response:
        """The error for a request that could not be read; in its provider's form if the body was too large."""
        request = unreadable.request
        routed = self._route(request) if request else None
        if not request or not routed:
            return admin.plain_error(unreadable.status, unreadable.message)
        dialect, call = routed
        open_record = _OpenRecord(self._log, self._log_arrival(request, *routed), self.add_fault)
        open_record.response = response = dialect.listed_error(call, ListedError("too_large"))
        open_record.end()
        return response

    def _route(self, request: HTTPRequest) -> tuple[Dialect, Call] | None:
        """The dialect that answers a path, and the request as it parsed it."""
        routed = self._sources.route(request.path)
        if not routed:
            return None
        dialect, path = routed
        return dialect, dialect.parse(request, path, self._seed, self._accepts_key, self._models[dialect.provider])

    def _log_arrival(self, request: HTTPRequest, dialect: Dialect | None, call: Call | None) -> RequestRecord:
        key = dialect.key_of(call) if dialect and call else None
        return self._log.arrive(
            provider=dialect.provider if dialect else "",
            dialect=dialect.type_of(call) if dialect and call else "",
            size=len(request.body),
            method=request.method,
            path=request.path,
            model=call.model if call else "",
            key_hash=hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16] if key else None,
            stream=call.stream if call else stream_switch_of_other(request),
            payload=call.logged_payload if call else None,
        )

    def _respond(self, dialect: Dialect | None, call: Call | None, record: RequestRecord, open_record: _OpenRecord) -> Response:
        with self._lock:
            holds = list(self._holds)
        for hold in holds:
            hold.pause(record)
        own_response = self._on_request(record) if self._on_request else None
        if self._latency:
            self._wait(self._latency)
        if own_response is not None:
            open_record.outcome = "given"
            return own_response
        if dialect is None or call is None:
            bases = ", ".join(f"{self._root()}{base}" for base in dict.fromkeys(BASE_PATHS.values()))
            return admin.plain_error(404, f"Nothing is simulated at {record.path}. The base URLs are {bases}.")
        if self._script is None:
            return dialect.answer(call)
        context = RequestContext(record.dialect, dialect, call, self._root(), record.key_hash)
        result = self._script.respond(context, self._seed, self._wait)
        open_record.outcome, open_record.rules, open_record.on_end = result.outcome, result.rules, result.on_end
        return result.response

    def _answer_line(self, dialect: Dialect, call: Call) -> Response:
        """The answer to a line of a job, as the script says; raises nothing, so that one line cannot keep a job from ending."""
        try:
            if self._script is None:
                return dialect.answer(call)
            context = RequestContext(dialect.type_of(call), dialect, call, self._root(), None)
            return self._script.respond(context, self._seed, _do_not_wait).response
        except RecursionError:
            return dialect.error(400, "The request is nested too deeply.")
        except Exception as error:  # noqa: BLE001  (as for requests)
            self.add_fault(error)
            return dialect.error(500, f"The simulator failed: {type(error).__name__}: {error}")

    def _forget_hold(self, hold: Hold) -> None:
        with self._lock:
            if hold in self._holds:
                self._holds.remove(hold)

    def _accepts_key(self, key: str) -> bool:
        if not key or "wrong" in key or "invalid" in key:
            return False
        return self._keys is None or key in self._keys


class _OpenRecord:
    """The log record of one request, until it is completed. Used by one thread."""

    def __init__(self, log: RequestLog, record: RequestRecord, fault: Callable[[BaseException], None]) -> None:
        self._log, self._record, self._fault = log, record, fault
        self.outcome: str | None = None
        self.rules: tuple[str, ...] = ()
        self.on_end: tuple[Callable[[], None], ...] = ()
        self.response: Response | None = None
        self._ended = False

    def end(self) -> None:
        """Completes the record; may be called again."""
        if self._ended:
            return
        self._ended = True
        for finish in self.on_end:
            finish()
        response = self.response
        sends_status = response is not None and (response.delivery is None or response.delivery.sends_status)
        status = response.status if response is not None and sends_status else None
        outcome = self.outcome or ("ok" if status is not None and status < 400 else "refused")
        tokens = response.tokens if response is not None else None
        try:
            self._log.end(self._record, status, tokens, outcome, self.rules, response.tier if response else "default")
        except OSError as error:  # the log file cannot be written: the client still gets its answer
            self._fault(error)


def _do_nothing() -> None:
    """The record of a request that is not logged."""


def _do_not_wait(_seconds: float) -> None:
    """A line of a job is not delayed."""


def _ready_to_send(response: Response) -> Response:
    """The response with its body as bytes, or with a delivery that reads its file."""
    if isinstance(response.body, FileBody) and response.delivery is None:
        return response._replace(body=b"", delivery=FromFile(response.body))
    return response._replace(body=response.content())
