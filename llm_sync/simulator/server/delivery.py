"""How an answer leaves, or does not: the faults of the way. Each sends one response and says whether the connection lives on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from llm_sync.simulator.server.http1 import Connection, head_of

BLANKS = "\n         \n"  # what OpenRouter sends while it waits
_PIECES_A_SECOND = 50


@dataclass
class Outgoing:
    """One response on its way.

    ``pause`` waits some seconds and is true when the simulator stops. ``ended`` closes the request's account: called before
    the last bytes, so that whoever has them finds the record complete. ``refuse`` closes the listener for some seconds.
    """

    connection: Connection
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    keep_alive: bool
    pause: Callable[[float], bool]
    ended: Callable[[], None]
    refuse: Callable[[float], None]

    def head(self, *framing: str) -> bytes:
        """The head; without ``framing``, with the length the body has."""
        return head_of(
            self.status, self.headers, *(framing or (f"content-length: {len(self.body)}",)), keep_alive=self.keep_alive
        )

    def last(self, content: bytes) -> None:
        """The last bytes."""
        self.ended()
        self.connection.write(content)


class Delivery(Protocol):
    """One way."""

    @property
    def billed(self) -> bool:
        """Whether what was generated is paid for when it goes this way."""

    @property
    def told(self) -> bool:
        """Whether the status goes out."""

    def __call__(self, out: Outgoing) -> bool:
        """Sends; true when the connection may serve another request. Raises OSError when the client has left."""


class Drip(NamedTuple):
    """A few bytes at a time, from the status line or from the body on."""

    bytes_per_second: float
    from_body: bool
    billed: bool = True
    told: bool = True

    def __call__(self, out: Outgoing) -> bool:
        """Stops when the simulator does."""
        head = out.head()
        if self.from_body:
            out.connection.write(head)
        content = out.body if self.from_body else head + out.body
        step = max(1, round(self.bytes_per_second / _PIECES_A_SECOND))
        for start in range(0, len(content), step):
            if out.pause(step / self.bytes_per_second):
                return False
            piece = content[start : start + step]
            if start + step >= len(content):
                out.last(piece)
            else:
                out.connection.write(piece)
        return out.keep_alive


class Padded(NamedTuple):
    """Blanks before the body, one lot ``every`` so many seconds, in chunks: the keep-alive of a service that waits."""

    times: int
    every: float
    billed: bool = True
    told: bool = True

    def __call__(self, out: Outgoing) -> bool:
        """The status has gone out long before the body is there."""
        out.connection.write(out.head("transfer-encoding: chunked"))
        for _ in range(self.times):
            out.connection.write(_chunk(BLANKS.encode()))
            if out.pause(self.every):
                return False
        out.last(_chunk(out.body) + _chunk(b""))
        return out.keep_alive


class Silent(NamedTuple):
    """Nothing more after ``after`` (request, headers, half the body), until the client leaves or ``seconds`` are over."""

    after: str
    seconds: float | None = None
    billed: bool = True

    @property
    def told(self) -> bool:
        """Not where the request is all there is."""
        return self.after != "request"

    def __call__(self, out: Outgoing) -> bool:
        """The connection ends with it."""
        if self.after != "request":
            half = b"" if self.after == "headers" else out.body[: len(out.body) // 2]
            out.connection.write(out.head() + half)
        out.connection.await_end(self.seconds)
        return False


class Reset(NamedTuple):
    """RST before the status, within the headers, or after so many bytes of the body (None: half of it)."""

    when: str
    after_bytes: int | None = None

    @property
    def billed(self) -> bool:
        """Before the status, the request may as well not have been seen."""
        return self.when != "before_status"

    @property
    def told(self) -> bool:
        """Half a head may hold the status."""
        return self.when == "mid_body"

    def __call__(self, out: Outgoing) -> bool:
        """The account is closed first: the client may see the end at once."""
        head = out.head()
        if self.when == "before_status":
            content = b""
        elif self.when == "mid_headers":
            content = head[: len(head) // 2]
        else:
            content = head + out.body[: len(out.body) // 2 if self.after_bytes is None else self.after_bytes]
        out.last(content)
        out.connection.reset_on_close()
        return False


class WrongLength(NamedTuple):
    """Content-Length names less than there is (what is over stays in the connection) or more (it ends before)."""

    long: bool
    billed: bool = True
    told: bool = True

    def __call__(self, out: Outgoing) -> bool:
        """Off by a third."""
        third = max(1, len(out.body) // 3)
        out.last(out.head(f"content-length: {len(out.body) + (third if self.long else -third)}") + out.body)
        return out.keep_alive and not self.long


class Expiring(NamedTuple):
    """A good delivery over a connection that says keep-alive and is closed at the moment of its reuse."""

    billed: bool = True
    told: bool = True

    def __call__(self, out: Outgoing) -> bool:
        """The next request on it is read, written down, and gets no answer."""
        out.connection.expired = True
        out.last(out.head() + out.body)
        return out.keep_alive


class Refusing(NamedTuple):
    """This connection is reset, and for ``seconds`` no new one is taken."""

    seconds: float
    billed: bool = False
    told: bool = False

    def __call__(self, out: Outgoing) -> bool:
        """The listener is closed before the client can see the reset."""
        with contextlib.suppress(OSError):
            out.refuse(self.seconds)
        out.ended()
        out.connection.reset_on_close()
        return False


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)
