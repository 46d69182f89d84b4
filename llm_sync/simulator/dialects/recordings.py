"""Recorded exchanges, each served under its own base URL: every request there gets the recorded response.

The folder holds files ``PROVIDER/NAME.json`` with ``dialect`` (openai, responses, anthropic, gemini, or models for a listing)
and ``response``: ``status``, ``headers``, ``body`` (a text, or a document) and ``raw_leading_whitespace``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

from llm_sync.errors import ConfigurationError, Problem
from llm_sync.simulator.answers.turns import Turn
from llm_sync.simulator.dialects.base import Call, Dialect
from llm_sync.simulator.server.http1 import HTTPRequest
from llm_sync.simulator.server.response import Response
from llm_sync.validation import ResponseValidator
from llm_sync.validation.document import printable
from llm_sync.validation.user_files import open_user_file

PREFIX = "/recorded"
MAX_PROBLEMS = 20
MAX_BYTES = 64 * 2**20  # of one exchange
_EXCHANGE: Mapping[str, Any] = {
    "dialect": {"type": "string", "required": True, "allowed": ["openai", "responses", "anthropic", "gemini", "models"]},
    "response": {
        "type": "dict",
        "required": True,
        "schema": {
            "status": {"type": "integer", "required": True, "min": 200, "max": 599},
            "headers": {"type": "dict", "nullable": True},
            "raw_leading_whitespace": {"type": "string", "nullable": True},
        },
    },
}
_BASES = {"anthropic": "", "gemini": "/v1beta"}  # the base path of other types ends in /v1
# Headers that belong to the recorded connection, or that this server writes itself.
_DROPPED = frozenset(
    {
        "alt-svc",
        "connection",
        "content-encoding",
        "content-length",
        "date",
        "keep-alive",
        "server",
        "set-cookie",
        "trailer",
        "transfer-encoding",
    }
)


class Recordings:
    """The exchanges of one folder, by name (``PROVIDER/NAME``). ``dialects``: the dialects by provider type."""

    def __init__(self, folder: str | os.PathLike[str], dialects: Mapping[str, Dialect]) -> None:
        """Raises ConfigurationError for all files that are no exchange, or if there is none."""
        self._recordings: dict[str, Recording] = {}
        name = printable(folder)
        problems: list[Problem] = []
        validator = ResponseValidator(_EXCHANGE)
        root = Path(folder)
        if not root.is_dir():
            problems.append(Problem("there is no such folder", file=name))
        for path in sorted(root.glob("*/*.json")):
            exchange, problem = _read_exchange(path, validator)
            if problem:
                problems.append(Problem(problem, file=printable(path)))
            else:
                title = path.relative_to(root).with_suffix("").as_posix()
                self._recordings[title] = Recording(title, exchange, dialects)
        if not problems and not self._recordings:
            problems.append(Problem("it contains no exchange", file=name, hint="exchanges are files named PROVIDER/NAME.json"))
        if problems:
            raise ConfigurationError(
                f"the recorded exchanges in {name} cannot be served",
                problems=tuple(problems[:MAX_PROBLEMS]),
                guidance="Nothing was started.",
            )

    def __iter__(self) -> Iterator[Recording]:
        return iter(self._recordings.values())

    def route(self, path: str) -> tuple[Dialect, str] | None:
        """The recording of a path, and the path after its base; None if there is no such recording."""
        parts = path.split("/", 4)
        if len(parts) < 4 or parts[1] != PREFIX[1:]:
            return None
        recording = self._recordings.get("/".join(parts[2:4]))
        return (recording, f"/{''.join(parts[4:])}".removeprefix(_BASES.get(recording.type, "/v1"))) if recording else None


class Recording(Dialect):
    """One exchange, as a dialect. ``type``: the provider type to configure; ``base``: the path of its base URL."""

    def __init__(self, title: str, exchange: Mapping[str, Any], dialects: Mapping[str, Dialect]) -> None:
        self.title = title
        self.type = _provider_type(title, exchange["dialect"])
        self.base = f"{PREFIX}/{quote(title)}{_BASES.get(self.type, '/v1')}"
        self._dialect = dialects[self.type]
        self.name, self.provider = self._dialect.name, self._dialect.provider
        self._response = response_of(exchange["response"])

    def parse(self, request: HTTPRequest, path: str, seed: int, accepts: Callable[[str], bool], models: Sequence[str]) -> Call:
        """As the recorded provider's dialect does."""
        return self._dialect.parse(request, path, seed, accepts, models)

    def key_of(self, call: Call) -> str | None:
        """As the recorded provider's dialect does."""
        return self._dialect.key_of(call)

    def turns(self, call: Call) -> list[Turn]:
        """As the recorded provider's dialect does."""
        return self._dialect.turns(call)

    def reply(self, _call: Call) -> Response:
        """The recorded response."""
        return self._response

    def refuse_stream(self, call: Call) -> NoReturn:
        """As the recorded provider's dialect does."""
        self._dialect.refuse_stream(call)

    def error(self, status: int, message: str) -> Response:
        """As the recorded provider's dialect does."""
        return self._dialect.error(status, message)

    def type_of(self, _call: Call) -> str:
        """The type of the recorded provider."""
        return self.type


def _read_exchange(path: Path, validator: ResponseValidator) -> tuple[dict[str, Any], str | None]:
    try:
        with open_user_file(path) as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            return {}, f"the file is over {MAX_BYTES >> 20} MiB"
        exchange = json.loads(content)
    except (ValueError, RecursionError):
        return {}, "not JSON"
    except OSError as error:
        return {}, f"cannot be read: {error.strerror}"
    wrong = "; ".join(str(field) for field in validator.check(exchange)[:3])
    return (exchange, wrong or None) if isinstance(exchange, dict) else ({}, wrong)


def _provider_type(title: str, dialect: str) -> str:
    """The provider type of a recording."""
    provider = title.partition("/")[0]
    if dialect == "models":
        return provider if provider in ("anthropic", "gemini", "openrouter") else "openai"
    if dialect == "openai" and provider == "openrouter":
        return "openrouter"
    return "openai-responses" if dialect == "responses" else dialect


def response_of(recorded: Mapping[str, Any]) -> Response:
    """The response that a recorded one is: without the headers of its connection."""
    body = recorded.get("body")
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body, ensure_ascii=False)
    content = ((recorded.get("raw_leading_whitespace") or "") + text).encode("utf-8", "surrogatepass")
    headers = {
        str(name): value
        for name, value in (recorded.get("headers") or {}).items()
        if isinstance(value, str) and str(name).lower() not in _DROPPED and not set("\r\n\0") & set(str(name) + value)
    }
    if not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = "application/json"
    return Response(recorded["status"], content, tuple(headers.items()))
