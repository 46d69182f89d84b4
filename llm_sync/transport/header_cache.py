"""Request heads (request line and headers) as requests and urllib3 wrote them, kept to send again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm_sync.errors import ConfigurationError

MAX_HEADS = 16  # kept for one URL; keys change when tokens are renewed


class HeaderCache:
    """The heads of requests to one URL, each in two parts: the Content-Length of a body goes between them."""

    def __init__(self) -> None:
        self._heads: dict[tuple[tuple[str, str], ...], tuple[bytes, bytes]] = {}  # by the caller's headers

    def get(self, headers: Mapping[str, str]) -> tuple[bytes, bytes] | None:
        """The head that was sent before for these headers; None if there is none."""
        return self._heads.get(tuple(headers.items()))

    def store(self, headers: Mapping[str, str], requested: Mapping[str, str], body: bytes | None, head: bytes) -> None:
        """Keep ``head``, sent for ``headers`` and ``body``, if it contains exactly the ``requested`` headers and Host.

        A trace id or a signature added by another layer is valid for that one request only.
        """
        if not _contains_only(requested, head):
            return
        parts = head.split(content_length_line(body))
        if len(parts) == 2:
            if len(self._heads) >= MAX_HEADS:
                self._heads.clear()
            self._heads[tuple(headers.items())] = (parts[0], parts[1])


def _contains_only(requested: Mapping[str, str], head: bytes) -> bool:
    """Whether a head is complete and its headers are the ``requested`` ones and Host."""
    lines, end, rest = head.partition(b"\r\n\r\n")
    parsed = [line.partition(":") for line in lines.decode("latin-1").split("\r\n")[1:]]
    sent = {name.lower(): value.strip() for name, _, value in parsed}
    sent.pop("host", None)
    expected = {name.lower(): str(value).strip() for name, value in requested.items() if name.lower() != "host"}
    return bool(end) and not rest and sent == expected


def content_length_line(body: bytes | None) -> bytes:
    """The bytes between the two parts of a head: the Content-Length header, or, without a body, the blank line."""
    return b"\r\n\r\n" if body is None else b"\r\nContent-Length: %d\r\n" % len(body)


def check_headers(headers: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for characters that http.client accepts but servers may take for a new line."""
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[^\t\x20-\x7e\xa0-\xff]", str(value)):
            raise ConfigurationError(
                f"the header {name[:80]!r} contains characters that HTTP does not allow",
                guidance="Use printable ASCII in header names and values.",
            )
