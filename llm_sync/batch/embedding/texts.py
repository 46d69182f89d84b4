"""The texts of an input: lines, or objects with a text and an id, read one at a time, as often as needed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from llm_sync.batch.input.formats import NOT_AN_OBJECT, JSONLines, LineFormat, TextLines
from llm_sync.batch.input.json_document import as_json_lines
from llm_sync.batch.input.source import Input, Source, open_source
from llm_sync.errors import InvalidRequestError
from llm_sync.models.embeddings import check_embeddable
from llm_sync.models.grammar import type_name

_JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
_OBJECT = 'Write {"id": …, "text": …}.'
_TEXT_FIELDS = ("text", "input", "prompt")


class Text(NamedTuple):
    """One text of the input. ``position``: from 0; ``number``: of its line; ``key``: the hash of the text and of what it is
    embedded with; ``error``: what is wrong with it, then ``text`` is empty and ``key`` stands for the line."""

    position: int
    number: int
    key: int
    id: str | int | None
    text: str
    error: InvalidRequestError | None = None


def is_json(texts: Input, given: bool | None) -> bool:
    """Whether an input has objects: as the caller says, else by the ending of the file's name. An iterable always has."""
    if given is not None:
        return given
    if isinstance(texts, (str, os.PathLike)):
        return os.fspath(texts).lower().removesuffix(".gz").endswith(_JSON_ENDINGS)
    return not hasattr(texts, "read")


class Texts:
    """The texts of one input, which may be gone through again. ``settings``: part of each key; ``source``: the lines. One thread
    at a time.

    Raises OSError, InvalidRequestError for an input that cannot be read.
    """

    def __init__(self, given: Input, folder: str, settings: str, *, json: bool) -> None:
        self._settings = settings.encode() + b"\0"
        self._format: LineFormat = JSONLines() if json else TextLines()
        self._opened = opened = open_source(given, folder)
        try:
            opened.refuse_workbook()
            self.source: Source = as_json_lines(opened, folder) if json else opened
        except BaseException:
            opened.close()
            raise

    def __iter__(self) -> Iterator[Text]:
        for position, line in enumerate(self._format.records(self.source)):
            yield self._text(position, line.number, line.content)

    def _text(self, position: int, number: int, content: bytes) -> Text:
        try:
            return self._read(position, number, content)
        except InvalidRequestError as error:
            if error.guidance == NOT_AN_OBJECT:
                error.guidance = _OBJECT
            return Text(position, number, self._key(b"\1" + content), None, "", error)

    def _read(self, position: int, number: int, content: bytes) -> Text:
        values = self._format.read(content)
        name = next((name for name in _TEXT_FIELDS if name in values), None)
        if name is None:
            raise InvalidRequestError("the object has no text", guidance=_OBJECT)
        text, own_id = values[name], _id(values)
        check_embeddable(text, "the text")
        return Text(position, number, self._key(text.encode()), own_id, text)

    def _key(self, content: bytes) -> int:
        return int.from_bytes(blake2b(self._settings + content, digest_size=8).digest(), "big")

    def close(self) -> None:
        """Close the input."""
        with contextlib.suppress(OSError):
            self.source.close()
            self._opened.close()


def _id(values: Mapping[str, Any]) -> str | int | None:
    own_id = values.get("id", values.get("custom_id"))
    if own_id is not None and (isinstance(own_id, bool) or not isinstance(own_id, (str, int))):
        raise InvalidRequestError(f"the id is {type_name(own_id)}", guidance="Give a string or a whole number.")
    return own_id
