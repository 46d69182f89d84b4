"""What every dialect of the simulator has: a call to answer, keys to hold it against, refusals in its own shape."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from llm_sync.simulator.http1 import HTTPRequest
from llm_sync.simulator.streams import stream_switch

if TYPE_CHECKING:
    from llm_sync.simulator.behaviour.deliveries import Delivery

JSON_TYPE = (("content-type", "application/json"),)


class Response(NamedTuple):
    """What goes back. ``body``: bytes as they are, or a document to be written as JSON; ``tokens``: (input, output) billed.

    ``delivery``: how a script lets it travel, where that is not the usual way.
    """

    status: int
    body: Any
    headers: tuple[tuple[str, str], ...] = JSON_TYPE
    tokens: tuple[int, int] | None = None
    delivery: Delivery | None = None

    def content(self) -> bytes:
        """The body's bytes."""
        if isinstance(self.body, bytes):
            return self.body
        try:
            return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:  # a lone surrogate that came in escaped goes out escaped
            return json.dumps(self.body, separators=(",", ":")).encode()


class Refusal(Exception):
    """Ends a call with an error response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass
class Call:
    """One request on its way through one dialect. ``path`` is what follows the dialect's base URL, with its slash."""

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
    sent: frozenset[str] = field(default_factory=frozenset)


class Dialect:
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
        call.stream = stream_switch(call.path, call.query, call.payload)
        call.model = self.model_of(call)
        return call

    def answer(self, call: Call) -> Response:
        """The response, whichever way it ends."""
        try:
            if call.stream:
                self.refuse_stream(call)
            return self.reply(call)
        except Refusal as refusal:
            return refusal.response

    def model_of(self, call: Call) -> str:
        """The model asked for, "" where none is readable."""
        model = call.payload.get("model") if isinstance(call.payload, dict) else None
        return model if isinstance(model, str) else ""

    def key_of(self, call: Call) -> str | None:
        """The key the caller showed, or None."""
        return bearer(call.headers)

    def reply(self, call: Call) -> Response:
        """Answers a call that asks for no stream; may raise Refusal."""
        raise NotImplementedError

    def refuse_stream(self, call: Call) -> NoReturn:
        """Raises the Refusal of a stream, 400."""
        raise NotImplementedError

    def error(self, status: int, message: str) -> Response:
        """An error about no parameter (nested too deeply, the simulator's own fault) in this dialect's shape."""
        raise NotImplementedError


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of ``Authorization: Bearer …``, or None."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def unknown_model(name: str) -> bool:
    """Names no model is listed under are served, so that any configuration can be rehearsed; these are not."""
    return "no-such" in name or "does-not-exist" in name


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
