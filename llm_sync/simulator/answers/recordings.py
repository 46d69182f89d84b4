"""Recorded exchanges, each served under a base URL of its own: whatever is asked there gets the response once recorded.

A folder holds ``PROVIDER/NAME.json`` with ``dialect`` (openai, responses, anthropic, gemini, or models for a listing) and
``response``: ``status``, ``headers``, ``body`` (a text as it came, or a document) and ``raw_leading_whitespace``.
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

PREFIX = "/recorded"
MOST_PROBLEMS = 20
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
_BASES = {"anthropic": "", "gemini": "/v1beta"}  # others end in /v1
# What belongs to the connection of then, and what this server writes itself.
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
    """The exchanges of one folder, by name (``PROVIDER/NAME``). ``doors``: the dialects by the types of configurations."""

    def __init__(self, folder: str | os.PathLike[str], doors: Mapping[str, Dialect]) -> None:
        """ConfigurationError with every file that is no exchange, or where there is none."""
        self._recordings: dict[str, Recording] = {}
        name = printable(folder)
        problems: list[Problem] = []
        validator = ResponseValidator(_EXCHANGE)
        root = Path(folder)
        if not root.is_dir():
            problems.append(Problem("there is no such folder", file=name))
        for path in sorted(root.glob("*/*.json")):
            exchange, why = _read(path, validator)
            if why:
                problems.append(Problem(why, file=printable(path)))
            else:
                title = path.relative_to(root).with_suffix("").as_posix()
                self._recordings[title] = Recording(title, exchange, doors)
        if not problems and not self._recordings:
            problems.append(Problem("no exchange is in it", file=name, hint="they are files named PROVIDER/NAME.json"))
        if problems:
            raise ConfigurationError(
                f"the recorded exchanges in {name} cannot be served",
                problems=tuple(problems[:MOST_PROBLEMS]),
                guidance="Nothing was started.",
            )

    def __iter__(self) -> Iterator[Recording]:
        return iter(self._recordings.values())

    def route(self, path: str) -> tuple[Dialect, str] | None:
        """The recording a path asks for, and what follows its base; None for a path of none."""
        parts = path.split("/", 4)
        if len(parts) < 4 or parts[1] != PREFIX[1:]:
            return None
        recording = self._recordings.get("/".join(parts[2:4]))
        return (recording, f"/{''.join(parts[4:])}".removeprefix(_BASES.get(recording.type, "/v1"))) if recording else None


class Recording(Dialect):
    """One exchange. ``type``: what a configuration that asks it says; ``base``: the path its base URL ends in."""

    def __init__(self, title: str, exchange: Mapping[str, Any], doors: Mapping[str, Dialect]) -> None:
        self.title = title
        self.type = _type(title, exchange["dialect"])
        self.base = f"{PREFIX}/{quote(title)}{_BASES.get(self.type, '/v1')}"
        self._door = doors[self.type]
        self.name, self.provider = self._door.name, self._door.provider
        self._response = _response(exchange["response"])

    def open(self, request: HTTPRequest, path: str, seed: int, accepts: Callable[[str], bool], models: Sequence[str]) -> Call:
        """As the dialect it was recorded of reads it."""
        return self._door.open(request, path, seed, accepts, models)

    def key_of(self, call: Call) -> str | None:
        """The dialect's."""
        return self._door.key_of(call)

    def turns(self, call: Call) -> list[Turn]:
        """The dialect's."""
        return self._door.turns(call)

    def reply(self, _call: Call) -> Response:
        """What was recorded."""
        return self._response

    def refuse_stream(self, call: Call) -> NoReturn:
        """The dialect's."""
        self._door.refuse_stream(call)

    def error(self, status: int, message: str) -> Response:
        """The dialect's."""
        return self._door.error(status, message)

    def called(self, _call: Call) -> str:
        """The type it was recorded of."""
        return self.type


def _read(path: Path, validator: ResponseValidator) -> tuple[dict[str, Any], str | None]:
    try:
        exchange = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}, "not JSON"
    except OSError as error:
        return {}, f"cannot be read: {error.strerror}"
    wrong = "; ".join(str(field) for field in validator.check(exchange)[:3])
    return (exchange, wrong or None) if isinstance(exchange, dict) else ({}, wrong)


def _type(title: str, dialect: str) -> str:
    """The type that speaks to whoever was recorded."""
    maker = title.partition("/")[0]
    if dialect == "models":
        return maker if maker in ("anthropic", "gemini", "openrouter") else "openai"
    if dialect == "openai" and maker == "openrouter":
        return "openrouter"
    return "openai-responses" if dialect == "responses" else dialect


def _response(found: Mapping[str, Any]) -> Response:
    body = found.get("body")
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body, ensure_ascii=False)
    content = ((found.get("raw_leading_whitespace") or "") + text).encode("utf-8", "surrogatepass")
    headers = {
        str(name): value
        for name, value in (found.get("headers") or {}).items()
        if isinstance(value, str) and str(name).lower() not in _DROPPED and not set("\r\n\0") & set(str(name) + value)
    }
    if not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = "application/json"
    return Response(found["status"], content, tuple(headers.items()))
