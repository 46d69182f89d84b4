"""Dialects written the former way: a subclass of LLMProvider with hooks of underscored names. Deprecated, they still work.

Such a class gets a Dialect of its own, made here, whose methods call the hooks; ``super()`` calls in a hook reach the dialect
that the class builds on. Deleting this module, and FormerHooks from the bases of LLMProvider, ends it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

from llm_sync.config.models import ProviderConfig
from llm_sync.providers import own_answers
from llm_sync.providers.dialect import Dialect

HOOKS = {
    "_prepare_request": "prepare_request",
    "_read_answer": "read_answer",
    "_read_usage": "read_usage",
    "_cost_in": "cost_in",
    "_read_listing": "read_listing",
    "_schema_for": "schema_for",
    "_listing_schema_for": "listing_schema_for",
    "_unwrapped": "unwrap",
    "_error_in": "error_in",
    "_partial_text": "partial_text",
    "_request_id": "request_id",
    "_classify": "classify",
    "_normalized_extras": "normalize_extras",
    "_base_url": "base_url",
    "_path_for": "path_for",
}
"""The former name of each method of Dialect."""

ATTRIBUTES = tuple(name for name in Dialect.__annotations__ if not name.startswith("_"))
"""The data of a dialect, which stood on the provider's class."""


class FormerHooks:
    """What LLMProvider inherits for the sake of such subclasses: their dialect, and the hooks to call by ``super()``."""

    dialect_class: ClassVar[type[Dialect]]
    dialect: Dialect

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        own = dict(vars(cls))
        hooks = {former: public for former, public in HOOKS.items() if former in own}
        data = {name: own[name] for name in ATTRIBUTES if name in own}
        if "dialect_class" not in own and (hooks or data):
            cls._bridge(hooks, data)
        if FormerHooks not in cls.__bases__:  # that is LLMProvider itself
            for name, value in own_answers.adapt(cls, own).items():
                setattr(cls, name, value)

    @classmethod
    def _bridge(cls, hooks: dict[str, str], data: dict[str, Any]) -> None:
        warnings.warn(
            f"{cls.__name__} is a dialect written as a subclass of LLMProvider, which is deprecated: derive it from"
            " llm_sync.providers.Dialect, and write its methods without the leading underscore (docs/providers.md)",
            DeprecationWarning,
            stacklevel=4,
        )
        methods = {public: _calling(former) for former, public in hooks.items()}
        cls.dialect_class = type(cls.__name__, (_Bridge, cls.dialect_class), {**data, **methods})

    def _made_dialect(self, config: ProviderConfig) -> Dialect:
        """The dialect of this provider, which its hooks, where it has some, are part of."""
        dialect = self.dialect_class(config)
        if isinstance(dialect, _Bridge):
            dialect.provider = self
        return dialect


class _Bridge(Dialect):
    """A dialect whose methods are hooks of ``provider``."""

    provider: Any


def _calling(former: str) -> Callable[..., Any]:
    """A method of a dialect that calls the provider's hook."""

    def method(self: _Bridge, *arguments: Any) -> Any:
        return getattr(self.provider, former)(*arguments)

    return method


def _inherited(public: str) -> Callable[..., Any]:
    """A hook as LLMProvider has it: what the dialect does that the class builds on."""

    def hook(self: FormerHooks, *arguments: Any) -> Any:
        plain = next(kind for kind in type(self.dialect).__mro__ if not issubclass(kind, _Bridge))
        return getattr(plain, public)(self.dialect, *arguments)

    return hook


for _former, _public in HOOKS.items():
    setattr(FormerHooks, _former, _inherited(_public))
for _name in ATTRIBUTES:
    setattr(FormerHooks, _name, getattr(Dialect, _name))
