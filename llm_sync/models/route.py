"""Where a request goes: the provider, and the name the model has there; and who was asked on the way to an answer.

``llm_sync.config.routing`` finds the target for a model's name; records, batches and the command line pass it on.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from llm_sync.models.frozen import Frozen, dataclass
from llm_sync.models.pending_cost import CostField


class Route(NamedTuple):
    """A provider's name and the model's bare name there."""

    provider: str
    model: str


@dataclass(frozen=True, repr=False, eq=False)
class RouteStep(Frozen):
    """One model of a route that was asked, or passed over, for one request.

    ``error``: the class name of the error for which the route went on, None for the one that answered; ``message``: its text.
    ``attempts``: HTTP exchanges made; 0: nothing was sent. ``possibly_billed``: how many of them may be billed although no
    answer came. ``cost``: USD, None where unknown or nothing came; ``input_tokens`` and ``output_tokens`` likewise.
    ``elapsed``: seconds it was in flight.
    """

    provider: str
    model: str
    error: str | None = None
    message: str = ""
    attempts: int = 0
    possibly_billed: int = 0
    cost: float | None = CostField()  # type: ignore[assignment]  # a descriptor, whose default is None
    input_tokens: int | None = None
    output_tokens: int | None = None
    elapsed: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the fields by name."""
        return self.__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "cost": self.cost}


class RouteField:
    """The attribute of a ModelResponse that holds its RouteSteps, or a ``partial`` that makes them of the response when it is
    read: few programs do, and to make them takes a hundredth of a short call's time. Two threads that look at the same time may
    both make them."""

    def __get__(self, instance: Any, owner: type | None = None) -> tuple[RouteStep, ...]:
        if instance is None:
            return ()  # the default
        steps = instance.__dict__.get("route", ())
        if isinstance(steps, partial):
            steps = instance.__dict__["route"] = steps(instance)
        return steps  # type: ignore[no-any-return]

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__["route"] = value
