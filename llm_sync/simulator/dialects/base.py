"""What every dialect of the simulator has: a call to answer, keys to hold it against, refusals in its own shape."""

from __future__ import annotations

import json
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from llm_sync.simulator.answers.generated import Asked
from llm_sync.simulator.answers.given import Given
from llm_sync.simulator.answers.turns import Turn
from llm_sync.simulator.dialects.streaming_requests import stream_switch
from llm_sync.simulator.faults.error_responses import as_answer, refusal, response_to
from llm_sync.simulator.server.http1 import HTTPRequest
from llm_sync.simulator.server.response import KnownError, Refusal, Response

Source = Callable[[str, Sequence[Turn]], Given | None]


@dataclass
class Call:
    """One request on its way through one dialect. ``path`` is what follows the dialect's base URL, with its slash.

    ``recall`` is asked before the request is checked (what it knows, the provider once accepted), ``look_up`` after; both get
    model and turns.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    seed: int
    accepts: Callable[[str], bool]
    models: Sequence[str]
    payload: Any = None
    problem: str | None = None  # why the body is not JSON, when it is not
    stream: str | None = None  # what asks for a stream, when something does
    model: str = ""
    deployment: str | None = None  # Azure's name for a model, where it stands in the path; "": the path leads nowhere
    sent: frozenset[str] = field(default_factory=frozenset)
    recall: Source | None = None
    look_up: Source | None = None


class Dialect(ABC):
    """One door: checks a call as its provider does, then answers it. Stateless; any thread may use it."""

    name: str
    provider: str

    def open(self, request: HTTPRequest, path: str, seed: int, accepts: Callable[[str], bool], models: Sequence[str]) -> Call:
        """The request as a Call; never raises, whatever came."""
        call = Call(request.method, path, request.query, request.headers, seed, accepts, models)
        if request.method == "POST":
            try:
                call.payload = read_json(request.body)
            except (ValueError, RecursionError) as error:
                call.problem = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
            if isinstance(call.payload, dict):
                call.sent = frozenset(key for key, value in call.payload.items() if value is not None)
        call.stream = stream_switch(call.path, call.query, call.headers, call.payload)
        call.model = self.model_of(call)
        return call

    def answer(self, call: Call) -> Response:
        """The response, whichever way it ends."""
        try:
            if call.stream:
                self.refuse_stream(call)
            return self.reply(call)
        except Refusal as refused:
            return refused.response
        except KnownError as error:
            return self.refused(call, error)

    def refused(self, call: Call, error: KnownError) -> Response:
        """An error of the table in this dialect's words."""
        return refusal(error.word, self, self.called(call), names={"model": call.model, **error.named})

    def model_of(self, call: Call) -> str:
        """The model asked for, "" where none is readable."""
        model = call.payload.get("model") if isinstance(call.payload, dict) else None
        return model if isinstance(model, str) else ""

    def key_of(self, call: Call) -> str | None:
        """The key the caller showed, or None."""
        return bearer(call.headers)

    @abstractmethod
    def reply(self, call: Call) -> Response:
        """Answers a call that asks for no stream; may raise Refusal and KnownError."""

    @abstractmethod
    def refuse_stream(self, call: Call) -> NoReturn:
        """Raises the Refusal of a stream, 400."""

    @abstractmethod
    def turns(self, call: Call) -> list[Turn]:
        """What the payload says, read before it is checked."""

    @abstractmethod
    def error(self, status: int, message: str) -> Response:
        """An error about no parameter (nested too deeply, the simulator's own fault) in this dialect's shape."""

    def called(self, _call: Call) -> str:
        """What a configuration calls what was asked."""
        return self.name

    def recalled(self, call: Call) -> Asked | None:
        """The request a replayed run has an answer to, with that answer given. Raises Refusal where it is an error."""
        if call.recall is None:
            return None
        turns = self.turns(call)
        given = self._said(call, call.recall(call.model, turns))
        return Asked(self.name, call.model, turns, None, given=given) if given else None

    def told(self, call: Call) -> Given | None:
        """What the simulator was told to say to this request. Raises Refusal where that is an error."""
        return self._said(call, call.look_up(call.model, self.turns(call))) if call.look_up else None

    def _said(self, call: Call, given: Given | None) -> Given | None:
        if given is None or given.failure is None:
            return given
        name = self.called(call)
        answered = as_answer(given.failure, name)
        if answered is None:
            raise Refusal(response_to(given.failure, self, name, call.model))
        return answered


def stream_beside(request: HTTPRequest) -> str | None:
    """What asks for a stream in a request that no dialect takes; Ollama's own API streams unless it is told not to."""
    try:
        payload = read_json(request.body) if request.method == "POST" else None
    except (ValueError, RecursionError):
        payload = None
    if request.path in ("/api/chat", "/api/generate") and isinstance(payload, dict) and payload.get("stream", True) is not False:
        return "stream"
    return stream_switch(request.path, request.query, request.headers, payload)


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of ``Authorization: Bearer …``, or None."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def token(prefix: str, length: int) -> str:
    """A fresh id."""
    return f"{prefix}{random.getrandbits(length * 4):0{length}x}"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def read_json(body: bytes) -> Any:
    """The document, read as strictly as providers do (no NaN, UTF-8 only). Raises ValueError, RecursionError."""
    if not body.strip():
        raise ValueError("it is empty")
    try:
        return _DECODER.decode(body.decode())
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
