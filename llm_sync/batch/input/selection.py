"""Which lines a run uses, for which models, and the slot of each request in the index."""

from __future__ import annotations

from typing import NamedTuple

from llm_sync.batch.state.records import Head
from llm_sync.errors import InvalidRequestError
from llm_sync.models.route import Route


class Selection(NamedTuple):
    """Every ``parts``-th line from number ``part`` (from 0) on, of the first ``limit`` lines (None: all).

    ``models``: each line is sent to each of these; None: each line goes to its own model. ``former``: the number of models at
    the beginning of ``models`` that are not asked: only their outcomes are kept.
    """

    part: int = 0
    parts: int = 1
    limit: int | None = None
    models: tuple[Route, ...] | None = None
    former: int = 0

    @classmethod
    def of(cls, shard: tuple[int, int] | None, limit: int | None, models: tuple[Route, ...] | None) -> Selection:
        """The selection for a ``shard`` (I, N), I from 1 to N. Raises InvalidRequestError for an invalid shard or limit."""
        part, parts = shard or (1, 1)
        if not 1 <= part <= parts:
            raise InvalidRequestError(f"there is no shard {part}/{parts}", guidance="Give I/N with I from 1 to N.")
        if limit is not None and limit < 0:
            raise InvalidRequestError(f"limit={limit} is not a count", guidance="Give 0 or more.")
        return cls(part - 1, parts, limit, models)

    def with_former(self, former: tuple[Route, ...]) -> Selection:
        """The same selection, which also keeps what these models have answered."""
        asked = self.models or ()
        others = tuple(model for model in former if model not in asked)
        return self._replace(models=(*others, *asked), former=len(others))

    def asks(self, slot: int) -> bool:
        """Whether the slot's request may be sent."""
        return slot % self.width >= self.former

    def asks_model(self, model: tuple[str | None, str | None]) -> bool:
        """Whether requests to a model may be sent."""
        return model not in (self.models or ())[: self.former]

    @property
    def width(self) -> int:
        """The number of slots of a line."""
        return 1 if self.models is None else len(self.models)

    @property
    def shard(self) -> str | None:
        """The shard in the form "I/N", or None if there is only one."""
        return f"{self.part + 1}/{self.parts}" if self.parts > 1 else None

    def takes(self, position: int) -> bool:
        """Whether the run uses the line at ``position``."""
        return position % self.parts == self.part and (self.limit is None or position < self.limit)

    def position(self, slot: int) -> int:
        """The position of a slot's line."""
        return slot // self.width * self.parts + self.part

    def slots(self, position: int) -> range:
        """The slots of a line that the run uses."""
        first = position // self.parts * self.width
        return range(first, first + self.width)

    def slot(self, head: Head) -> int | None:
        """The slot of a previous outcome; None if this run does not make that request."""
        if head.position < 0 or not self.takes(head.position):
            return None
        slots = self.slots(head.position)
        if self.models is None:
            return slots[0]
        target = (head.provider, head.model)
        return slots[self.models.index(target)] if target in self.models else None
