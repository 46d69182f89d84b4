"""What the requests of a batch used and cost, by the model that was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_sync.batch.state.records import Head


@dataclass
class ModelCost:
    """What was used, of one model. ``cost``: USD of the answers of known cost; ``unpriced`` counts the other answers."""

    answered: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    def add(self, head: Head, count: int = 1) -> None:
        """Count an outcome; with ``count`` -1, take it back."""
        self.add_used(head, count, head.answered)

    def add_used(self, head: Head, count: int, is_answer: bool) -> None:
        """What an outcome used."""
        self.answered += count * is_answer
        self.input_tokens += count * (head.input_tokens or 0)
        self.output_tokens += count * (head.output_tokens or 0)
        if head.cost is not None:
            self.cost += count * head.cost
        elif is_answer:
            self.unpriced += count

    def include_cost(self, other: ModelCost) -> None:
        """Add the counts of another one."""
        self.answered += other.answered
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cost += other.cost
        self.unpriced += other.unpriced

    @property
    def cost_estimate(self) -> float | None:
        """USD, with six digits; None where no price is known."""
        return round(self.cost, 6) if self.cost or not self.unpriced else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "answered": self.answered,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_estimate": self.cost_estimate,
            "unpriced": self.unpriced,
        }


class ModelCosts(dict[str, ModelCost]):
    """``provider/model`` -> what was used of it."""

    def add(self, head: Head, count: int = 1) -> None:
        """Count an outcome of a request that was sent; with ``count`` -1, take it back."""
        if head.provider is not None and head.model is not None:
            self._of(f"{head.provider}/{head.model}").add_used(head, count, head.answered)

    def include(self, others: Mapping[str, ModelCost]) -> None:
        """Add the counts of others."""
        for model, cost in others.items():
            self._of(model).include_cost(cost)

    def _of(self, model: str) -> ModelCost:
        cost = self.get(model)
        if cost is None:
            cost = self[model] = ModelCost()
        return cost
