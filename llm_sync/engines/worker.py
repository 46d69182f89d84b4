"""What runs in a worker process: it makes attempts, one client for each run, and decides nothing.

The coordinator has gates, retries, budgets, cache and journal; a worker has the configuration, with references to the keys, and
opens the connections. The functions here are what an engine is given to call.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue

import llm_sync
from llm_sync.attempts.rate_gate import Gate
from llm_sync.client import queues
from llm_sync.client.calls import ProviderCall
from llm_sync.client.endpoints import Endpoints
from llm_sync.config.models import LLMConfig
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.dispatch.queue import ProviderRequestQueue
from llm_sync.engines.claims import ClaimFile
from llm_sync.engines.spool import Spool, require_private
from llm_sync.engines.wire import Hello, Item, Outcome, Session, host_id, packed, unpacked, worker_name
from llm_sync.engines.worker_config import worker_config
from llm_sync.errors import LLMConnectorError
from llm_sync.events import logger
from llm_sync.models import RateLimits, Reply
from llm_sync.providers.base import LLMProvider
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import Steps, Together, run

_IDLE_S = 60.0
_LOOK_S = 0.5  # a task that has nothing to wait for any more ends so soon

_log = logger("engines")

_sessions: dict[str, WorkerSession] = {}
_opening = threading.Lock()  # guards the making of a session, which reads key files; nothing waits for anything else under it


class _Endpoints(Endpoints):
    """The endpoints of a worker, which remember what the last reply told of the provider's limits."""

    def __init__(self, config: LLMConfig, manager: ConcurrentLLMManager, *, strict: bool) -> None:
        super().__init__(config, manager, strict)
        self.told: dict[tuple[str, int], RateLimits] = {}

    def limits_listener(self, name: str, gate: Gate) -> Callable[[RateLimits], None]:  # noqa: ARG002
        return partial(self._note, name)

    def _note(self, name: str, limits: RateLimits) -> None:
        self.told[name, threading.get_ident()] = limits


class WorkerSession:
    """One run in this process: a client's parts, and a spool. Any thread may use it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        config = worker_config(session.config)
        self._config = config
        self._manager = ConcurrentLLMManager(self._open_queue)
        self._endpoints = _Endpoints(config, self._manager, strict=session.strict)
        self.output = session.output
        self.is_local = bool(session.folder) and session.host == host_id()
        self.folder = session.folder if self.is_local else spool_folder(session.output)
        self.name = worker_name()
        self._spool = Spool(self.folder, self.name, is_read=self.is_local)
        self.claims = ClaimFile(self.folder, session.id) if session.claims else None
        self.in_flight: dict[int, None] = {}
        self._used_at = time.monotonic()
        self.ended: SimpleQueue[bytes] = SimpleQueue()  # outcomes that were not fetched yet
        self.problems = self._check()

    def hello(self) -> Hello:
        """How this worker introduces itself."""
        host = self.name.rpartition(":")[0]
        return Hello(self.name, host, os.getpid(), llm_sync.__version__, self.problems)

    def start(self, item: Item, ended: Callable[[bytes], object]) -> None:
        """Begin an attempt; ``ended`` is called with its packed outcome, which is in the spool by then."""
        self.in_flight[item.id] = None
        self._used_at = time.monotonic()
        control = CallControl(item.id)
        call = ProviderCall(self._make, (item, control), control, item.prepared.model, self._steps)
        future = self._manager.submit(item.prepared.provider, call)
        future.add_done_callback(partial(self._note, item, ended))

    def _make(self, item: Item, control: CallControl) -> bytes:
        return run(self._steps(item, control))

    def _steps(self, item: Item, control: CallControl) -> Steps[bytes]:
        """Make the attempt, and put its outcome into the spool, with those that end at the same time."""
        outcome = yield from self._attempt(item, control)
        content: bytes = yield Together(self._spool_all, (outcome, self._line_of(item, outcome)))
        return content

    def _attempt(self, item: Item, control: CallControl) -> Steps[Outcome]:
        prepared, endpoints = item.prepared, self._endpoints
        provider, told = endpoints[prepared.provider].provider, (prepared.provider, threading.get_ident())
        replies: list[Reply] = []
        keep = (lambda reply, _: replies.append(reply)) if item.keeps_reply else None
        began = time.monotonic()
        response = error = None
        try:
            response = yield from provider.attempt(prepared, item.number, item.timeout, control, keep=keep)
        except LLMConnectorError as caught:
            error = caught.with_traceback(None)
        limits, elapsed = endpoints.told.pop(told, None), time.monotonic() - began
        status = error.status if error is not None else 200
        if replies:
            return Outcome(item.id, reply=_redacted(replies[-1], provider), limits=limits, status=status, elapsed=elapsed)
        return Outcome(item.id, response, error, limits=limits, status=status, elapsed=elapsed)

    def _line_of(self, item: Item, outcome: Outcome) -> bytes:
        if self._session.record is not None and outcome.response is not None and item.label is not None:
            try:
                return self._session.record(item.label, outcome.response)
            except Exception as error:  # noqa: BLE001  (a dialect's metadata may hold anything: the coordinator says so)
                _log.debug("no line can be made of an answer: %r", error)
        return b""

    def _spool_all(self, outcomes: list[tuple[Outcome, bytes]]) -> list[bytes]:
        """Put outcomes and their lines into the spool; return what is to be reported of each."""
        contents = [packed(outcome) for outcome, _ in outcomes]
        try:
            self._spool.add_all(zip(contents, (line for _, line in outcomes), strict=True))
        except OSError:
            self._spool.close()  # the coordinator takes this worker for dead: its spool is what it reads
            return contents
        if self.is_local:
            return contents
        return [packed(outcome._replace(line=line)) for outcome, line in outcomes]

    def _note(self, item: Item, ended: Callable[[bytes], object], future: Future[bytes]) -> None:
        """Report an outcome, which is in the spool; one of an attempt that could not even be made is put there now."""
        if future.cancelled():
            return  # the session is closed
        failure = future.exception()
        if failure is None:
            content = future.result()
        else:
            error = failure if isinstance(failure, LLMConnectorError) else LLMConnectorError(f"an unexpected {failure!r}")
            content = self._spool_all([(Outcome(item.id, error=error), b"")])[0]
        self.in_flight.pop(item.id, None)
        ended(content)

    def take_ended(self, linger: float) -> list[bytes]:
        """The outcomes that were not fetched yet; waits for the first while any attempt is in flight."""
        taken: list[bytes] = []
        try:
            while not taken and (self.in_flight or not self.ended.empty()):
                with contextlib.suppress(Empty):
                    taken.append(self.ended.get(timeout=_LOOK_S))
            if taken and linger and self.in_flight:
                time.sleep(linger)
            while taken:
                taken.append(self.ended.get_nowait())
        except Empty:
            pass
        return taken

    def is_idle(self) -> bool:
        """Whether its run seems to be over."""
        return not self.in_flight and time.monotonic() - self._used_at > _IDLE_S

    def _check(self) -> dict[str, LLMConnectorError]:
        """What keeps this worker from sending, by provider. Reads key files and runs key commands."""
        problems = {}
        for name in self._session.providers:
            try:
                self._endpoints[name].provider.check()
            except LLMConnectorError as error:  # noqa: PERF203
                problems[name] = error
        return problems

    def _open_queue(self, name: str) -> ProviderRequestQueue:
        return queues.open_queue(self._config.providers[name], lambda _: None)  # the coordinator reports events

    def close(self) -> None:
        """Cancel what is queued, abort what is in flight, and close the connections."""
        self._manager.close(cancel_pending=True, grace=0)
        self._endpoints.close()
        self._spool.close()
        if self.claims is not None:
            self.claims.close()


def _redacted(reply: Reply, provider: LLMProvider) -> Reply:
    """A reply that the coordinator is to read, without the key, which it may not have."""
    text = reply.content.decode("utf-8", "surrogateescape")
    clean = provider.credential.redactor().whole(text)
    return reply if clean == text else dataclasses.replace(reply, content=clean.encode("utf-8", "surrogateescape"))


def spool_folder(output: str) -> str:
    """Where the spools of a run are on this machine, if it is not the coordinator's; made if missing. Raises OSError."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    root = os.path.join(tempfile.gettempdir(), f"llm-sync-spools-{user}")
    for path in (root, os.path.join(root, output)):
        os.makedirs(path, mode=0o700, exist_ok=True)
        require_private(path)
    return os.path.join(root, output)


# What an engine calls --------------------------------------------------------------------------------------------------


def open_session(content: bytes) -> WorkerSession:
    """The session of this process, made on first use; ``content``: a pickled Session."""
    session: Session = unpacked(content)
    with _opening:
        known = _sessions.get(session.id)
        if known is None:
            for other in [name for name, each in _sessions.items() if each.is_idle()]:
                _sessions.pop(other).close()
            known = _sessions[session.id] = WorkerSession(session)
        return known


def hello(content: bytes) -> Hello:
    """Open the session, and introduce this worker."""
    return open_session(content).hello()


def take(session: str, content: bytes) -> None:
    """Begin attempts, and return at once; their outcomes are in the spool. ``content``: pickled items."""
    known = _sessions[session]
    for item in unpacked(content):
        known.start(item, _forget)


def _forget(content: bytes) -> None:
    """The coordinator reads the spool."""


def ask(session: bytes, group: int, content: bytes) -> tuple[Hello, list[bytes]]:
    """Make attempts, and return all packed outcomes; none if this task was run before, or the worker has problems."""
    known = open_session(session)
    items: list[Item] = unpacked(content)
    if known.problems or (known.claims is not None and not known.claims.claim(group)):
        return known.hello(), []
    ends: SimpleQueue[bytes] = SimpleQueue()
    for item in items:
        known.start(item, ends.put)
    return known.hello(), [ends.get() for _ in items]


def bring(session: str, number: int, content: bytes) -> None:
    """Begin attempts, and return at once. Of the runs of one task, by its ``number``, only the first begins anything."""
    known = _sessions[session]
    if known.claims is None or known.claims.claim(number):
        for item in unpacked(content):
            known.start(item, known.ended.put)


def fetch(session: str, linger: float) -> tuple[list[bytes], int]:
    """Wait for any outcome, and ``linger`` seconds more; return those there are, and how many attempts are left in flight.

    Those that the coordinator reads from a spool on its own machine are waited for, and left out.
    """
    known = _sessions[session]
    ended = known.take_ended(linger)
    return [] if known.is_local else ended, len(known.in_flight)


def close_session(session: str) -> None:
    """End a run in this process."""
    with _opening:
        known = _sessions.pop(session, None)
    if known is not None:
        known.close()


def finish_sessions(output: str) -> None:
    """End the sessions of an output, each when nothing of it is in flight any more: that is bounded by the attempts' timeouts."""
    for name, known in list(_sessions.items()):
        if known.output == output:
            while known.in_flight:
                time.sleep(_LOOK_S / 10)
            close_session(name)


def is_busy() -> bool:
    """Whether any attempt is in flight in this process."""
    return any(session.in_flight for session in list(_sessions.values()))


def close_all() -> None:
    """End all runs in this process."""
    for name in list(_sessions):
        close_session(name)
