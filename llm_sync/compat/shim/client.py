"""What the clients of all shims share: options, copies with other options, closing, and unsupported names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from llm_sync.compat.shim.calls import CallContext, seconds
from llm_sync.compat.shim.error_mapping import translate_errors
from llm_sync.compat.shim.parameters import Table, is_not_given
from llm_sync.compat.shim.settings import Settings
from llm_sync.compat.shim.targets import follows_configuration
from llm_sync.compat.shim.unsupported import Refused, refuse

if TYPE_CHECKING:
    from typing_extensions import Self

    from llm_sync.errors import LLMConnectorError

RAW = {
    "with_raw_response": "the answer has _request_id and llm_sync; no other headers are kept",
    "with_streaming_response": "call create: it blocks and returns the whole answer",
}


class Resource:
    """One resource of a client. ``path``: its name after ``client.``; ``not_supported``: its refused calls."""

    path: ClassVar[str] = ""
    not_supported: ClassVar[Mapping[str, str]] = RAW

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Refused:
        if name not in self.not_supported:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return Refused(f"{self.path}.{name}", self.not_supported[name], self._client.map_error)


class ShimClient(ABC):
    """A client of an SDK over llm-sync.

    If a configuration is found, it routes model names; else the arguments and the usual environment variables make a provider.
    It has no thread and no connection of its own: clients with equal settings share one LLMClient. Any thread may use it, also
    in a forked child.
    """

    table: ClassVar[Table]
    changes: ClassVar[Table]  # the options of with_options
    not_supported: ClassVar[Mapping[str, str]] = RAW

    @staticmethod
    @abstractmethod
    def map_error(error: LLMConnectorError) -> BaseException:
        """The SDK's exception for ``error``."""

    def __init__(self, **options: Any) -> None:
        given = self.table.read(options, self._refuse).given
        self._options = given
        self._closed = False
        with translate_errors(self.map_error):
            self.timeout = seconds(given.get("timeout"))
            self.max_retries: int | None = given.get("max_retries")
            self._settings = self._made(given)
        self._context = CallContext(self._settings, self.timeout, self.max_retries, self.map_error)

    @abstractmethod
    def _made(self, given: Mapping[str, Any]) -> Settings:
        """The endpoint of the options."""

    @classmethod
    def _refuse(cls, message: str, way_out: str) -> Any:
        refuse(message, way_out, cls.map_error)

    def _text(self, given: Mapping[str, Any], name: str) -> str | None:
        """An option that must be a string, such as a key; functions are refused."""
        value = given.get(name)
        if value is not None and not isinstance(value, str):
            self._refuse(f"{name} is not a text", f"give the {name}, or api_key_command in a configuration")
        return value or None

    def context(self) -> CallContext:
        """The context of the resources' calls. Raises RuntimeError when the client is closed, as the original does."""
        if self._closed:
            raise RuntimeError("Cannot send a request, as the client has been closed.")
        return self._context

    def require(self, arguments: Mapping[str, Any], *names: str) -> None:
        """Raise TypeError, as the original does, for a missing argument; with a configuration, ``model`` may be missing."""
        missing = [name for name in names if name not in arguments or is_not_given(arguments[name])]
        if missing == ["model"]:
            with translate_errors(self.map_error):
                if follows_configuration(self._settings):
                    return
        if missing:
            needed = " and ".join(map(repr, names))
            raise TypeError(f"Missing required arguments; Expected {needed}, got no {missing[0]!r}")

    def __getattr__(self, name: str) -> Refused:
        if name not in self.not_supported:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return Refused(f"{type(self).__name__}.{name}", self.not_supported[name], self.map_error)

    def with_options(self, **options: Any) -> Self:
        """A new client with these options replaced."""
        changed = self.changes.read(options, self._refuse).given
        given = {name: value for name, value in changed.items() if not name.startswith("set_")}
        for name in ("default_headers", "default_query"):
            if name in given:
                given[name] = {**self._options.get(name, {}), **given[name]}
            if f"set_{name}" in changed:
                given[name] = changed[f"set_{name}"]
        return type(self)(**{**self._options, **given})

    copy = with_options

    def close(self) -> None:
        """Refuse further calls of this client; other clients with the same settings go on."""
        self._closed = True

    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over llm-sync, {self._settings.base_url or 'the usual base_url'}>"

    def __reduce__(self) -> Any:
        raise TypeError(f"{type(self).__name__} cannot be pickled, as it holds a key: make one where it is needed")


def arguments_given(given: Mapping[str, Any], names: str) -> tuple[str, ...]:
    """Those of ``names`` that the script gave, as a notice names them."""
    return tuple(f"{name}=" for name in names.split() if name in given)
