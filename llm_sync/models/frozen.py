"""Frozen dataclasses that cost little: to define, at every start, and to make, a dozen times for each request.

``dataclasses.dataclass`` writes seven methods for each class, as source that it compiles when the class is defined. Here six are
inherited, and ``__init__`` is compiled when the first instance is made. It fills ``__dict__``, which takes less than half the
time of calling ``object.__setattr__`` for each field.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, fields
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["Frozen", "dataclass"]


def _dataclass(**options: bool) -> Callable[[type[Any]], type[Any]]:
    """``dataclasses.dataclass`` for subclasses of Frozen: the same fields, and the same behaviour for less."""
    if options != {"frozen": True, "repr": False, "eq": False}:
        raise TypeError("use dataclasses.dataclass for other options")
    return _with_fields


if TYPE_CHECKING:  # as which type checkers, editors and griffe know it
    from dataclasses import dataclass
else:
    dataclass = _dataclass


class Frozen:
    """The base of ``@dataclass(frozen=True, repr=False, eq=False)``; ``field(repr=…, compare=…)`` works as usual."""

    @recursive_repr()
    def __repr__(self) -> str:
        shown = (f"{field.name}={getattr(self, field.name)!r}" for field in fields(self) if field.repr)  # type: ignore[arg-type]
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        return _compared(self) == _compared(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(_compared(self))

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: object) -> None:
            if _is_frozen(self, name):
                raise FrozenInstanceError(f"cannot assign to field {name!r}")
            super().__setattr__(name, value)

        def __delattr__(self, name: str) -> None:
            if _is_frozen(self, name):
                raise FrozenInstanceError(f"cannot delete field {name!r}")
            super().__delattr__(name)


def _compared(instance: Any) -> tuple[Any, ...]:
    return tuple(getattr(instance, field.name) for field in fields(instance) if field.compare)


def _is_frozen(instance: Any, name: str) -> bool:
    """Whether the attribute may not change: no attribute of a dataclass, and no field of a subclass that is none itself."""
    return "__dataclass_fields__" in vars(type(instance)) or name in instance.__dataclass_fields__


def _with_fields(cls: type[Any]) -> type[Any]:
    """``cls`` with its fields read, and an ``__init__`` that is compiled when it is called."""
    bases = [vars(base)["__dataclass_params__"] for base in cls.__mro__[1:] if "__dataclass_params__" in vars(base)]
    for parameters in bases:  # of a frozen base, dataclasses takes frozen classes only, for which it compiles methods
        parameters.frozen = False
    dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
    for parameters in (*bases, cls.__dataclass_params__):
        parameters.frozen = True

    def __init__(self: Any, *args: Any, **values: Any) -> None:  # noqa: N807
        cls.__init__ = _compiled_init(cls)
        cls.__init__(self, *args, **values)

    has_init_vars = any(map(_is_init_var, cls.__dataclass_fields__.values()))
    cls.__init__ = _compiled_init(cls) if has_init_vars else __init__  # at once, where warnings count the frames above them
    cls.__signature__ = _Signature(cls)
    return cls


class _Signature:
    """What ``inspect.signature`` and ``help`` show of a class, and of a subclass that has no ``__init__`` of its own."""

    def __init__(self, cls: type[Any]) -> None:
        self._cls = cls

    def __get__(self, instance: object, owner: type[Any]) -> Any:
        import inspect

        is_own = owner.__init__ is self._cls.__init__
        shown = inspect.signature(_compiled_init(self._cls) if is_own else owner.__init__)
        return shown.replace(parameters=list(shown.parameters.values())[1:])


class _Made:
    """The default of a field that has a factory, in signatures."""

    def __repr__(self) -> str:
        return "<factory>"


_MADE = _Made()


def _compiled_init(cls: type[Any]) -> Callable[..., None]:
    """The ``__init__`` that ``dataclasses.dataclass`` would write, but that it fills ``__dict__``."""
    arguments = [each for each in cls.__dataclass_fields__.values() if not str(each.type).startswith("ClassVar")]
    positional, keyword = ([each for each in arguments if bool(each.kw_only) is by_name] for by_name in (False, True))
    lines = ["values = self.__dict__"]
    for field in fields(cls):
        made = "" if field.default_factory is MISSING else f" if {field.name} is not _MADE else factories[{field.name!r}]()"
        lines.append(f"values[{field.name!r}] = {field.name}{made}")
    if hasattr(cls, "__post_init__"):
        lines.append(f"self.__post_init__({', '.join(each.name for each in arguments if _is_init_var(each))})")
    names = ["self", *(each.name for each in positional), *(["*"] if keyword else []), *(each.name for each in keyword)]
    source = f"def __init__({', '.join(names)}):\n" + "".join(f"    {line}\n" for line in lines)
    scope: dict[str, Any] = {"_MADE": _MADE, "factories": {each.name: each.default_factory for each in arguments}}
    # Compiled first: exec of a text would reset what lets Python end as one that Ctrl-C has ended, if it runs after that.
    exec(compile(source, "<string>", "exec"), scope)  # noqa: S102  (as dataclasses does)
    init: Any = scope["__init__"]
    defaults = {each.name: _MADE if each.default is MISSING else each.default for each in arguments if _is_optional(each)}
    init.__defaults__ = tuple(defaults[each.name] for each in positional if each.name in defaults)
    init.__kwdefaults__ = {each.name: defaults[each.name] for each in keyword if each.name in defaults}
    init.__annotations__ = {each.name: each.type for each in arguments} | {"return": None}
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init  # type: ignore[no-any-return]


def _is_optional(field: dataclasses.Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _is_init_var(field: dataclasses.Field[Any]) -> bool:
    return str(field.type).startswith("InitVar")
