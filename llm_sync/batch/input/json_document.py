"""A JSON document as a batch's input: an array, or objects over several lines, read as one request each."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any

from llm_sync.batch.input.source import Source, unnamed_copy
from llm_sync.errors import InvalidRequestError

_CHUNK = 1 << 16  # characters
_NEAR_END = 16  # characters that a token cut off by the end of a chunk may have, strings excepted


def as_json_lines(source: Source, folder: str) -> Source:
    """The source itself; if it is a JSON document, another one with a line for each of its values.

    A document is an array, or begins with an object over several lines. Raises InvalidRequestError if an array is damaged.
    """
    if not _is_document(source):
        return source
    return Source(unnamed_copy(_lines(source), folder), source.name, unit="request")


def _is_document(source: Source) -> bool:
    first = next((line.content.strip() for line in source.lines() if line.content.strip()), b"")
    if first[:1] not in (b"[", b"{"):
        return False
    try:
        value: Any = json.loads(first)
    except (ValueError, RecursionError):
        if first[:1] == b"[":
            return True
    else:
        filled = (line for line in source.lines() if line.content.strip())
        # One line of its own. Arrays on several lines are no document, but as many mistakes.
        return isinstance(value, list) and next(filled, None) is not None and next(filled, None) is None
    try:
        next(_values(source), None)  # a first line that is only damaged fails here, and is reported when it is read
    except InvalidRequestError:
        return False
    return True


def _lines(source: Source) -> Iterator[bytes]:
    for value in _values(source):
        request = {"prompt": value} if isinstance(value, str) else value
        yield json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _values(source: Source) -> Iterator[Any]:
    """The elements of the arrays and the other values of a text, one after another; a whole value at a time is in memory."""
    reader = _Reader(source)
    within = False
    while (character := reader.next_character()) is not None:
        if character == "[" and not within:
            within = True
        elif character == "]" and within:
            within = False
        elif character == "," and within:
            pass
        else:
            yield reader.value()
            continue
        reader.skip()
    if within:
        raise reader.damaged("the array has no end")


class _Reader:
    """A text of JSON values, read in chunks."""

    def __init__(self, source: Source) -> None:
        self._name = source.name
        self._chunks = _decoded(source)
        self._text = ""
        self._at = 0
        self._line = 1  # of the beginning of the text in memory
        self._decoder = json.JSONDecoder()

    def next_character(self) -> str | None:
        """The next character that is not blank; None at the end."""
        while True:
            while self._at < len(self._text):
                if not self._text[self._at].isspace():
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return None

    def skip(self) -> None:
        """Go past the next character."""
        self._at += 1

    def value(self) -> Any:
        """The next value. Raises InvalidRequestError."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except RecursionError:  # noqa: PERF203  (few pieces have no whole value)
                raise self.damaged("it is nested too deeply") from None
            except ValueError as error:
                position, reason = getattr(error, "pos", self._at), getattr(error, "msg", str(error))
                cut_off = reason.startswith("Unterminated") or position >= len(self._text) - _NEAR_END
                damage = self.damaged(reason, position)  # now: reading more moves the positions
                if not (cut_off and self._more()):
                    raise damage from None
            else:
                if end < len(self._text) or not self._more():  # a number may go on
                    self._at = end
                    return value

    def damaged(self, reason: str, position: int | None = None) -> InvalidRequestError:
        """The error for a text that is no JSON at a position."""
        line = self._line + self._text.count("\n", 0, self._at if position is None else position)
        return InvalidRequestError(
            f"{self._name} is a JSON document with a mistake in line {line}: {reason}",
            guidance="Mend it, or give one JSON object a line.",
        )

    def _more(self) -> bool:
        """Read as much again, so that long values take no time in the square of their length."""
        if self._at:
            self._line += self._text.count("\n", 0, self._at)
            self._text, self._at = self._text[self._at :], 0
        pieces, size = [self._text], 0
        while size < max(_CHUNK, len(self._text)):
            chunk = next(self._chunks, "")
            if not chunk:
                break
            pieces.append(chunk)
            size += len(chunk)
        self._text = "".join(pieces)
        return size > 0


def _decoded(source: Source) -> Iterator[str]:
    """The text. Raises InvalidRequestError if it is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for line in source.lines():
        try:
            yield decoder.decode(line.content)
        except UnicodeDecodeError:  # noqa: PERF203  (a document is read once)
            raise InvalidRequestError(
                f"line {line.number} of {source.name} is not UTF-8", guidance="Convert the file: iconv -t UTF-8"
            ) from None
