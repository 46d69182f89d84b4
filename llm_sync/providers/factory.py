"""From a config's ``type`` to the class that speaks it; classes are imported when first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from llm_sync.errors import ConfigurationError
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.providers.base import LLMProvider

ENTRY_POINTS = "llm_sync.providers"


class ProviderFactory:
    """The known dialects: the built-in ones, those registered here, and those installed packages offer.

    Registering is meant for import time or program start; looking up may happen in any thread.
    """

    _classes: ClassVar[dict[str, str | type[LLMProvider]]] = {
        "openai": "llm_sync.providers.openai.chat_completions:OpenAIProvider",
        "openai-responses": "llm_sync.providers.openai.responses:OpenAIResponsesProvider",
        "anthropic": "llm_sync.providers.anthropic.messages:AnthropicProvider",
        "gemini": "llm_sync.providers.gemini.generate_content:GeminiProvider",
        "openrouter": "llm_sync.providers.openrouter.chat_completions:OpenRouterProvider",
    }

    @classmethod
    def register(cls, name: str, provider: str | type[LLMProvider]) -> None:
        """Make ``type: name`` mean ``provider``, a class or "module:Class". Raises ConfigurationError for anything else."""
        if isinstance(provider, str):
            module, _, attribute = provider.partition(":")
            if not module or not attribute:
                raise ConfigurationError(f"{provider!r} names no provider class", guidance='Write "package.module:Class".')
        elif not _is_provider(provider):
            raise ConfigurationError(
                f"{provider!r} is not an LLMProvider", guidance="Subclass llm_sync.providers.base.LLMProvider."
            )
        cls._classes[name] = provider

    @classmethod
    def types(cls) -> list[str]:
        """The names ``type`` may have, sorted."""
        return sorted({*cls._classes, *_offered()})

    @classmethod
    def types_for(cls, wanted: Iterable[str]) -> list[str]:
        """As ``types``, without looking through the installed packages when all of ``wanted`` are known without."""
        return sorted(cls._classes) if set(wanted) <= set(cls._classes) else cls.types()

    @classmethod
    def provider_class(cls, name: str) -> type[LLMProvider]:
        """The class for a type. Raises ConfigurationError for an unknown one, or one that cannot be imported."""
        found: Any = cls._classes.get(name)
        if found is None:
            offered = _offered().get(name)
            if offered is None:
                raise ConfigurationError(f"provider type {name!r} is unknown", guidance=f"Known types: {', '.join(cls.types())}.")
            found = offered.value
        if isinstance(found, str):
            found = _load(name, found)
            if not _is_provider(found):
                raise ConfigurationError(f"type {name!r} is {found!r}, which is not an LLMProvider")
            cls._classes[name] = found
        return found  # type: ignore[no-any-return]


def _load(name: str, target: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        with import_lock:
            return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"provider type {name!r} ({target}) cannot be imported: {error}",
            guidance="Install or repair the package that offers it.",
        ) from error


def _offered() -> dict[str, Any]:
    from importlib.metadata import entry_points  # costs 4 × a bare start: only when a type is not our own

    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _is_provider(value: object) -> bool:
    from llm_sync.providers.base import LLMProvider

    return isinstance(value, type) and issubclass(value, LLMProvider)
