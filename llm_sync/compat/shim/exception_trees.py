"""Exception trees like those of the SDKs. Each class is declared in one statement, with its base and its statuses:

    class RateLimitError(APIStatusError, status=429):
        \"""429.\"""

Type checkers, pickle and help() treat them like any other class. This module has what all SDKs share: the mapping from status
to class, and the constructors.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from llm_sync.compat.shim.error_mapping import ShimError

Named = TypeVar("Named", bound="StatusError")


class StatusErrorTree(ShimError):
    """An exception tree whose classes stand for HTTP statuses. The root class has its own ``by_status``; subclasses fill it."""

    by_status: ClassVar[dict[int, type[Any]]] = {}

    def __init_subclass__(cls, *, status: int | tuple[int, ...] = ()) -> None:
        super().__init_subclass__()
        cls.by_status.update(dict.fromkeys((status,) if isinstance(status, int) else status, cls))


class APIFailure(StatusErrorTree):
    """The API or the connection to it failed. ``body``: the provider's error; ``request``: None unless a script gives it."""

    def __init__(self, message: str = "", request: Any = None, *, body: Any = None) -> None:
        Exception.__init__(self, message)
        self.request = request
        self.body = body
        self._read(body)

    def _read(self, body: Any) -> None:
        """Set the attributes that come from the body."""


class StatusError(APIFailure):
    """A response with a status of 400 or more: ``status_code``, ``response``, and ``request_id`` out of ``id_header``."""

    id_header: ClassVar[str]

    def __init__(self, message: str, *, response: Any, body: Any = None) -> None:
        APIFailure.__init__(self, message, getattr(response, "request", None), body=body)
        self.response = response
        self.status_code: Any = response.status_code
        self.request_id = response.headers.get(self.id_header)


class ConnectionFailure(APIFailure):
    """No connection, or it broke."""

    def __init__(self, *, message: str = "Connection error.", request: Any = None) -> None:
        APIFailure.__init__(self, message, request)


class TimeoutFailure(ConnectionFailure):
    """An attempt took longer than ``timeout``."""

    def __init__(self, request: Any = None) -> None:
        ConnectionFailure.__init__(self, message="Request timed out.", request=request)


class InvalidResponse(APIFailure):
    """The answer is not of the API's shape. ``status_code`` and ``response`` are the answer's."""

    def __init__(self, response: Any = None, body: Any = None, *, message: str | None = None) -> None:
        APIFailure.__init__(self, message or "Data returned by API invalid for expected schema.", body=body)
        self.response = response
        self.status_code: Any = getattr(response, "status_code", None)


def class_for(status: int, named: type[Named]) -> type[Named]:
    """The class for an HTTP status in the tree of ``named``; ``named`` itself if no class is declared for it."""
    kind: type[Named] = named.by_status.get(status) or (named.by_status[500] if status >= 500 else named)
    return kind
