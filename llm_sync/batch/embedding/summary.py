"""What a run of embeddings came to, and where it stands."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from llm_sync.errors import LLMConnectorError


class EmbeddingProgress(NamedTuple):
    """Where a run stands: texts that have an outcome, of how many, failures among them, and requests that were answered."""

    done: int
    total: int
    failed: int
    requests: int


@dataclass
class EmbeddingSummary:
    """The result of a run.

    ``texts``: of the input. ``kept``: texts whose outcome a previous run left. ``repeated``: texts that are equal to one before
    them, which has the vector for both. ``sent``: texts that were sent by this run; ``failed``: texts without a vector, by the
    class of the error. ``requests``: answered ones of this run; ``input_tokens`` and ``cost`` (USD): of these, None where
    unknown. ``dimensions``: the length of the vectors. ``unsure``: texts that were in flight when a previous run was killed, and
    may be billed twice. ``complete``: whether the output is written; ``stopped``: why not.
    """

    output: str
    texts: int = 0
    kept: int = 0
    repeated: int = 0
    sent: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    input_tokens: int | None = 0
    cost: float | None = 0.0
    dimensions: int | None = None
    unsure: int = 0
    seconds: float = 0.0
    complete: bool = False
    stopped: LLMConnectorError | None = None

    @property
    def answered(self) -> int:
        """Texts with a vector."""
        return self.texts - self.failed.total()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        out = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        out["cost"] = None if self.cost is None else round(self.cost, 12)
        return {
            **out,
            "failed": dict(self.failed),
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped and str(self.stopped),
        }
