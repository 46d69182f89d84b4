"""A cost that is found out when somebody looks at it: loading the prices takes longer than many a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PRICE_SOURCE = "price_source"


class PendingCost:
    """``find()`` gives the cost in USD and the name of the price's source, both None where no price is known. It is called once,
    or twice when two threads look at the same time, and raises nothing."""

    __slots__ = ("_find", "_found")

    def __init__(self, find: Callable[[], tuple[float | None, str | None]]) -> None:
        self._find = find
        self._found: tuple[float | None, str | None] | None = None

    def found(self) -> tuple[float | None, str | None]:
        """The cost and its source."""
        if self._found is None:
            self._found = self._find()
        return self._found


class CostField:
    """The attribute of a frozen dataclass that holds USD, None, or a PendingCost, which is replaced when it is read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> float | None:
        if instance is None:
            return None  # the default
        cost = instance.__dict__.get(self._name)
        if isinstance(cost, PendingCost):
            cost = instance.__dict__[self._name] = cost.found()[0]
        return cost  # type: ignore[no-any-return]

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._name] = value


class PricedMetadata(dict[str, Any]):
    """The metadata of an answer whose cost is pending: ``price_source`` appears in it when it, or the cost, is looked at.

    ``pending``: that cost; set it before anything is looked up.
    """

    __slots__ = ("pending",)

    pending: PendingCost

    def __missing__(self, key: str) -> Any:
        source = self.pending.found()[1] if key == PRICE_SOURCE else None
        if source is None:
            raise KeyError(key)
        self[key] = source
        return source

    def get(self, key: str, default: Any = None) -> Any:
        """As a mapping's."""
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (key == PRICE_SOURCE and self.get(PRICE_SOURCE) is not None)

    def __reduce__(self) -> tuple[Any, ...]:
        self.get(PRICE_SOURCE)
        return dict, (dict(self),)
