"""Files through an HTTPClient: a body that is read from a file while it is sent, a response that is written to one.

Both go in pieces, so that memory does not grow with the file. Deadline, abort, proxy and TLS are those of every exchange.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from llm_sync.models import Reply
from llm_sync.transport.fast_path import UnreadResponse
from llm_sync.transport.foreign_response import as_urllib3_response
from llm_sync.transport.framing import TooLargeError, read_capped

if TYPE_CHECKING:
    from requests import PreparedRequest

    from llm_sync.transport.exchange import Exchange
    from llm_sync.transport.targets import Target

_PIECE = 256 * 1024
_MAX_IN_MEMORY = 32 << 20  # of a response that is not written to a file, or that is an error


class FileBody:
    """A body of bytes and files, one after the other, as a multipart upload has it. Each file is sent from its beginning."""

    def __init__(self, *parts: bytes | BinaryIO) -> None:
        self._parts = parts
        self._size = sum(len(part) if isinstance(part, bytes) else part.seek(0, os.SEEK_END) for part in parts)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            part.seek(0)
            while piece := part.read(_PIECE):
                yield piece


class FileTransfer:
    """One exchange with files. ``body``: bytes, or bytes and files that are sent one after the other.

    ``into``: gets the body of a 2xx, at most ``max_bytes`` decoded bytes; the reply then has none.

    ``disk_error``: why ``into`` could not be written; it would be taken for an error of the network.
    """

    def __init__(self, body: bytes | tuple[bytes | BinaryIO, ...] | None, into: BinaryIO | None, max_bytes: int) -> None:
        self._body = FileBody(*body) if isinstance(body, tuple) else body
        self._into = into
        self._max_bytes = max_bytes
        self.disk_error: OSError | None = None

    def _prepared(self, target: Target, headers: Mapping[str, str]) -> PreparedRequest:
        body = self._body
        prepared = target.prepared(None if isinstance(body, FileBody) else body, headers)
        if isinstance(body, FileBody):
            pieces: Any = body
            prepared.body = pieces
            prepared.headers["Content-Length"] = str(len(body))
        return prepared

    def send(self, target: Target, headers: Mapping[str, str], exchange: Exchange, check_head: Callable[..., None]) -> Reply:
        """Send the request and read the reply. Raises what HTTPClient maps."""
        prepared = self._prepared(target, headers)
        response = target.session.send(prepared, allow_redirects=False, timeout=exchange.remaining(), **target.settings)
        raw, fields = UnreadResponse(as_urllib3_response(response.raw, response.headers), response.headers)
        try:
            exchange.phase = "body"
            check_head(raw.status, fields, exchange, target.origin)
            return Reply(raw.status, fields, self._read(raw), exchange.elapsed)
        except BaseException:
            raw.close()  # partly read: its connection cannot be used again
            raw.release_conn()
            raise

    def _read(self, response: Any) -> bytes:
        if self._into is None or response.status >= 300:
            return read_capped(response, _MAX_IN_MEMORY)
        written = 0
        while piece := response.read1(_PIECE, decode_content=True):
            written += len(piece)
            if written > self._max_bytes:
                raise TooLargeError(response.status)
            try:
                self._into.write(piece)
            except OSError as error:
                self.disk_error = error
                raise
        return b""
