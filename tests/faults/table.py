"""The table of faults: what can go wrong at a provider, and what a caller of llm-sync gets; one row for each fault.

``run_cell`` lets a client run into one cell of the table (fault, dialect, kind of call) and returns the result. The tests
compare it with the row; reliability.py writes docs/reliability.md from it.
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
    "bedrock": "amazon.nova-lite-v1:0",
    "gemini-interactions": "gemini-2.0-flash",
}
ALL, NONE = frozenset(DIALECTS), frozenset[str]()
RETRIES = 1
SHORT_S = 0.4  # the timeout for faults that delay the response
LONG_S = 20.0  # for other faults: long enough for everything that works
PATIENCE_S = 20.0  # added to the time limit of a call before it counts as hanging: the machine may be busy


class Outcome(NamedTuple):
    """What the caller gets (``answered``, ``truncated``, ``nothing listed`` or the name of an error class), and the number of
    requests that the provider received."""

    what: str
    sent: int


# What becomes of a listing in two requests, of inference profiles and then of models, where it is not simply answered. Whether
# the second one is too early for a rate limit is a matter of milliseconds.
_IN_TWO_PAGES = {"rate_limit": None, "expired_keep_alive": Outcome("answered", 3)}


@dataclass(frozen=True)
class Fault:
    """One row. ``action``: a rule's action; ``outcome``: that of a generation, ``listing``: that of a listing (None: does not
    apply); ``exceptions``: dialects whose outcome differs; ``billed``: the dialects in which each attempt is billed.
    """

    name: str
    action: Mapping[str, Any]
    outcome: Outcome
    listing: Outcome | None
    exceptions: Mapping[str, Outcome] = field(default_factory=dict)
    timeout: float = LONG_S
    billed: frozenset[str] = NONE

    def expected(self, dialect: str, call_kind: CallKind) -> Outcome | None:
        """The expected outcome of a cell; None where it does not apply."""
        if call_kind.kind == "models":
            pages = dialect == "bedrock" and self.listing is not None and self.listing.what == "answered"
            return _IN_TWO_PAGES.get(self.name, Outcome("answered", 2)) if pages else self.listing
        outcome = self.exceptions.get(dialect, self.outcome)
        return outcome if call_kind.resends or self.timeout == LONG_S else outcome._replace(sent=1)


class CallKind(NamedTuple):
    """A kind of call: the request it makes, the function that makes it, and whether a timeout is retried (not in a batch,
    because it might be billed twice)."""

    kind: str
    ask: Callable[[LLMClient, str], str]
    resends: bool = True


class Cell(NamedTuple):
    """One fault in one dialect and one kind of call."""

    fault: Fault
    dialect: str
    call_kind: str

    @property
    def title(self) -> str:
        return f"{self.fault.name}, {self.dialect}, {self.call_kind}"


class Result(NamedTuple):
    """The result of a cell. ``bound``: the seconds that its timeouts allow; ``took``: those it took. ``after``: the outcome of
    the same client's next, normal request. ``connections``: those open after that. ``threads`` and ``descriptors``: those
    left after everything was closed. ``trouble``: failures inside the simulator, and requests that it never finished.
    """

    outcome: Outcome
    took: float
    bound: float
    billed: int
    streams: int
    after: str
    connections: int
    threads: list[str]
    descriptors: list[str]
    trouble: list[object]


def _name(outcome: object) -> str:
    return type(outcome).__name__ if isinstance(outcome, BaseException) else str(outcome)


def _generate(client: LLMClient, prompt: str) -> str:
    model = client.config.providers["p"].models[0].name
    try:
        response = client.generate(prompt, f"p/{model}")
    except LLMConnectorError as error:
        return _name(error)
    return "truncated" if response.truncated else "answered" if response.text else "an empty answer"


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
    return _name(listing.error) if listing.error else "answered" if listing.models else "nothing listed"


CALL_KINDS = {
    "generate": CallKind("generate", _generate),
    "batch": CallKind("generate", _batch, resends=False),
    "models": CallKind("models", _list),
}


def _error(word: str, outcome: str, sent: int, *, lists: bool = True, billed: frozenset[str] = NONE, **settings: Any) -> Fault:
    expected = Outcome(outcome, sent)
    action = {"kind": word, **settings} if settings else word
    return Fault(f"error: {word}", {"error": action}, expected, expected if lists else None, billed=billed)


def _same(name: str, action: Mapping[str, Any], outcome: str, sent: int, **more: Any) -> Fault:
    return Fault(name, action, Outcome(outcome, sent), Outcome(outcome, sent), **more)


_DOWN, _CUT, _LATE = "ProviderUnavailableError", "ProviderConnectionError", "RequestTimeoutError"
_WRONG, _STREAM = "ResponseValidationError", "StreamingNotSupportedError"
_ONCE, _TWICE = 1, 1 + RETRIES
_ANSWERED = Outcome("answered", _ONCE)

TABLE = (
    Fault("latency", {"latency": {"uniform": [0.01, 0.05]}}, _ANSWERED, _ANSWERED, billed=ALL),
    Fault("rate_limit", {"rate_limit": {"requests_per_minute": 6000, "burst": 1}}, _ANSWERED, _ANSWERED, billed=ALL),
    # a request larger than the limit: OpenAI says that it will never pass, the others do not
    Fault(
        "rate_limit, too small",
        {"rate_limit": {"tokens_per_minute": 1}},
        Outcome("RateLimitError", _TWICE),
        _ANSWERED,
        exceptions=dict.fromkeys(("openai", "openai-responses"), Outcome("RateLimitError", _ONCE)),
    ),
    _error("bad_request", "InvalidRequestError", _ONCE),
    _error("auth", "AuthenticationError", _ONCE),
    _error("permission", "PermissionDeniedError", _ONCE),
    _error("quota", "QuotaExceededError", _ONCE),
    _error("rate_limit", "RateLimitError", _TWICE, retry_after=0.01),
    _error("not_found", "ModelNotFoundError", _ONCE),
    _error("context", "ContextLengthExceededError", _ONCE, lists=False),
    _error("too_large", "InvalidRequestError", _ONCE),
    # dialects without a status for it say it in a 200
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
    Fault("truncated: 0", {"truncated": 0}, Outcome("TruncatedResponseError", _ONCE), None, billed=ALL),
    Fault("truncated: 3", {"truncated": 3}, Outcome("truncated", _ONCE), None, billed=ALL),
    Fault("empty", {"empty": True}, Outcome("EmptyResponseError", _ONCE), Outcome("nothing listed", _ONCE), billed=ALL),
    Fault("refusal", {"refusal": True}, Outcome("ContentBlockedError", _ONCE), None, billed=ALL),
    Fault("safety_block", {"safety_block": True}, Outcome("ContentBlockedError", _ONCE), None, billed=ALL),
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
    # the second attempt cannot connect: no request
    _same("connection_refused", {"connection_refused": 0.2}, _CUT, _ONCE),
    _same("expired_keep_alive", {"expired_keep_alive": True}, "answered", _ONCE, billed=ALL),
)  # fmt: skip


def cells() -> Iterator[Cell]:
    """Every cell that applies."""
    for fault in TABLE:
        for call_kind, kind_of_call in CALL_KINDS.items():
            for dialect in DIALECTS:
                if fault.expected(dialect, kind_of_call) is not None:
                    yield Cell(fault, dialect, call_kind)


def run_cell(cell: Cell) -> Result:
    """Run one cell: a simulator with the fault, a client that runs into it, a normal request after it, and close everything."""
    gc.collect()
    threads, descriptors = _threads(), _descriptors()
    fault, kind_of_call = cell.fault, CALL_KINDS[cell.call_kind]
    when = {"request": "models"} if kind_of_call.kind == "models" else {"prompt": "fault"}
    with Simulator(script={"rules": [{"when": when, **fault.action}]}) as simulator:
        with LLMClient(ConfigLoader().load_text(_configuration(simulator, cell.dialect, fault.timeout))) as client:
            started = time.monotonic()
            what = kind_of_call.ask(client, "fault")
            took = time.monotonic() - started
            sent = len(simulator.requests)
            after = _next(client, simulator, fault)
            simulator.wait_for_connections(at_most=1, timeout=PATIENCE_S)
            connections = simulator.open_connections
        simulator.wait_for_connections(at_most=0, timeout=PATIENCE_S)
        records = simulator.requests
        trouble = simulator.faults
        streams = simulator.stream_attempts
    gc.collect()
    return Result(
        outcome=Outcome(what, sent),
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


def is_as_expected(cell: Cell, found: Result) -> bool:
    """Whether a cell has the outcome of its row, ended in time, and left nothing behind."""
    call_kind = CALL_KINDS[cell.call_kind]
    paid = call_kind.kind == "generate" and cell.dialect in cell.fault.billed  # listings cost nothing
    return (
        found.trouble == []
        and found.outcome == cell.fault.expected(cell.dialect, call_kind)
        and found.billed == (found.outcome.sent if paid else 0)
        and found.took <= found.bound + PATIENCE_S
        and found.after == "answered"
        and found.streams == 0
        and found.connections <= 1
        and (found.threads, found.descriptors) == ([], [])
    )


def _next(client: LLMClient, simulator: Simulator, fault: Fault) -> str:
    """Make a normal request; after a refused connection, once the port is open again."""
    patience = threading.Event()
    for _ in range(200):
        outcome = _generate(client, "good")
        if outcome == "answered" or "connection_refused" not in fault.action:
            return outcome
        patience.wait(0.05)
    return f"port {simulator.port} stays closed"


def _configuration(simulator: Simulator, dialect: str, timeout: float) -> str:
    return f"""
defaults: {{retry_base: 0, retry_cap: 0.01, max_retries: {RETRIES}, timeout: {timeout}}}
providers:
  p: {{type: {dialect}, api_key: made-up, base_url: "{simulator.url(dialect)}", models: ["{DIALECTS[dialect]}"]}}
"""


def _threads() -> set[threading.Thread]:
    """The running threads. They are compared, not counted: one that an earlier test left may end meanwhile."""
    return set(threading.enumerate())


def _descriptors() -> Counter[str]:
    """The open descriptors, by target if the system shows it, else by number; empty if it does not list them."""
    if not os.path.isdir("/proc/self/fd"):
        return Counter(os.listdir("/dev/fd") if os.path.isdir("/dev/fd") else ())
    found = Counter[str]()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(
            FileNotFoundError
        ):  # the descriptor that listed them, and one that another thread has just closed
            found[os.readlink(f"/proc/self/fd/{name}")] += 1
    return found
