"""Parts of an original that its shim does not support. They raise when used; ``from … import`` of a function raises at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NoReturn

from llm_sync.compat.shim.error_mapping import NotSupportedError
from llm_sync.errors import LLMConnectorError, StreamingNotSupportedError

ASYNC = "use the blocking class or function, and threads for several calls at once; llm-sync has no event loop"
STREAM = "leave it out: the call blocks and returns the whole answer"


class Refused:
    """An unsupported resource or function: its attributes are unsupported too, and calling it raises."""

    def __init__(self, name: str, way_out: str, map_error: Callable[[LLMConnectorError], BaseException]) -> None:
        self._name = name
        self._way_out = way_out
        self._map_error = map_error

    def __getattr__(self, name: str) -> Refused:
        if name.startswith("__"):
            raise AttributeError(name)
        return Refused(f"{self._name}.{name}", self._way_out, self._map_error)

    def __call__(self, *_arguments: Any, **_options: Any) -> NoReturn:
        """Raise the shim's error."""
        refuse(f"{self._name} is not supported by llm-sync", self._way_out, self._map_error)

    def __getitem__(self, _key: Any) -> NoReturn:
        self()

    def __iter__(self) -> NoReturn:
        self()

    def __len__(self) -> int:
        return self()

    def __bool__(self) -> bool:
        return True

    def __setitem__(self, _key: Any, _value: Any) -> NoReturn:
        self()

    def __contains__(self, _key: object) -> NoReturn:
        self()

    def __repr__(self) -> str:
        return f"<{self._name}: not supported by llm-sync>"

    def __str__(self) -> str:
        return f"{self._name} is not supported by llm-sync. Instead: {self._way_out}."


def refuse(message: str, way_out: str, map_error: Callable[[LLMConnectorError], BaseException]) -> NoReturn:
    """Raise the original's exception for something unsupported, with ours as the cause."""
    kind = StreamingNotSupportedError if way_out == STREAM else NotSupportedError
    error = kind(message, guidance=f"Instead: {way_out}.")
    raise map_error(error) from error


def refused_class(name: str, way_out: str, map_error: Callable[[LLMConnectorError], BaseException]) -> type:
    """An unsupported class: a script may import it and use it in annotations, but not instantiate it."""

    def __new__(cls: type, *arguments: Any, **options: Any) -> NoReturn:  # noqa: N807, ARG001  (a class's own)
        refuse(f"{name} is not supported by llm-sync", way_out, map_error)

    description = f"Not supported by llm-sync: {way_out}."
    named = {"__new__": __new__, "__doc__": description, "__class_getitem__": classmethod(lambda cls, _types: cls)}
    return type(name.rpartition(".")[2], (), named)


def lookup(module: str, name: str, homes: Mapping[str, str], refusals: Mapping[str, Any]) -> Any:
    """A module's ``__getattr__``, which calls this function itself.

    ``homes``: the module of each lazily imported name, or ``module:name`` if the name differs there. Raises AttributeError for
    names that the original does not have either, and ImportError for ``from module import`` of what is Refused: a script should
    not get as far as its first paid call. Unsupported classes can be imported, as annotations need them.
    """
    home = homes.get(name)
    if home is not None:
        module_path, _, attribute = home.partition(":")
        if module_path == f"{module}.{name}":
            return import_module(module_path)
        return getattr(import_module(module_path), attribute or name)
    if name not in refusals:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    refusal = refusals[name]
    if isinstance(refusal, Refused) and _is_from_import():
        raise ImportError(str(refusal), name=module)
    return refusal


def _is_from_import() -> bool:
    """Whether ``lookup`` was called for a from-import: importlib first asks a package whether it has the name."""
    caller = sys._getframe(3)  # noqa: SLF001  (of the module's __getattr__)
    return caller.f_code.co_name == "_handle_fromlist" and caller.f_globals.get("__name__") == "importlib._bootstrap"


# In every original, the classes for parts of a stream have one of these words in their names.
_STREAMED = ("Chunk", "Event", "Delta")


def type_named(
    module: str, name: str, shapes: Mapping[str, Any], requests: tuple[str, ...], map_error: Callable[..., Any]
) -> Any:
    """A name in an original's ``types``: a class of ``shapes``; ``dict`` for names that end with one of ``requests``; an
    unsupported class for parts of a stream. Raises AttributeError for all others."""
    if name in shapes:
        return shapes[name]
    if name[:1].isupper() and name.endswith(requests):
        return dict
    if name[:1].isupper() and name.endswith(_STREAMED):
        return refused_class(name, STREAM, map_error)
    raise AttributeError(f"module {module!r} has no attribute {name!r}")
