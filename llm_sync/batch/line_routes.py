"""The routes that the lines of a batch name: which there are, and what their answers depend on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llm_sync.batch.input.settings_hash import settings_hash
from llm_sync.config.models import LLMConfig
from llm_sync.config.routes import ResolvedRoute, resolve_route
from llm_sync.models.route import Route

Settings = dict[str, Any]


class LineRoutes:
    """The routes of one run. A routed line is counted, queued and recorded under its route's first model.

    ``name(model)``: the name of the route that a model's name stands for, None for a single model. ``settings_for(target)``: the
    settings of a single model. ``models``: those of the run. One thread at a time uses it.
    """

    def __init__(
        self,
        config: LLMConfig,
        name: Callable[[str | None], str | None],
        settings_for: Callable[[Route], Settings],
        models: Sequence[str],
    ) -> None:
        self._config = config
        self._name = name
        self._settings_for = settings_for
        self._models = models
        self._routes: dict[str, ResolvedRoute] = {}
        self._digests: dict[Route, dict[str, Settings]] = {}  # by the first model: digest -> settings
        for model in models:
            self.use(model)

    def model(self, number: int, target: Route) -> str:
        """How a line is sent to the run's model of this number: a route by its name, another one by its full name."""
        return self._name(self._models[number]) or "/".join(target)

    def use(self, model: str | None) -> None:
        """Lines name this model: if it is a route, answers given under its settings are this run's. Raises as resolve_route."""
        name = self._name(model)
        if name is not None and name not in self._routes:
            route = self._routes[name] = resolve_route(self._config, name)
            settings = self._settings(route)
            self._digests.setdefault(route.entries[0].target, {})[settings_hash(settings)] = settings

    def digest(self, name: str, target: Route) -> str:
        """The hash of the settings of lines that name this route."""
        self.use(name)
        wanted = self._settings(self._routes[name])
        return next(digest for digest, settings in self._digests[target].items() if settings == wanted)

    def digests(self, target: Route) -> dict[str, Settings]:
        """The settings, by their hash, of all routes in use whose first model is ``target``."""
        return self._digests.get(target, {})

    def all(self) -> dict[str, Settings]:
        """The settings of all routes in use, by their hash."""
        return {digest: settings for of_target in self._digests.values() for digest, settings in of_target.items()}

    def concurrency(self, provider: str) -> int:
        """How many requests that begin at ``provider`` may be in flight at once, with it or with another of their routes."""
        behind = [route.providers() for route in self._routes.values() if route.entries[0].target.provider == provider]
        names = {provider, *(name for names in behind for name in names)}
        return sum(self._config.providers[name].concurrency for name in names)

    def _settings(self, route: ResolvedRoute) -> Settings:
        """What an answer of a route depends on: the settings of its first model, and which others there are."""
        entries = [
            {
                "model": "/".join(entry.target),
                **{name: value for name, value in entry.settings.items() if value is not None},
                "of": self._settings_for(entry.target),
            }
            for entry in route.entries
        ]
        return {**self._settings_for(route.entries[0].target), "route": entries, "go_on_after": sorted(route.classes)}
