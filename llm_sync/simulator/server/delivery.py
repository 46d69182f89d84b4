"""Faulty deliveries: ways to send a response other than in one write.

Each sends one response and returns whether the connection stays open.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from llm_sync.simulator.server.file_body import FileBody
from llm_sync.simulator.server.http1 import Connection, render_head

WHITESPACE = "\n         \n"  # sent by OpenRouter while it waits for its upstream
_WRITES_PER_SECOND = 50


@dataclass
class Outgoing:
    """A response to be sent, and what a delivery needs to send it.

    ``pause`` waits for some seconds and returns true if the simulator is stopping. ``close_record`` completes the log record; it
    is called before the last bytes are sent, so that a client that has them finds the record complete. ``refuse_connections``
    closes the listener for some seconds.
    """

    connection: Connection
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    keep_alive: bool
    pause: Callable[[float], bool]
    close_record: Callable[[], None]
    refuse_connections: Callable[[float], None]

    def head(self, *framing: str) -> bytes:
        """Status line and headers; without ``framing``, with the Content-Length of the body."""
        return render_head(
            self.status, self.headers, *(framing or (f"content-length: {len(self.body)}",)), keep_alive=self.keep_alive
        )

    def write_last(self, content: bytes) -> None:
        """Writes the last bytes, after completing the log record."""
        self.close_record()
        self.connection.write(content)


class Delivery(Protocol):
    """A way to send a response."""

    @property
    def billed(self) -> bool:
        """Whether the answer is billed when it is sent this way."""

    @property
    def sends_status(self) -> bool:
        """Whether the client gets the status."""

    def __call__(self, out: Outgoing) -> bool:
        """Sends the response; true if the connection may serve another request. Raises OSError if the client has disconnected."""


class FromFile(NamedTuple):
    """No fault: a body that is read from a file while it is sent."""

    body: FileBody
    billed: bool = True
    sends_status: bool = True

    def __call__(self, out: Outgoing) -> bool:
        """Completes the record before the first byte: a client that has the last one finds it complete."""
        out.close_record()
        out.connection.write(out.head(f"content-length: {self.body.size}"))
        for piece in self.body.pieces():
            out.connection.write(piece)
        return out.keep_alive


class Drip(NamedTuple):
    """A few bytes at a time: the whole response, or the body only."""

    bytes_per_second: float
    from_body: bool
    billed: bool = True
    sends_status: bool = True

    def __call__(self, out: Outgoing) -> bool:
        """Ends early when the simulator stops."""
        head = out.head()
        if self.from_body:
            out.connection.write(head)
        content = out.body if self.from_body else head + out.body
        step = max(1, round(self.bytes_per_second / _WRITES_PER_SECOND))
        for start in range(0, len(content), step):
            if out.pause(step / self.bytes_per_second):
                return False
            piece = content[start : start + step]
            if start + step >= len(content):
                out.write_last(piece)
            else:
                out.connection.write(piece)
        return out.keep_alive


class Padded(NamedTuple):
    """Chunked, with white space before the body: ``times`` chunks, one every ``every`` seconds, as some services keep alive."""

    times: int
    every: float
    billed: bool = True
    sends_status: bool = True

    def __call__(self, out: Outgoing) -> bool:
        """The client gets the status long before the body."""
        out.connection.write(out.head("transfer-encoding: chunked"))
        for _ in range(self.times):
            out.connection.write(_chunk(WHITESPACE.encode()))
            if out.pause(self.every):
                return False
        out.write_last(_chunk(out.body) + _chunk(b""))
        return out.keep_alive


class Silent(NamedTuple):
    """Sends nothing more ``after`` request, headers or (half the) body, until the client disconnects or ``seconds`` pass."""

    after: str
    seconds: float | None = None
    billed: bool = True

    @property
    def sends_status(self) -> bool:
        """False for silence right after the request."""
        return self.after != "request"

    def __call__(self, out: Outgoing) -> bool:
        """The connection is closed afterwards."""
        if self.after != "request":
            half = b"" if self.after == "headers" else out.body[: len(out.body) // 2]
            out.connection.write(out.head() + half)
        out.connection.wait_for_close(self.seconds)
        return False


class Reset(NamedTuple):
    """Resets the connection before the status, within the headers, or after ``after_bytes`` of the body (None: half of it)."""

    when: str
    after_bytes: int | None = None

    @property
    def billed(self) -> bool:
        """Not before the status: the provider may not have seen the request."""
        return self.when != "before_status"

    @property
    def sends_status(self) -> bool:
        """Only a reset within the body certainly comes after the status."""
        return self.when == "mid_body"

    def __call__(self, out: Outgoing) -> bool:
        """Completes the record first, as the client may see the reset at once."""
        head = out.head()
        if self.when == "before_status":
            content = b""
        elif self.when == "mid_headers":
            content = head[: len(head) // 2]
        else:
            content = head + out.body[: len(out.body) // 2 if self.after_bytes is None else self.after_bytes]
        out.write_last(content)
        out.connection.reset_on_close()
        return False


class WrongLength(NamedTuple):
    """Sends a Content-Length that is too short (the rest stays in the connection) or too long (the connection closes early)."""

    long: bool
    billed: bool = True
    sends_status: bool = True

    def __call__(self, out: Outgoing) -> bool:
        """The length is wrong by a third."""
        third = max(1, len(out.body) // 3)
        out.write_last(out.head(f"content-length: {len(out.body) + (third if self.long else -third)}") + out.body)
        return out.keep_alive and not self.long


class Expiring(NamedTuple):
    """A normal response over a keep-alive connection that is closed when it is reused."""

    billed: bool = True
    sends_status: bool = True

    def __call__(self, out: Outgoing) -> bool:
        """The next request on the connection is logged and gets no answer."""
        out.connection.expired = True
        out.write_last(out.head() + out.body)
        return out.keep_alive


class Refusing(NamedTuple):
    """Resets this connection and accepts no new one for ``seconds``."""

    seconds: float
    billed: bool = False
    sends_status: bool = False

    def __call__(self, out: Outgoing) -> bool:
        """The listener is closed before the client can see the reset."""
        with contextlib.suppress(OSError):
            out.refuse_connections(self.seconds)
        out.close_record()
        out.connection.reset_on_close()
        return False


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)
