"""The models of one provider that a run gives up, because the provider said several times in a row that they do not exist."""

from __future__ import annotations

from llm_sync.batch.state.records import Head
from llm_sync.models.grammar import counted

MISSING = "ModelNotFoundError"


class MissingModels:
    """Counts outcomes by model. ``skipped``: how many requests were left without an outcome, as their model was given up."""

    def __init__(self) -> None:
        self.skipped = 0
        self._in_a_row: dict[str | None, int] = {}
        self._given_up: dict[str | None, int] = {}  # and after how many outcomes

    def __bool__(self) -> bool:
        """Whether any model is given up."""
        return bool(self._given_up)

    def count(self, head: Head, give_up_after: int) -> bool:
        """Count an outcome. Returns True if its model is given up now (``give_up_after`` 0: never)."""
        model = head.model
        if head.outcome != MISSING:
            self._in_a_row.pop(model, None)
            return False
        self._in_a_row[model] = self._in_a_row.get(model, 0) + 1
        if not give_up_after or self._in_a_row[model] < give_up_after or model in self._given_up:
            return False
        self._given_up[model] = self._in_a_row[model]
        return True

    def is_given_up(self, model: str | None) -> bool:
        """Whether no more requests go to ``model`` in this run."""
        return model in self._given_up

    @property
    def reason(self) -> str:
        """Why requests have no outcome."""
        models = ", ".join(f"{counted(count, 'request')} in a row to {model}" for model, count in self._given_up.items())
        return f"{models} failed with {MISSING}"
