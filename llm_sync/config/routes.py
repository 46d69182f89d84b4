"""Routes: several models under one name, asked in turn until one answers. Finds the route that a model's name stands for.

Uses no threads and no network, as routing.py does not either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from llm_sync.config.models import LLMConfig, ModelRoute, RouteEntry
from llm_sync.config.routing import target_of
from llm_sync.errors import AuthenticationError, InvalidRequestError
from llm_sync.models.frozen import Frozen, dataclass
from llm_sync.models.route import Route

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, repr=False, eq=False)
class ResolvedEntry(Frozen):
    """One entry of a route, with the model that it names found. ``settings``: values for requests that do not have them;
    ``attempts``: likewise for the options of attempts; ``weight``: its share under ``spread: weights``."""

    target: Route
    settings: Mapping[str, Any] = field(default_factory=dict)
    attempts: Mapping[str, Any] = field(default_factory=dict)
    weight: int = 1


@dataclass(frozen=True, repr=False, eq=False)
class ResolvedRoute(Frozen):
    """A route whose entries are found. ``name``: as the request named it; ``classes``: see ``ModelRoute.go_on_after``."""

    name: str
    entries: tuple[ResolvedEntry, ...]
    classes: frozenset[str]
    spread: str | None = None

    def providers(self) -> tuple[str, ...]:
        """The providers of its entries, each once."""
        return tuple(dict.fromkeys(entry.target.provider for entry in self.entries))

    def without_spread(self) -> ResolvedRoute:
        """The same entries, always in their order."""
        return ResolvedRoute(self.name, self.entries, self.classes)


def is_route(config: LLMConfig, model: str | None) -> bool:
    """Whether ``model`` (None: the configuration's default) names a route, or lists models with commas between."""
    if model is None or not model.strip():
        model = config.default_model
    return model is not None and (model in config.routes or ("," in model and not config.listing(model)))


def resolve_route(config: LLMConfig, model: str | None) -> ResolvedRoute:
    """The route that ``model`` stands for, in the sense of ``is_route``.

    Raises ModelNotFoundError for an entry that no provider fits, InvalidRequestError for an ad hoc route with an empty part or
    with one model twice, AuthenticationError if the configuration's entry needs a variable that is not set.
    """
    if model is None or not model.strip():
        model = config.default_model
    name = str(model)
    route = config.routes.get(name) or ModelRoute(name, tuple(_ad_hoc(name)))
    if route.unset:
        needs = ", ".join(f"{unset.variable} (for {unset.field})" for unset in route.unset)
        raise AuthenticationError(
            f"the environment does not set {needs}",
            guidance=f"Set it before the configuration is read, as in: export {route.unset[0].variable}=…",
        )
    entries = tuple(_resolved(config, entry) for entry in route.entries)
    targets = [entry.target for entry in entries]
    twice = next((target for target in targets if targets.count(target) > 1), None)
    if twice is not None:
        raise InvalidRequestError(f"the route {name!r} names {'/'.join(twice)} twice", guidance="Name each model once.")
    return ResolvedRoute(name, entries, route.go_on_after, route.spread)


def _ad_hoc(name: str) -> Iterator[RouteEntry]:
    for part in name.split(","):
        if not part.strip():
            raise InvalidRequestError(
                f"{name!r} has an empty part", guidance="Write the models of a route with a comma between: a/x,b/y."
            )
        yield RouteEntry(part.strip())


def _resolved(config: LLMConfig, entry: RouteEntry) -> ResolvedEntry:
    if entry.model in config.routes:
        raise InvalidRequestError(f"{entry.model!r} is a route itself", guidance="Write the models that it consists of.")
    return ResolvedEntry(target_of(config, entry.model), entry.settings, entry.attempts, entry.weight)
