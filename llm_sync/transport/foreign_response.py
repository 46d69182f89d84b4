"""Responses that a test tool plays in the place of urllib3's own: vcrpy's can be read, but only as files can."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import urllib3

_GZIP = b"\x1f\x8b"


def as_urllib3_response(raw: Any, headers: Mapping[str, str]) -> Any:
    """``raw`` as a response whose body urllib3 reads and decodes; unchanged if it is one."""
    if isinstance(raw, urllib3.HTTPResponse):
        return raw
    content: bytes = raw.read()
    names = {name: value for name, value in headers.items() if name.lower() != "transfer-encoding"}
    if not content.startswith(_GZIP):  # cassettes may hold the body decoded, and the header as it was
        names = {name: value for name, value in names.items() if name.lower() != "content-encoding"}
    return urllib3.HTTPResponse(io.BytesIO(content), headers=names, status=raw.status, preload_content=False)
