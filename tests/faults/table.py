"""Everything that can go wrong at a provider, and what a caller of llm-sync gets then: one row for each fault.

``meet`` lets a client run into one cell of the table (fault, dialect, door) and tells what came of it. The tests hold that
against the row; reliability.py writes the page docs/reliability.md from it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from llm_sync import LLMClient, LLMConnectorError, ModelRequest, batch
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator

DIALECTS = {
    "openai": "gpt-4o-mini",
    "openai-responses": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5",
    "gemini": "gemini-2.0-flash",
    "openrouter": "openai/gpt-4o-mini",
}
ALL, NONE = frozenset(DIALECTS), frozenset[str]()
RETRIES = 1
SHORT_S = 0.4  # the timeout where time is what goes wrong
LONG_S = 20.0  # where it is not: nothing that works takes so long
PATIENCE_S = 20.0  # over the bound of a call, before it counts as hanging: machines are busy


class Ends(NamedTuple):
    """What the caller gets (``answered``, ``truncated``, ``nothing listed`` or the name of an error class), and the requests
    the provider saw for it."""

    what: str
    sent: int


@dataclass(frozen=True)
class Fault:
    """One row. ``does``: a rule's action; ``ends``: what a generation comes to, ``lists`` what a listing (None: no sense);
    ``but``: where a dialect's generation differs; ``billed``: the dialects in which a generation is paid for, with every attempt.
    """

    name: str
    does: Mapping[str, Any]
    ends: Ends
    lists: Ends | None
    but: Mapping[str, Ends] = field(default_factory=dict)
    timeout: float = LONG_S
    billed: frozenset[str] = NONE

    def expected(self, dialect: str, door: Door) -> Ends | None:
        """What a cell should come to."""
        if door.kind == "models":
            return self.lists
        ends = self.but.get(dialect, self.ends)
        return ends if door.resends or self.timeout == LONG_S else ends._replace(sent=1)


class Door(NamedTuple):
    """A way in: how a client goes through, the kind of request it makes, and whether it sends again what timed out (a batch
    does not: it might be billed twice)."""

    kind: str
    ask: Callable[[LLMClient, str], str]
    resends: bool = True


class Cell(NamedTuple):
    """One fault met in one dialect through one door."""

    fault: Fault
    dialect: str
    door: str

    @property
    def title(self) -> str:
        return f"{self.fault.name}, {self.dialect}, {self.door}"


class Finding(NamedTuple):
    """What a cell came to. ``bound``: the seconds it may take by its timeouts, ``took`` those it took. ``after``: what the
    same client's next request, a good one, came to. ``connections``: open ones after that. ``threads`` and ``descriptors``:
    those that are there when all is closed and were not before. ``trouble``: what failed inside the simulator, and requests
    it never ended.
    """

    ends: Ends
    took: float
    bound: float
    billed: int
    streams: int
    after: str
    connections: int
    threads: list[str]
    descriptors: list[str]
    trouble: list[object]


def _told(outcome: object) -> str:
    return type(outcome).__name__ if isinstance(outcome, BaseException) else str(outcome)


def _generate(client: LLMClient, prompt: str) -> str:
    model = client.config.providers["p"].models[0].name
    try:
        response = client.generate(prompt, f"p/{model}")
    except LLMConnectorError as error:
        return _told(error)
    return "truncated" if response.truncated else "answered" if response.text else "silence taken for an answer"


def _batch(client: LLMClient, prompt: str) -> str:
    model = client.config.providers["p"].models[0].name
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.jsonl"
        batch.run([ModelRequest(prompt, f"p/{model}")], output, client)
        record = json.loads(output.read_text("utf-8"))
    if record["error"] is not None:
        return str(record["error"]["type"])
    return "truncated" if record["response"]["truncated"] else "answered"


def _list(client: LLMClient, _prompt: str) -> str:
    listing = client.list_all_models()["p"]
    return _told(listing.error) if listing.error else "answered" if listing.models else "nothing listed"


DOORS = {
    "generate": Door("generate", _generate),
    "batch": Door("generate", _batch, resends=False),
    "models": Door("models", _list),
}


def _error(word: str, ends: str, sent: int, *, lists: bool = True, billed: frozenset[str] = NONE, **settings: Any) -> Fault:
    told = Ends(ends, sent)
    action = {"kind": word, **settings} if settings else word
    return Fault(f"error: {word}", {"error": action}, told, told if lists else None, billed=billed)


def _same(name: str, does: Mapping[str, Any], ends: str, sent: int, **more: Any) -> Fault:
    return Fault(name, does, Ends(ends, sent), Ends(ends, sent), **more)


_DOWN, _CUT, _LATE = "ProviderUnavailableError", "ProviderConnectionError", "RequestTimeoutError"
_WRONG, _STREAM = "ResponseValidationError", "StreamingNotSupportedError"
_ONCE, _TWICE = 1, 1 + RETRIES
_ANSWERED = Ends("answered", _ONCE)

TABLE = (
    Fault("latency", {"latency": {"uniform": [0.01, 0.05]}}, _ANSWERED, _ANSWERED, billed=ALL),
    Fault("rate_limit", {"rate_limit": {"requests_per_minute": 6000, "burst": 1}}, _ANSWERED, _ANSWERED, billed=ALL),
    # larger than the limit: OpenAI says that it never passes, the others leave that open
    Fault(
        "rate_limit, too small",
        {"rate_limit": {"tokens_per_minute": 1}},
        Ends("RateLimitError", _TWICE),
        _ANSWERED,
        but=dict.fromkeys(("openai", "openai-responses"), Ends("RateLimitError", _ONCE)),
    ),
    _error("bad_request", "InvalidRequestError", _ONCE),
    _error("auth", "AuthenticationError", _ONCE),
    _error("permission", "PermissionDeniedError", _ONCE),
    _error("quota", "QuotaExceededError", _ONCE),
    _error("rate_limit", "RateLimitError", _TWICE, retry_after=0.01),
    _error("not_found", "ModelNotFoundError", _ONCE),
    _error("context", "ContextLengthExceededError", _ONCE, lists=False),
    _error("too_large", "InvalidRequestError", _ONCE),
    # where no status says it, it is said in a 200
    _error("content_policy", "ContentBlockedError", _ONCE, lists=False, billed=frozenset({"anthropic", "gemini"})),
    _error("conflict", _DOWN, _TWICE),
    _error("stream_only", _STREAM, _ONCE, lists=False),
    _error("server", _DOWN, _TWICE),
    _error("overloaded", _DOWN, _TWICE),
    _error("timeout", _LATE, _TWICE),
    _same("status: 503", {"status": 503}, _DOWN, _TWICE),
    _same("status: 418", {"status": 418}, "InvalidRequestError", _ONCE),
    _same("status with a body of text", {"status": {"code": 500, "body": "error code: 500"}}, _DOWN, _TWICE),
    _same("status with a JSON list", {"status": {"code": 429, "body": [{"error": {"message": "x"}}]}}, "RateLimitError", _TWICE),
    _same("error_in_200: overloaded", {"error_in_200": "overloaded"}, _DOWN, _TWICE),
    _same("error_in_200: rate_limit", {"error_in_200": "rate_limit"}, "RateLimitError", _TWICE),
    Fault("truncated: 0", {"truncated": 0}, Ends("TruncatedResponseError", _ONCE), None, billed=ALL),
    Fault("truncated: 3", {"truncated": 3}, Ends("truncated", _ONCE), None, billed=ALL),
    Fault("empty", {"empty": True}, Ends("EmptyResponseError", _ONCE), Ends("nothing listed", _ONCE), billed=ALL),
    Fault("refusal", {"refusal": True}, Ends("ContentBlockedError", _ONCE), None, billed=ALL),
    Fault("safety_block", {"safety_block": True}, Ends("ContentBlockedError", _ONCE), None, billed=ALL),
    _same("wrong_type", {"wrong_type": True}, _WRONG, _ONCE, billed=ALL),
    _same("html: 502", {"html": 502}, _DOWN, _TWICE),
    _same("html: 200", {"html": 200}, _WRONG, _ONCE),
    _same("redirect", {"redirect": True}, "ProviderError", _ONCE),
    _same("event_stream: sse", {"event_stream": "sse"}, _STREAM, _ONCE, billed=ALL),
    _same("event_stream: ndjson", {"event_stream": "ndjson"}, _STREAM, _ONCE, billed=ALL),
    _same("malformed_json: cut", {"malformed_json": "cut"}, _WRONG, _TWICE, billed=ALL),
    _same("malformed_json: trailing", {"malformed_json": "trailing"}, _WRONG, _TWICE, billed=ALL),
    _same("whitespace: 2000", {"whitespace": 2000}, "answered", _ONCE, billed=ALL),
    _same("whitespace, dripped", {"whitespace": {"times": 3, "every": 0.01}}, "answered", _ONCE, billed=ALL),
    _same(
        "whitespace, for ever", {"whitespace": {"times": 10_000, "every": 0.05}}, _LATE, _TWICE, timeout=SHORT_S, billed=ALL
    ),
    _same("gzip", {"gzip": True}, "answered", _ONCE, billed=ALL),
    _same("gzip_bomb", {"gzip_bomb": True}, "ProviderError", _ONCE, billed=ALL),
    _same("wrong_length: short", {"wrong_length": "short"}, _WRONG, _TWICE, billed=ALL),
    _same("wrong_length: long", {"wrong_length": "long"}, _CUT, _TWICE, billed=ALL),
    _same(
        "drip from the status on",
        {"drip": {"bytes_per_second": 20, "start": "status"}},
        _LATE, _TWICE, timeout=SHORT_S, billed=ALL,
    ),
    _same("drip from the body on", {"drip": 20}, _LATE, _TWICE, timeout=SHORT_S, billed=ALL),
    _same("silence after the request", {"silence": "request"}, _LATE, _TWICE, timeout=SHORT_S, billed=ALL),
    _same("silence after the headers", {"silence": "headers"}, _LATE, _TWICE, timeout=SHORT_S, billed=ALL),
    _same("silence in the body", {"silence": "body"}, _LATE, _TWICE, timeout=SHORT_S, billed=ALL),
    _same("reset: before_status", {"reset": "before_status"}, _CUT, _TWICE),
    _same("reset: mid_headers", {"reset": "mid_headers"}, _CUT, _TWICE, billed=ALL),
    _same("reset: mid_body", {"reset": "mid_body"}, _CUT, _TWICE, billed=ALL),
    # the second attempt finds nobody to connect to: no request
    _same("connection_refused", {"connection_refused": 0.2}, _CUT, _ONCE),
    _same("expired_keep_alive", {"expired_keep_alive": True}, "answered", _ONCE, billed=ALL),
)  # fmt: skip


def cells() -> Iterator[Cell]:
    """Every cell that makes sense."""
    for fault in TABLE:
        for door, entrance in DOORS.items():
            for dialect in DIALECTS:
                if fault.expected(dialect, entrance) is not None:
                    yield Cell(fault, dialect, door)


def meet(cell: Cell) -> Finding:
    """Runs one cell: a simulator with the fault, a client that meets it, a good request after it, and all closed again."""
    gc.collect()
    threads, descriptors = _threads(), _descriptors()
    fault, entrance = cell.fault, DOORS[cell.door]
    when = {"request": "models"} if entrance.kind == "models" else {"prompt": "fault"}
    with Simulator(script={"rules": [{"when": when, **fault.does}]}) as simulator:
        with LLMClient(ConfigLoader().load_text(_configuration(simulator, cell.dialect, fault.timeout))) as client:
            begun = time.monotonic()
            what = entrance.ask(client, "fault")
            took = time.monotonic() - begun
            sent = len(simulator.requests)
            after = _next(client, simulator, fault)
            simulator.wait_for_connections(at_most=1, timeout=PATIENCE_S)
            connections = simulator.open_connections
        simulator.wait_for_connections(at_most=0, timeout=PATIENCE_S)
        records = simulator.requests
        trouble = simulator.faults
        streams = simulator.stream_attempts
    gc.collect()
    return Finding(
        ends=Ends(what, sent),
        took=took,
        bound=fault.timeout * (1 + RETRIES),
        billed=sum(1 for record in records[:sent] if record.billed),
        streams=streams,
        after=after,
        connections=connections,
        threads=sorted(thread.name for thread in _threads() - threads),
        descriptors=sorted((_descriptors() - descriptors).elements()),
        trouble=[*trouble, *(record for record in records if record.ended is None)],
    )


def held(cell: Cell, found: Finding) -> bool:
    """Whether a cell came to what its row says, in its time, and left nothing behind."""
    door = DOORS[cell.door]
    paid = door.kind == "generate" and cell.dialect in cell.fault.billed  # listings cost nothing
    return (
        found.trouble == []
        and found.ends == cell.fault.expected(cell.dialect, door)
        and found.billed == (found.ends.sent if paid else 0)
        and found.took <= found.bound + PATIENCE_S
        and found.after == "answered"
        and found.streams == 0
        and found.connections <= 1
        and (found.threads, found.descriptors) == ([], [])
    )


def _next(client: LLMClient, simulator: Simulator, fault: Fault) -> str:
    """A good request; after a refused connection, when the port is open again."""
    patience = threading.Event()
    for _ in range(200):
        told = _generate(client, "good")
        if told == "answered" or "connection_refused" not in fault.does:
            return told
        patience.wait(0.05)
    return f"port {simulator.port} stays closed"


def _configuration(simulator: Simulator, dialect: str, timeout: float) -> str:
    return f"""
defaults: {{retry_base: 0, retry_cap: 0.01, max_retries: {RETRIES}, timeout: {timeout}}}
providers:
  p: {{type: {dialect}, api_key: made-up, base_url: "{simulator.url(dialect)}", models: ["{DIALECTS[dialect]}"]}}
"""


def _threads() -> set[threading.Thread]:
    """Those that run. They are compared, not counted: one that an earlier test left may end in between."""
    return set(threading.enumerate())


def _descriptors() -> Counter[str]:
    """What is open, by what it leads to where the system tells, else by number; empty where it does not list them."""
    if not os.path.isdir("/proc/self/fd"):
        return Counter(os.listdir("/dev/fd") if os.path.isdir("/dev/fd") else ())
    found = Counter[str]()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that listed them, and what another thread has just closed
            found[os.readlink(f"/proc/self/fd/{name}")] += 1
    return found
