"""What an original has and its shim does not: it can be named, and says so when it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from llm_sync.compat.failures import NotCarriedError
from llm_sync.errors import LLMConnectorError, StreamingNotSupportedError

ASYNC = "use its blocking twin, and threads for several calls at once; llm-sync has no event loop"
STREAM = "leave it out: the call blocks and returns the whole answer"


class Refused:
    """A resource or a function that is not carried: its attributes are such too, and calling it raises."""

    def __init__(self, name: str, way_out: str, shim: Callable[[LLMConnectorError], BaseException]) -> None:
        self._name = name
        self._way_out = way_out
        self._shim = shim

    def __getattr__(self, name: str) -> Refused:
        if name.startswith("__"):
            raise AttributeError(name)
        return Refused(f"{self._name}.{name}", self._way_out, self._shim)

    def __call__(self, *_arguments: Any, **_options: Any) -> NoReturn:
        """Raise the shim's error."""
        refuse(f"{self._name} is not carried by llm-sync", self._way_out, self._shim)

    def __repr__(self) -> str:
        return f"<{self._name}: not carried by llm-sync>"


def refuse(message: str, way_out: str, shim: Callable[[LLMConnectorError], BaseException]) -> NoReturn:
    """Raise the shim's error for something it does not carry, with ours as its cause."""
    kind = StreamingNotSupportedError if way_out == STREAM else NotCarriedError
    error = kind(message, guidance=f"The way out: {way_out}.")
    raise shim(error) from error


def refused_class(name: str, way_out: str, shim: Callable[[LLMConnectorError], BaseException]) -> type:
    """A class that a script may import and name, of which no instance can be made."""

    def __new__(cls: type, *arguments: Any, **options: Any) -> NoReturn:  # noqa: N807, ARG001  (a class's own)
        refuse(f"{name} is not carried by llm-sync", way_out, shim)

    return type(name.rpartition(".")[2], (), {"__new__": __new__, "__doc__": f"Not carried by llm-sync: {way_out}."})


def lookup(module: str, name: str, refusals: Mapping[str, Any]) -> Any:
    """A module's ``__getattr__`` for refused names; AttributeError for names that the original does not have either."""
    if name in refusals:
        return refusals[name]
    raise AttributeError(f"module {module!r} has no attribute {name!r}")
