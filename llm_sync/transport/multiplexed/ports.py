"""What the parts of this folder need of each other and of the HTTPClient."""

from __future__ import annotations

import socket
from collections.abc import Callable, MutableSet
from typing import Any, Protocol

from llm_sync.models import Reply
from llm_sync.runtime.event_loop import EventLoop
from llm_sync.transport.exchange import Exchange
from llm_sync.transport.fast_path import UnreadResponse
from llm_sync.transport.targets import Target

Done = Callable[[Any, "BaseException | None"], object]
"""``done(result, error)``: the end of a call or of a helper's work."""

InHelper = Callable[[Callable[[], Any], Done], object]
"""``in_helper(work, done)``: a helper thread does ``work``; then the loop calls ``done`` with its outcome."""


class HTTP(Protocol):
    """What an exchange needs of its HTTPClient, which has the same methods; the program's own code does not call them."""

    _max_response_bytes: int
    _sockets: MutableSet[socket.socket]  # every open one

    def _target(self, method: str, url: str) -> Target:
        """What requests to ``url`` share. Raises ConfigurationError if none may go there, ClientClosedError once closed."""

    def _read_reply(self, unread: UnreadResponse, exchange: Exchange, origin: str) -> Reply:
        """Read the body in the exchange's thread. Raises ProviderError, ProviderConnectionError, and what reading raises."""

    def _conclude(self, result: Reply | Exception, exchange: Exchange, target: Target, *, is_stale: bool) -> Reply:
        """The end of an exchange: return its reply, or raise this library's error for what went wrong."""


class Watched(Protocol):
    """An exchange whose socket is watched."""

    sock: Any
    descriptor: int

    def ready(self, events: int) -> None:
        """The socket can be read or written."""


class Owner(Protocol):
    """What an exchange needs of the client that started it."""

    http: HTTP
    loop: EventLoop
    in_helper: InHelper
    buffer: memoryview

    def watch(self, transfer: Watched, events: int) -> None:
        """Have the loop call ``transfer.ready`` when its socket is ready for ``events``."""

    def release(self, transfer: Watched) -> None:
        """The exchange is over; its connection may be used again."""

    def is_watched(self, transfer: Watched) -> bool:
        """Whether the loop waits for its socket: it is neither over nor with a helper."""

    def unwatch(self, descriptor: int) -> None:
        """Stop watching a connection."""

    def serve_waiting(self) -> None:
        """A connection has become idle, or may be opened."""
