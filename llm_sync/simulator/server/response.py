"""Responses, and the two exceptions that end a call with an error response."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from llm_sync.simulator.server.delivery import Delivery
from llm_sync.simulator.server.file_body import FileBody

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
JSON_TYPE = (("content-type", "application/json"),)


class Response(NamedTuple):
    """A response. ``body``: bytes, a file, or a document to be written as JSON; ``tokens``: (input, output) that are billed.

    ``delivery``: how the response is sent; None: in one write. ``tier``: the service tier, on which the price depends.
    """

    status: int
    body: Any
    headers: tuple[tuple[str, str], ...] = JSON_TYPE
    tokens: tuple[int, int] | None = None
    delivery: Delivery | None = None
    tier: str = "default"

    def content(self) -> bytes:
        """The body as bytes."""
        if isinstance(self.body, FileBody):
            return self.body.read()
        if isinstance(self.body, bytes):
            return self.body
        try:
            return _ENCODER.encode(self.body).encode()
        except UnicodeEncodeError:  # a lone surrogate can only be written escaped
            return json.dumps(self.body, separators=(",", ":")).encode()


class RequestRefused(Exception):
    """Ends a call with an error response that was made for this case."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class ListedError(Exception):
    """Ends a call with an error of faults/error_table.py: ``kind`` is its name, ``details`` the values in its message."""

    def __init__(self, word: str, **named: object) -> None:
        super().__init__(word)
        self.kind = word
        self.details = named


def with_members(response: Response, members: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    """An error response with further members in its error object, or in its body if that is flat, and further headers;
    existing ones are replaced."""
    is_list = isinstance(response.body, list)  # some providers answer with a list that holds the error
    document: Any = response.body[0] if is_list else response.body
    flat = "error" not in document
    body = merge_members(document, members) if flat else {**document, "error": merge_members(document["error"], members)}
    return response._replace(body=[body] if is_list else body, headers=with_headers(response.headers, headers))


def with_headers(headers: Iterable[tuple[str, str]], replacing: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Headers with others added; those of the same name are replaced."""
    names = {name.lower() for name in replacing}
    return (*((name, value) for name, value in headers if name.lower() not in names), *replacing.items())


def merge_members(members: Mapping[str, Any], further: Mapping[str, Any]) -> dict[str, Any]:
    """Both mappings in one: lists are joined, mappings merged, other values replaced."""
    merged = dict(members)
    for name, value in further.items():
        existing = merged.get(name)
        if isinstance(existing, list) and isinstance(value, list):
            merged[name] = [*existing, *value]
        elif isinstance(existing, dict) and isinstance(value, dict):
            merged[name] = {**existing, **value}
        else:
            merged[name] = value
    return merged
