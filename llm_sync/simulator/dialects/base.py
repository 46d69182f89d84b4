"""The base of all dialects of the simulator: the parsed call, authentication, and errors in the dialect's form."""

from __future__ import annotations

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
from llm_sync.simulator.server.http1 import HTTPRequest
from llm_sync.simulator.server.response import ListedError, RequestRefused, Response

FindAnswer = Callable[[str, Sequence[Turn]], CannedAnswer | None]


@dataclass
class Call:
    """One request, as a dialect parsed it. ``path`` is the path after the dialect's base URL, with its slash.

    ``find_replayed`` and ``find_canned`` look an answer up by model and turns: the first before the request is checked (the
    provider has accepted it once), the second afterwards. ``find_stored`` looks a stored reply up by provider type, model and
    payload; ``missing_stored`` says by the model what to answer without one (None: answer as usual). ``accepts`` tells whether a
    key is valid.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    seed: int
    accepts: Callable[[str], bool]
    models: Sequence[str]
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


class Dialect(ABC):
    """One provider API: checks a call as the provider does, then answers it. Stateless and thread-safe."""

    name: str
    provider: str

    def parse(self, request: HTTPRequest, path: str, seed: int, accepts: Callable[[str], bool], models: Sequence[str]) -> Call:
        """The request as a Call. Never raises: mistakes are noted in the call."""
        call = Call(request.method, path, request.query, request.headers, seed, accepts, models)
        if request.method == "POST":
            try:
                call.payload = read_json(request.body)
            except (ValueError, RecursionError) as error:
                call.json_problem = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
            if isinstance(call.payload, dict):
                call.fields_sent = frozenset(key for key, value in call.payload.items() if value is not None)
        call.stream = stream_switch(call.path, call.query, call.headers, call.payload)
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
