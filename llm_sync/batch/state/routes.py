"""The routes of one batch, numbered, so that an index of eight bytes for each request can name them."""

from __future__ import annotations

from llm_sync.batch.state.index import MOST_ROUTES
from llm_sync.errors import InvalidRequestError


class Routes:
    """Number 0 is the route of what has none: a line that could not be read. One thread at a time."""

    def __init__(self) -> None:
        self._named: list[tuple[str | None, str | None]] = [(None, None)]
        self._numbers: dict[tuple[str | None, str | None], int] = {(None, None): 0}

    def number(self, provider: str | None, model: str | None) -> int:
        """The number of a route, a new one for a new route. Raises InvalidRequestError when there are too many."""
        found = self._numbers.get((provider, model))
        if found is None:
            if len(self._named) >= MOST_ROUTES:
                raise InvalidRequestError(
                    f"the batch asks more than {MOST_ROUTES - 1} different models", guidance="Split the input."
                )
            found = self._numbers[provider, model] = len(self._named)
            self._named.append((provider, model))
        return found

    def named(self, number: int) -> tuple[str | None, str | None]:
        """The provider and the model of a route."""
        return self._named[number]

    def of(self, provider: str) -> list[int]:
        """The numbers of all routes of one provider."""
        return [number for number, (name, _) in enumerate(self._named) if name == provider]
