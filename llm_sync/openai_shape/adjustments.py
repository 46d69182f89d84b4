"""What is sent differently from what a body asks, collected while it is read."""

from __future__ import annotations

from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import Adjustment


class Adjustments:
    """Records what is sent differently from what a body asks. Under ``strict`` a loss is an error."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self.adjustments: list[Adjustment] = []

    def note(self, name: str, asked: Any, sent: Any, reason: str) -> None:
        """Record that a value is sent in another form; nothing is lost."""
        self.adjustments.append(Adjustment(name, asked, sent, reason))

    def lose(self, name: str, asked: Any, reason: str, sent: Any = None) -> None:
        """Record that a value is not sent as asked. Raises InvalidRequestError under strict."""
        if self._strict:
            raise InvalidRequestError(f"{name} cannot be sent as asked: {reason}", guidance="Leave it out, or drop strict.")
        self.note(name, asked, sent, reason)
