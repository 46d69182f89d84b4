"""The source of a batch's lines: any input as a file in which a line can be read again by its offset."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import io
import json
import numbers
import os
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, NamedTuple

from llm_sync.errors import InvalidRequestError
from llm_sync.models import Message, ModelRequest, Part, grammar
from llm_sync.models.documents import data_url, load_file
from llm_sync.models.media import Media

_CHUNK = 1 << 20
_BUFFER = 1 << 16  # bytes read at once: the providers mostly read lines near each other
_BOM = b"\xef\xbb\xbf"
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"  # .xlsx and .ods; .xls

Input = str | os.PathLike[str] | IO[bytes] | IO[str] | Iterable[Any]


class Line(NamedTuple):
    """One line: its offset in the source, its number in the input (from 1), and its bytes with the line end."""

    offset: int
    number: int
    content: bytes


class Source:
    """The lines of one input. An input that cannot be read twice (a pipe, gzip, an iterable) is first copied to an unnamed file.

    ``name`` and ``unit``, the word for a line, are used in messages. One thread at a time. Raises OSError if the file
    cannot be read.
    """

    def __init__(self, file: IO[bytes], name: str, *, unit: str = "line") -> None:
        self._file = file
        self.name = name
        self.unit = unit

    def lines(self) -> Iterator[Line]:
        """Every line, blank ones included, without the byte-order mark that some editors write."""
        self._file.seek(0)
        offset = number = 0
        while content := self._file.readline():
            number += 1
            yield Line(offset, number, content if offset else content.removeprefix(_BOM))
            offset += len(content)

    def from_line(self, offset: int) -> Iterator[bytes]:
        """The lines from the one at ``offset`` on. The iterator is valid until the next call of any method."""
        self._file.seek(offset)
        while content := self._file.readline():
            yield content if offset else content.removeprefix(_BOM)
            offset = -1

    def refuse_workbook(self) -> None:
        """Raise InvalidRequestError if the file is no text but a spreadsheet program's own."""
        self._file.seek(0)
        beginning = self._file.read(4)
        if beginning in (_ZIP, _OLE):
            is_excel = beginning == _OLE or self.name.casefold().rstrip("'\"").endswith((".xlsx", ".xlsm"))
            what = "an Excel workbook" if is_excel else "a zip file or a workbook"
            guidance = "Save it as CSV UTF-8, and give a --template (template=…)."
            raise InvalidRequestError(f"{self.name} is {what}", guidance=guidance)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_source(given: Input, folder: str) -> Source:
    """The source for a path (gzip by its name), ``-`` for standard input, an open file, or an iterable.

    An iterable yields ModelRequests, mappings of their fields, or prompts. ``folder``: for copies.
    Raises OSError, InvalidRequestError.
    """
    if isinstance(given, (str, os.PathLike)):
        path = os.fspath(given)
        if path == "-":
            return Source(unnamed_copy(_standard_input(), folder), "standard input")
        return _file_source(path, folder)
    if isinstance(given, io.TextIOBase) or hasattr(given, "read"):
        name = getattr(given, "name", None)
        return Source(unnamed_copy(_byte_chunks(given), folder), repr(name) if isinstance(name, str) else "the input")
    if isinstance(given, (bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidRequestError(
            f"a batch's input is {grammar.type_name(given)}", guidance="Give a path, an open file, or an iterable of requests."
        )
    return Source(unnamed_copy((_as_line(index, item) for index, item in enumerate(given)), folder), "the input")


def _file_source(path: str, folder: str) -> Source:
    file = open(path, "rb", buffering=_BUFFER)  # noqa: SIM115  (the source closes it)
    try:
        if path.endswith(".gz"):
            with file:
                return Source(unnamed_copy(_unzipped(file, path), folder), repr(path))
        if not file.seekable():  # a named pipe, a process substitution
            with file:
                return Source(unnamed_copy(iter(lambda: file.read(_CHUNK), b""), folder), repr(path))
    except BaseException:
        file.close()
        raise
    return Source(file, repr(path))


def unzipped(path: str, folder: str) -> IO[bytes]:
    """An unnamed file with the content of a gzip file. Raises OSError if that is not gzip, or damaged."""
    with open(path, "rb") as file:
        return unnamed_copy(_unzipped(file, path), folder)


def _unzipped(file: IO[bytes], path: str) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=file) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise OSError(0, f"it is not a complete gzip file ({error})", path) from None


def _standard_input() -> Iterator[bytes]:
    if sys.stdin is None:
        raise OSError(0, "standard input is closed")
    return iter(lambda: sys.stdin.buffer.read(_CHUNK), b"")


def _byte_chunks(file: Any) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk.encode("utf-8", "surrogatepass") if isinstance(chunk, str) else chunk


def unnamed_copy(chunks: Iterable[bytes], folder: str) -> IO[bytes]:
    """An unnamed file with this content, at its beginning. The system deletes it even if the process is killed."""
    # In the output's folder, which needs room for the answers, too.
    copy: IO[bytes] = tempfile.TemporaryFile(dir=folder, buffering=_BUFFER)  # noqa: SIM115  (the source closes it)
    try:
        for chunk in chunks:
            copy.write(chunk)
        copy.flush()
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy


def _as_line(index: int, item: Any) -> bytes:
    if isinstance(item, str):
        item = {"prompt": item}
    if isinstance(item, ModelRequest):
        item = _fields(item)
    if not isinstance(item, Mapping):
        raise InvalidRequestError(
            f"request {index} is {grammar.type_name(item)}", guidance="Give ModelRequests, mappings of their fields, or prompts."
        )
    try:
        return json.dumps(item, ensure_ascii=False, default=_json_value).encode("utf-8", "surrogatepass") + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequestError(f"request {index} cannot be written as JSON: {error}") from None


def _fields(request: ModelRequest) -> dict[str, Any]:
    """The fields of a request that are set."""
    return {
        field.name: value
        for field in dataclasses.fields(request)
        if (value := getattr(request, field.name)) not in (None, (), {})
    }


def _json_value(value: Any) -> Any:
    """What stands for a value that JSON has no form for. Raises TypeError."""
    if isinstance(value, Message):
        derived = ("content", "images") if value.parts else ()
        set_fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.name not in derived}
        return {name: part for name, part in set_fields.items() if part not in (None, (), False)}
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Media, Part)):
        return dict(vars(value))
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, numbers.Integral):  # numpy's and pandas' are no int and no float
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, Part):
        return value.to_dict()
    if isinstance(value, (bytes, Media)):
        return data_url(load_file(value))
    with contextlib.suppress(TypeError):
        return os.fspath(value)
    raise TypeError(f"{grammar.type_name(value)} is not JSON")
