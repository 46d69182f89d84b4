"""Reads ``multipart/form-data``, the form of uploads, as strictly as the providers do."""

from __future__ import annotations

import re
from typing import NamedTuple

_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_PARAMETER = re.compile(r'(\w+\*?)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))')


class FormField(NamedTuple):
    """One field: its name, its bytes, and the name of the file, if it is one."""

    name: str
    content: bytes
    filename: str | None


def read_form(content_type: str, body: bytes) -> list[FormField]:
    """The fields of a form, in their order. Raises ValueError with the reason if it is not one."""
    boundary = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/form-data") or boundary is None:
        raise ValueError("the content type is not multipart/form-data with a boundary")
    delimiter = b"--" + (boundary[1] or boundary[2]).encode("latin-1", "replace")
    start = body.find(delimiter)
    if start < 0:
        raise ValueError("the boundary does not occur in the body")
    fields = []
    position = start + len(delimiter)
    while not body.startswith(b"--", position):
        if not body.startswith(b"\r\n", position):
            raise ValueError("a boundary line does not end in CR LF")
        end = body.find(b"\r\n" + delimiter, position)
        if end < 0:
            raise ValueError("the last boundary is missing")
        fields.append(_field(body, position + 2, end))
        position = end + 2 + len(delimiter)
    return fields


def _field(body: bytes, start: int, end: int) -> FormField:
    head_end = body.find(b"\r\n\r\n", start, end)
    if head_end < 0:
        raise ValueError("a part has no empty line after its headers")
    for line in body[start:head_end].decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            parameters = {key.lower(): quoted or plain for key, quoted, plain in _PARAMETER.findall(value)}
            if "name" in parameters:
                return FormField(parameters["name"], body[head_end + 4 : end], parameters.get("filename"))
    raise ValueError("a part has no name")
