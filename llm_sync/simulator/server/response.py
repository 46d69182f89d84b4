"""What goes back for a request, and the two ways to end a call with an error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from llm_sync.simulator.server.delivery import Delivery

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
JSON_TYPE = (("content-type", "application/json"),)


class Response(NamedTuple):
    """What goes back. ``body``: bytes as they are, or a document to be written as JSON; ``tokens``: (input, output) billed.

    ``delivery``: how it travels, where that is not the usual way.
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
            return _ENCODER.encode(self.body).encode()
        except UnicodeEncodeError:  # a lone surrogate that came in escaped goes out escaped
            return json.dumps(self.body, separators=(",", ":")).encode()


class Refusal(Exception):
    """Ends a call with an error response, made for this one case."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class KnownError(Exception):
    """Ends a call with an error of the table in errors.py: its word, and what its message names in place of the usual."""

    def __init__(self, word: str, **named: object) -> None:
        super().__init__(word)
        self.word = word
        self.named = named


def with_members(response: Response, members: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    """An error response with further members in its error object and further headers; those there are replaced."""
    listed = isinstance(response.body, list)  # some answer with a list of one error
    found: Any = response.body[0] if listed else response.body
    body = {**found, "error": merged(found["error"], members)}
    return response._replace(body=[body] if listed else body, headers=with_headers(response.headers, headers))


def with_headers(headers: Iterable[tuple[str, str]], more: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Headers, those of the same name replaced."""
    names = {name.lower() for name in more}
    return (*((name, value) for name, value in headers if name.lower() not in names), *more.items())


def merged(members: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Lists grow, mappings are merged, all else is replaced."""
    found = dict(members)
    for name, value in more.items():
        before = found.get(name)
        if isinstance(before, list) and isinstance(value, list):
            found[name] = [*before, *value]
        elif isinstance(before, dict) and isinstance(value, dict):
            found[name] = {**before, **value}
        else:
            found[name] = value
    return found
