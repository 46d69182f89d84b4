"""What goes between the coordinator and its workers, as picklable data."""

from __future__ import annotations

import dataclasses
import os
import pickle
import socket
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, NamedTuple

from llm_sync.config.models import LLMConfig
from llm_sync.errors import LLMConnectorError, ProviderConnectionError
from llm_sync.models import ModelResponse, PreparedRequest, RateLimits, Reply, Usage

Record = Callable[[Any, ModelResponse], bytes]
"""``record(label, response)``: the line that a later run takes an answer over by; a function that can be imported."""


class Item(NamedTuple):
    """One attempt that a worker is to make. ``number``: which one of its request, from 1. ``timeout``: seconds.

    ``keeps_reply``: the reply itself is to come back. ``label``: what ``Record`` is called with.
    """

    id: int
    prepared: PreparedRequest
    number: int
    timeout: float
    keeps_reply: bool = False
    label: Any = None


class Outcome(NamedTuple):
    """What an attempt came to: one of ``response``, ``error`` and ``reply`` (a reply that is to be read by the coordinator).

    ``limits``: what the provider reported of its rate limits. ``status``: HTTP, if there was a reply. ``elapsed``: seconds.
    ``line``: what ``Record`` made of an answer.
    """

    id: int
    response: ModelResponse | None = None
    error: LLMConnectorError | None = None
    reply: Reply | None = None
    limits: RateLimits | None = None
    status: int | None = None
    elapsed: float = 0.0
    line: bytes = b""


class Session(NamedTuple):
    """One run, as its workers know it. ``config``: keys by reference. ``folder``: for spools, on the coordinator's ``host``;
    ``output``: what names the folder on other machines, the same for each run that resumes this one.

    ``providers``: those that the run sends to. ``claims``: whether a task may be run twice by its engine, so that each run of one
    has to claim it first.
    """

    id: str
    config: LLMConfig
    strict: bool
    folder: str
    host: str
    output: str
    providers: tuple[str, ...]
    record: Record | None = None
    claims: bool = False


class Hello(NamedTuple):
    """How a worker introduces itself. ``problems``: by provider, why it cannot send there: a missing key, for example."""

    worker: str
    host: str
    pid: int
    version: str
    problems: dict[str, LLMConnectorError]


class WorkerLostError(ProviderConnectionError):
    """A worker ended, or was cut off, while it made an attempt. The request may have been billed. ``worker``: its name."""

    retryable = False  # not by the retry policy, which counts attempts: a batch asks again, as after a kill of the whole run
    worker: str = ""


def host_id() -> str:
    """What tells this machine apart from others, and one start of it from another where the system counts them."""
    boot = ""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read(8)
    except (OSError, UnicodeDecodeError):
        pass
    return f"{socket.gethostname()}/{boot}"


def worker_name(host: str | None = None) -> str:
    """A new name for this process as a worker."""
    return f"{host or socket.gethostname()}:{os.getpid()}-{os.urandom(2).hex()}"


def packed(outcome: Outcome) -> bytes:
    """An outcome as bytes for ``outcome_of``; one whose parts cannot be pickled becomes an error that says so."""
    try:
        return pickle.dumps(_flat(outcome), pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001  (a dialect's metadata may hold anything)
        what = outcome.response if outcome.response is not None else outcome.error
        failure = LLMConnectorError(f"the outcome cannot be sent to the coordinator ({error!r}): {what!r}")
        return pickle.dumps(Outcome(outcome.id, error=failure, status=outcome.status, elapsed=outcome.elapsed))


def outcome_of(content: bytes, line: bytes = b"") -> Outcome:
    """The outcome that ``packed`` made bytes of. ``line``: its own, if it came apart."""
    values = unpacked(content)
    if type(values) is not tuple:
        outcome: Outcome = values
        return outcome._replace(line=line) if line else outcome
    number, limits, status, elapsed, own_line, fields, usage, timestamp, metadata = values
    response, response_usage = object.__new__(ModelResponse), object.__new__(Usage)
    vars(response_usage).update(zip(_USAGE_FIELDS, usage, strict=True))
    state = vars(response)
    state.update(zip(_PLAIN_FIELDS, fields, strict=True))
    state["usage"], state["metadata"] = response_usage, metadata
    state["timestamp"] = datetime.fromtimestamp(timestamp, timezone.utc)
    return Outcome(number, response, None, None, limits, status, elapsed, line or own_line)


_MADE_ANEW = ("usage", "timestamp", "metadata")
_PLAIN_FIELDS = tuple(field.name for field in dataclasses.fields(ModelResponse) if field.name not in _MADE_ANEW)
_USAGE_FIELDS = tuple(field.name for field in dataclasses.fields(Usage))
_ALL_FIELDS = {*_PLAIN_FIELDS, *_MADE_ANEW}


def _flat(outcome: Outcome) -> Any:
    """An answer as a tuple, without the names of fields, and of classes that pickle would look up: it is read in half the time.

    Anything else as it is.
    """
    response = outcome.response
    if type(response) is not ModelResponse or type(response.usage) is not Usage or response.timestamp.tzinfo is not timezone.utc:
        return outcome
    state = response.__getstate__()
    if state.keys() != _ALL_FIELDS or vars(response.usage).keys() != set(_USAGE_FIELDS):
        return outcome
    fields, usage = tuple(map(state.__getitem__, _PLAIN_FIELDS)), tuple(map(vars(response.usage).__getitem__, _USAGE_FIELDS))
    head = outcome.id, outcome.limits, outcome.status, outcome.elapsed, outcome.line
    response.metadata.get("price_source")  # an entry that is made when it is looked at
    return (*head, fields, usage, response.timestamp.timestamp(), dict(response.metadata))


def unpacked(content: bytes) -> Any:
    """What ``pickle.dumps`` made of something. Only for bytes that this run's own processes have sent."""
    return pickle.loads(content)  # noqa: S301  (from processes that run this program's own code, over channels only they can use)
