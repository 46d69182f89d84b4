"""The heads of requests, as the libraries wrote them once, to be sent again with each further request."""

from __future__ import annotations

from collections.abc import Mapping

_MOST_HEADS = 16  # that are remembered for one URL: keys change when tokens are renewed


class RequestHeads:
    """The heads of the requests to one URL as the libraries wrote them, in two parts: the body's length goes between."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[str, str], ...], tuple[bytes, bytes]] = {}  # by the caller's headers

    def known(self, headers: Mapping[str, str]) -> tuple[bytes, bytes] | None:
        """The head for these headers, when one was sent before."""
        return self._known.get(tuple(headers.items()))

    def remember(self, headers: Mapping[str, str], asked: Mapping[str, str], head: bytes | None, body: bytes | None) -> None:
        """Keep what was sent for ``headers`` and ``body``, unless it holds anything but the ``asked`` headers, all of them.

        A trace's id or a signature that another layer put in was for that one request.
        """
        if head is None or not _holds_just(asked, head):
            return
        parts = head.split(length(body))
        if len(parts) == 2:
            if len(self._known) >= _MOST_HEADS:
                self._known.clear()
            self._known[tuple(headers.items())] = (parts[0], parts[1])


def _holds_just(asked: Mapping[str, str], head: bytes) -> bool:
    """Whether a head is whole, and its headers are those ``asked`` for and Host."""
    lines, end, rest = head.partition(b"\r\n\r\n")
    sent = [line.partition(":") for line in lines.decode("latin-1").split("\r\n")[1:]]
    found = {name.lower(): value.strip() for name, _, value in sent}
    found.pop("host", None)
    wanted = {name.lower(): str(value).strip() for name, value in asked.items() if name.lower() != "host"}
    return bool(end) and not rest and found == wanted


def length(body: bytes | None) -> bytes:
    """What stands between the parts of a head."""
    return b"\r\n\r\n" if body is None else b"\r\nContent-Length: %d\r\n" % len(body)
