"""The route of a line, found without parsing the line."""

from __future__ import annotations

from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.source import Line
from llm_sync.batch.plan import LINE_ERRORS
from llm_sync.config.routing import route
from llm_sync.models.route import Route


class LineTargets:
    """Finds the routes of lines. Remembers those of models already seen."""

    def __init__(self, context: BatchContext) -> None:
        self._context = context
        self._by_model: dict[str | None, Route | None] = {}

    def target(self, slot: int, line: Line) -> Route | None:
        """The route of the line's request in this slot; None if there is none."""
        models = self._context.selection.models
        if models is not None:
            return models[slot % len(models)]
        return self._routed(self._context.line_format.model(line.content))

    def has_route(self, slot: int, line: Line, number: int) -> bool:
        """Whether the line's target is the route of its outcome."""
        named = self._context.routes.named(number)
        return named[0] is None or self.target(slot, line) == named

    def _routed(self, model: str | None) -> Route | None:
        if model not in self._by_model:
            try:
                self._by_model[model] = route(self._context.client.config, model)
                self._context.line_routes.use(model)
            except LINE_ERRORS:
                self._by_model[model] = None
        return self._by_model[model]
