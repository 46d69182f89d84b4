"""One table for each call of an original: how each parameter is handled. The code uses it, docs/migrating.md shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from llm_sync.models import grammar

SUPPORT_LEVELS = SUPPORTED, ADJUSTED, REFUSED = "supported", "adjusted", "refused"


_NOTHING: tuple[Any, ...] = (None,)  # a shared object, so that the check of every argument is an identity test


@dataclass(frozen=True)
class Parameter:
    """``support``: supported, adjusted (an entry in ``adjustments`` says what is sent instead), or refused.

    ``note``: how, for the documentation; for a refused parameter, the alternative. ``neutral``: values without effect, which are
    accepted even for a refused parameter. ``sent``: an adjusted parameter that is sent in another form.
    """

    name: str
    support: str
    note: str
    neutral: tuple[Any, ...] = _NOTHING
    sent: bool = False

    def has_effect(self, value: Any) -> bool:
        """Whether ``value`` has an effect."""
        if value is None:
            return None not in self.neutral
        # Compare values of the same type only: 1 is not True, and arrays cannot be compared.
        return not any(type(value) is type(neutral) and value == neutral for neutral in self.neutral)


class ParsedArguments:
    """The arguments of one call: ``given`` are supported, ``not_sent`` are not sent, with the reason."""

    __slots__ = ("given", "not_sent")

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        self.not_sent: dict[str, tuple[Any, str]] = {}


Refuse = Callable[[str, str], NoReturn]


class Table(dict[str, Parameter]):
    """The parameters of ``call`` (the name that users of the original write), by name.

    ``others`` handles unlisted parameters: a Parameter named ``**kwargs``, or None if the original refuses them too.
    """

    def __init__(self, call: str, rows: Iterable[Parameter], others: Parameter | None = None) -> None:
        super().__init__((row.name, row) for row in rows)
        self.call = call
        self.others = others

    def read(self, arguments: Mapping[str, Any], refuse: Refuse) -> ParsedArguments:
        """Sort the arguments of one call. ``refuse(message, way_out)`` raises; an unknown argument is a TypeError."""
        reading = ParsedArguments()
        for name, value in arguments.items():
            row = self.get(name) or self.others
            if row is None:
                raise TypeError(f"{self.call}() got an unexpected keyword argument {name!r}")
            if value is NOT_GIVEN or (value is None and None in row.neutral):
                continue
            if row.neutral is not _NOTHING and not row.has_effect(value):
                continue
            if row.support == SUPPORTED or row.sent:
                reading.given[name] = value
            elif row.support == REFUSED:
                refuse(f"{self.call}() is asked for {name}={shown(value)}, which llm-sync does not support", row.note)
            else:
                reading.not_sent[name] = (value, row.note)
        return reading


def supported(names: str, note: str = "", *, neutral: tuple[Any, ...] = _NOTHING) -> list[Parameter]:
    """Rows of supported parameters; ``names`` are separated by blanks."""
    return [Parameter(name, SUPPORTED, note, neutral) for name in names.split()]


def adjusted(names: str, note: str, *, neutral: tuple[Any, ...] = _NOTHING) -> list[Parameter]:
    """Rows of parameters that are not sent; an entry in ``adjustments`` says so."""
    return [Parameter(name, ADJUSTED, note, neutral) for name in names.split()]


def translated(names: str, note: str) -> list[Parameter]:
    """Rows of parameters that are sent in another form; an entry in ``adjustments`` says so."""
    return [Parameter(name, ADJUSTED, note, sent=True) for name in names.split()]


def refused(names: str, way_out: str, *, neutral: tuple[Any, ...] = _NOTHING) -> list[Parameter]:
    """Rows of refused parameters; ``way_out`` becomes the error's second sentence."""
    return [Parameter(name, REFUSED, way_out, neutral) for name in names.split()]


class NotGiven:
    """The type of ``NOT_GIVEN`` and ``omit``, which mean that an argument is absent. A singleton."""

    _only: NotGiven | None = None

    def __new__(cls) -> NotGiven:  # noqa: D102  (returns the singleton)
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"

    def __reduce__(self) -> tuple[Any, ...]:
        return NotGiven, ()


NOT_GIVEN = NotGiven()


def is_not_given(value: Any) -> bool:
    """Whether an argument means that it is absent."""
    return value is NOT_GIVEN


def shown(value: Any) -> str:
    """A value for a message: short values as they are, others by their type, so that no prompt is shown."""
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, str) and len(value) <= 24 and value.isprintable():
        return repr(value)
    return grammar.type_name(value)
