"""The formats of an input's lines: JSON objects, OpenAI batch requests, or plain text; table.py has rows of CSV."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, Protocol

from llm_sync.batch.input.source import Line, Source
from llm_sync.errors import InvalidRequestError
from llm_sync.models import ModelRequest, grammar

OPENAI_KEYS = frozenset({"custom_id", "method", "url", "body"})
REQUEST_FIELDS = frozenset(field.name for field in dataclasses.fields(ModelRequest))
_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]*)"')


NOT_AN_OBJECT = "Give one JSON object a line; plain prompts need --text (text=True)."
"""The guidance for a line that is not an object. If no line is one, they are probably plain prompts."""


_ONE_OBJECT = "Give one JSON object a line."


class LineFormat(Protocol):
    """Splits one input into records and reads them. ``openai``: results take the form of OpenAI's, too.

    ``settings``: what the prompt depends on beside the record itself, such as the template. ``request_fields``: the fields of a
    record that are no further ones, but the request's own.
    """

    openai: bool
    settings: Mapping[str, Any]
    request_fields: frozenset[str]

    def begin(self, source: Source) -> None:
        """Examine the first line. Raises InvalidRequestError if the input does not fit the format."""

    def records(self, source: Source) -> Iterator[Line]:
        """The records in order, without blank lines. A record is one line, or several lines of a table."""

    def at(self, source: Source, offset: int) -> bytes:
        """The content of the record at ``offset``."""

    def read(self, content: bytes) -> Mapping[str, Any]:
        """The fields in a record. Raises InvalidRequestError if it cannot be read."""

    def fields(self, content: bytes) -> Mapping[str, Any]:
        """Everything in a record that may be kept. Raises InvalidRequestError if it cannot be read."""

    def model(self, content: bytes) -> str | None:
        """The model that a record names, or None. Does not parse the record if it need not."""


class _Lines:
    """One record per line."""

    openai = False
    request_fields = REQUEST_FIELDS

    def __init__(self) -> None:
        self.settings: Mapping[str, Any] = {}

    def begin(self, source: Source) -> None:
        """Nothing to examine."""

    def records(self, source: Source) -> Iterator[Line]:
        """Every line that is not blank."""
        return (line for line in source.lines() if line.content.strip())

    def at(self, source: Source, offset: int) -> bytes:
        """The line at ``offset``."""
        return next(source.from_line(offset), b"")

    def model(self, content: bytes) -> str | None:  # noqa: ARG002  (a prompt may look like anything)
        """None: the format has no field for it."""
        return None


class TextLines(_Lines):
    """Every line is a prompt."""

    def __init__(self) -> None:
        self.settings: Mapping[str, Any] = {"text": True}

    def read(self, content: bytes) -> Mapping[str, Any]:
        """The prompt."""
        return {"prompt": decoded(bare(content))}

    def fields(self, content: bytes) -> Mapping[str, Any]:
        """The prompt."""
        return self.read(content)


class JSONLines(_Lines):
    """Every line is an object: the fields of a request, or an OpenAI batch request. The first line decides which."""

    def begin(self, source: Source) -> None:
        """Find out which of the two it is."""
        first = next(self.records(source), None)
        try:
            self.openai = first is not None and is_openai(_object(first.content))
        except InvalidRequestError:  # reported when the line is read
            self.openai = False
        self.request_fields = OPENAI_KEYS if self.openai else REQUEST_FIELDS

    def read(self, content: bytes) -> Mapping[str, Any]:
        """The object, checked to be of the same kind as the first line's."""
        line = _object(content)
        if self.openai and not is_openai(line):
            missing = ", ".join(sorted(OPENAI_KEYS - line.keys()))
            raise InvalidRequestError(f"an OpenAI batch request has no {missing}", guidance="Give every line all four.")
        if is_openai(line) and not self.openai:
            raise InvalidRequestError(
                "the line is an OpenAI batch request, the first line is not", guidance="Use one format per file."
            )
        return line

    def fields(self, content: bytes) -> Mapping[str, Any]:
        """The object."""
        return _object(content)

    def model(self, content: bytes) -> str | None:
        """Its ``model``, or its body's. Most lines are searched, not parsed."""
        if b"\\u" not in content:  # an escape could hide the key itself
            count = content.count(b'"model"')
            if not count:
                return None
            match = _MODEL.search(content) if count == 1 and content.count(b"{") == 1 else None
            if match is not None:
                return match[1].decode("utf-8", "replace")
        try:
            value: Any = json.loads(content)
            model = (value["body"] if is_openai(value) else value).get("model")
        except (ValueError, AttributeError, RecursionError):
            return None
        return model if isinstance(model, str) else None


def is_openai(line: Mapping[str, Any]) -> bool:
    """Whether an object is an OpenAI batch request."""
    return line.keys() >= OPENAI_KEYS


def bare(content: bytes) -> bytes:
    """A line without its line end: the part that is compared and hashed."""
    return content.removesuffix(b"\n").removesuffix(b"\r")


def decoded(content: bytes) -> str:
    """The text of a line. Raises InvalidRequestError if it is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(
            f"it is not UTF-8 (byte {error.start + 1} of the line)", guidance="Convert the file: iconv -t UTF-8"
        ) from None


def _object(content: bytes) -> dict[str, Any]:
    text = decoded(bare(content))
    try:
        value = _decode(text)
    except RecursionError:
        raise InvalidRequestError("the JSON is nested too deeply", guidance="Give a plain request object.") from None
    except ValueError as error:
        guidance = _ONE_OBJECT if text.lstrip().startswith(("{", "[")) else NOT_AN_OBJECT
        raise InvalidRequestError(f"it is not JSON: {error}", guidance=guidance) from None
    if not isinstance(value, dict):
        raise InvalidRequestError(f"it is {grammar.type_name(value)}, not an object", guidance=NOT_AN_OBJECT)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _decode(text: str) -> Any:
    """As json.loads, which makes a decoder for each call, and refuses a byte-order mark."""
    return json.loads(text) if text.startswith("\ufeff") else _DECODER.decode(text)
