"""The base of all dialects of the simulator: the parsed call, authentication, and errors in the dialect's form."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from llm_sync.simulator.answers.canned_answer import CannedAnswer, CannedError
from llm_sync.simulator.answers.generated import ParsedRequest
from llm_sync.simulator.answers.turns import Turn
from llm_sync.simulator.dialects.streaming_requests import stream_switch
from llm_sync.simulator.faults.error_responses import answer_for_error, error_response, response_for_error
from llm_sync.simulator.jobs.settings import JobPlan
from llm_sync.simulator.jobs.store import JobStore
from llm_sync.simulator.server.http1 import HTTPRequest
from llm_sync.simulator.server.response import ListedError, RequestRefused, Response

_MAX_LOGGED = 64 * 1024  # bytes of a call that makes a job

FindAnswer = Callable[[str, Sequence[Turn]], CannedAnswer | None]


@dataclass
class Call:
    """One request, as a dialect parsed it. ``path`` is the path after the dialect's base URL, with its slash.

    ``find_replayed`` and ``find_canned`` look an answer up by model and turns: the first before the request is checked (the
    provider has accepted it once), the second afterwards. ``find_stored`` looks a stored reply up by provider type, model and
    payload; ``missing_stored`` says by the model what to answer without one (None: answer as usual). ``accepts`` tells whether a
    key is valid.

    ``job_call`` is what a call to a job API asks for (faults/context.py lists the words; "line": a request within a job), else
    "". ``deferred``: the answer is made later, though nobody asked for that. ``served_tier``: the tier that serves it, whatever
    was asked. ``root``: the simulator's URL. ``plan`` is what a script plans for the job that the call makes, ``fate`` what it
    plans for a line: "expired" or "lost". ``answer_line`` answers a line as the script says.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    seed: int
    accepts: Callable[[str], bool]
    models: Sequence[str]
    body: bytes = b""
    payload: Any = None
    json_problem: str | None = None  # why the body is not JSON
    stream: str | None = None  # the part of the request that asks for a stream
    model: str = ""
    deployment: str | None = None  # Azure's name for a model, if it is in the path; "": there is no such path
    fields_sent: frozenset[str] = field(default_factory=frozenset)
    find_replayed: FindAnswer | None = None
    find_canned: FindAnswer | None = None
    find_stored: Callable[[str, str, Any], Response | None] | None = None
    missing_stored: Callable[[str], str] | None = None
    jobs: JobStore | None = None
    job_call: str = ""
    deferred: bool = False
    served_tier: str | None = None
    root: str = ""
    plan: JobPlan = field(default_factory=JobPlan)
    fate: str = ""
    answer_line: Callable[[Dialect, Call], Response] | None = None

    @property
    def logged_payload(self) -> Any:
        """The payload for the log; None for the many requests of a job, which would fill the memory."""
        return None if self.job_call == "create" and len(self.body) > _MAX_LOGGED else self.payload

    def without_content(self) -> Call:
        """A copy with the headers and settings only, from which the calls of a job's lines are made."""
        return dataclasses.replace(self, body=b"", payload=None)


class Dialect(ABC):
    """One provider API: checks a call as the provider does, then answers it. Stateless and thread-safe."""

    name: str
    provider: str

    def parse(self, request: HTTPRequest, path: str, seed: int, accepts: Callable[[str], bool], models: Sequence[str]) -> Call:
        """The request as a Call. Never raises: mistakes are noted in the call."""
        call = Call(request.method, path, request.query, request.headers, seed, accepts, models, body=request.body)
        call.job_call = self.job_call(call)
        if request.method == "POST" and call.job_call != "upload":
            try:
                call.payload = read_json(request.body)
            except (ValueError, RecursionError) as error:
                call.json_problem = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
            if isinstance(call.payload, dict):
                call.fields_sent = frozenset(key for key, value in call.payload.items() if value is not None)
        call.job_call = call.job_call or self.job_call(call)
        call.stream = stream_switch(call.path, call.query, call.headers, call.payload, self.deferring_keys(call))
        call.model = self.model_of(call)
        return call

    def answer(self, call: Call) -> Response:
        """The response: an answer, or an error in the dialect's form."""
        try:
            if call.stream:
                self.refuse_stream(call)
            stored = self._stored(call)
            return self.reply(call) if stored is None else stored
        except RequestRefused as refused:
            return refused.response
        except ListedError as error:
            return self.listed_error(call, error)

    def _stored(self, call: Call) -> Response | None:
        """The stored reply to a call; None where none is replayed. Raises RequestRefused if there is none to this request."""
        if call.find_stored is None or call.method != "POST" or not isinstance(call.payload, dict):
            return None
        response = call.find_stored(self.type_of(call), call.model, call.payload)
        if response is None and call.missing_stored is not None:
            error = CannedError("ModelNotFoundError", call.missing_stored(call.model), 404)
            raise RequestRefused(response_for_error(error, self, self.type_of(call), call.model))
        return response

    def listed_error(self, call: Call, error: ListedError) -> Response:
        """The response for an error of faults/error_table.py, in this dialect's form."""
        return error_response(error.kind, self, self.type_of(call), details={"model": call.model, **error.details})

    def job_call(self, _call: Call) -> str:
        """What a call to this dialect's job API asks for; "" for other calls."""
        return ""

    def no_capacity(self, _call: Call) -> Response | None:
        """The error if a cheap service tier, which the call asks for, has no capacity; None if it asks for none."""
        return None

    def deferring_keys(self, _call: Call) -> tuple[str, ...]:
        """The keys of the payload that defer the answer, where the dialect has deferred answers."""
        return ()

    def model_of(self, call: Call) -> str:
        """The requested model; "" if there is no valid name."""
        model = call.payload.get("model") if isinstance(call.payload, dict) else None
        return model if isinstance(model, str) else ""

    def key_of(self, call: Call) -> str | None:
        """The API key in the request, or None."""
        return bearer_token(call.headers)

    @abstractmethod
    def reply(self, call: Call) -> Response:
        """Answers a call that asks for no stream. May raise RequestRefused and ListedError."""

    @abstractmethod
    def refuse_stream(self, call: Call) -> NoReturn:
        """Raises RequestRefused with the error for a request of a stream, status 400."""

    @abstractmethod
    def turns(self, call: Call) -> list[Turn]:
        """The conversation in the payload, which may be invalid."""

    @abstractmethod
    def error(self, status: int, message: str) -> Response:
        """An error that concerns no parameter (nested too deeply, an internal error), in this dialect's form."""

    def type_of(self, _call: Call) -> str:
        """The provider type with which a client is configured for this call."""
        return self.name

    def replayed(self, call: Call) -> ParsedRequest | None:
        """A request with its answer from a replayed batch, or None. Raises RequestRefused if that answer is an error."""
        if call.find_replayed is None:
            return None
        turns = self.turns(call)
        canned = self._answer_or_raise(call, call.find_replayed(call.model, turns))
        return ParsedRequest(self.name, call.model, turns, None, canned=canned) if canned else None

    def canned(self, call: Call) -> CannedAnswer | None:
        """The answer from an answers file, or None. Raises RequestRefused if it is an error."""
        return self._answer_or_raise(call, call.find_canned(call.model, self.turns(call))) if call.find_canned else None

    def _answer_or_raise(self, call: Call, canned: CannedAnswer | None) -> CannedAnswer | None:
        if canned is None or canned.error is None:
            return canned
        name = self.type_of(call)
        answered = answer_for_error(canned.error, name)
        if answered is None:
            raise RequestRefused(response_for_error(canned.error, self, name, call.model))
        return answered


def owner_of(call: Call, dialect: Dialect) -> tuple[str, str]:
    """Who sees the files and jobs of a call: everyone with the same key at the same endpoint. The provider, and a digest."""
    names = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
    key = " ".join((type(dialect).__name__, *(call.headers.get(name, "") for name in names)))
    key += call.query.get("key", "")
    return dialect.provider, hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def line_call(dialect: Dialect, job: Call, path: str, payload: Any) -> Call:
    """One request of a job, as if it had been sent to ``path`` with the headers of the call that made the job."""
    fields = frozenset(key for key, value in payload.items() if value is not None) if isinstance(payload, dict) else frozenset()
    headers = {name: value for name, value in job.headers.items() if name != "content-type"}
    call = dataclasses.replace(
        job, method="POST", path=path, query={}, headers=headers, body=b"", payload=payload, fields_sent=fields, fate=""
    )
    call.job_call, call.json_problem, call.deferred = "line", None, False
    call.stream = stream_switch(path, {}, {}, payload)
    call.model = dialect.model_of(call)
    return call


def run_line(dialect: Dialect, call: Call) -> Response:
    """The answer to a line, as the script says."""
    return dialect.answer(call) if call.answer_line is None else call.answer_line(dialect, call)


def stream_switch_of_other(request: HTTPRequest) -> str | None:
    """The part that asks for a stream in a request of no dialect. Ollama's own API streams unless ``stream`` is false."""
    try:
        payload = read_json(request.body) if request.method == "POST" else None
    except (ValueError, RecursionError):
        payload = None
    if request.path in ("/api/chat", "/api/generate") and isinstance(payload, dict) and payload.get("stream", True) is not False:
        return "stream"
    return stream_switch(request.path, request.query, request.headers, payload)


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """The token of ``Authorization: Bearer …``, or None."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def random_id(prefix: str, length: int) -> str:
    """A random id of ``length`` hexadecimal digits."""
    return f"{prefix}{random.getrandbits(length * 4):0{length}x}"


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


_DECODER = json.JSONDecoder(parse_constant=_reject_constant, parse_float=_finite_float)


def read_json(body: bytes) -> Any:
    """A JSON document, parsed as strictly as providers do (no NaN, UTF-8 only). Raises ValueError, RecursionError."""
    if not body.strip():
        raise ValueError("it is empty")
    try:
        return _DECODER.decode(body.decode())
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
