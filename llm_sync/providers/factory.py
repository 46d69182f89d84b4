"""From a config's ``type`` to the dialect that speaks it; dialects are imported when first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from llm_sync.errors import ConfigurationError
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.config.models import ProviderConfig
    from llm_sync.providers.base import LLMProvider
    from llm_sync.providers.dialect import Dialect

ENTRY_POINTS = "llm_sync.providers"


class ProviderFactory:
    """The known dialects: the built-in ones, those registered here, and those that installed packages offer.

    Registering is meant for import time or program start; looking up may happen in any thread.
    """

    _classes: ClassVar[dict[str, type[Dialect | LLMProvider] | str]] = {
        "openai": "llm_sync.providers.openai.chat_completions:OpenAIDialect",
        "openai-responses": "llm_sync.providers.openai.responses:OpenAIResponsesDialect",
        "anthropic": "llm_sync.providers.anthropic.messages:AnthropicDialect",
        "gemini": "llm_sync.providers.gemini.generate_content:GeminiDialect",
        "bedrock": "llm_sync.providers.bedrock.converse:BedrockDialect",
        "gemini-interactions": "llm_sync.providers.gemini.interactions:InteractionsDialect",
        "openrouter": "llm_sync.providers.openrouter.chat_completions:OpenRouterDialect",
    }
    _standalone = "llm_sync.client.standalone:standalone_provider"  # by name: rooms above this one are not imported here
    _provider_classes: ClassVar[dict[type[Dialect], type[LLMProvider]]] = {}

    @classmethod
    def register(cls, name: str, provider: type[Dialect | LLMProvider] | str) -> None:
        """Make ``type: name`` mean ``provider``: a Dialect, "module:Class", or an LLMProvider written the former way.

        Raises ConfigurationError for anything else.
        """
        if isinstance(provider, str):
            module, _, attribute = provider.partition(":")
            if not module or not attribute:
                raise ConfigurationError(f"{provider!r} names no dialect class", guidance='Write "package.module:Class".')
        elif _dialect_of(provider) is None:
            raise ConfigurationError(f"{provider!r} is not a Dialect", guidance="Subclass llm_sync.providers.Dialect.")
        cls._classes[name] = provider

    @classmethod
    def create(cls, config: ProviderConfig | str, /, **settings: Any) -> LLMProvider:
        """A provider that works by itself: it has an HTTP client, a rate gate and retries of its own, and no queue.

        ``config``: a ProviderConfig, or a type, and then ``settings`` are those of a configuration's entry:
        ``create("openai", api_key="${OPENAI_API_KEY}", models=["gpt-4o-mini"])``. Its ``generate_response(request)`` wants a
        ModelRequest with the bare name of a model, and does not fill in a configuration's request defaults, as LLMClient does.
        In a simulation it asks the simulator. Raises ConfigurationError, also for what ``validate_config`` finds in it.
        """
        made: LLMProvider = _load("standalone", cls._standalone)(config, settings)
        return made

    @classmethod
    def types(cls) -> list[str]:
        """The names ``type`` may have, sorted."""
        return sorted({*cls._classes, *_offered()})

    @classmethod
    def types_for(cls, wanted: Iterable[str]) -> list[str]:
        """As ``types``, but looks through the installed packages only if a type in ``wanted`` is not known otherwise."""
        return sorted(cls._classes) if set(wanted) <= set(cls._classes) else cls.types()

    @classmethod
    def dialect_class(cls, name: str) -> type[Dialect]:
        """The dialect of a type. Raises ConfigurationError for an unknown type, or one that cannot be imported."""
        dialect = _dialect_of(cls._registered(name))
        assert dialect is not None  # noqa: S101  (_registered has looked)
        return dialect

    @classmethod
    def dialect(cls, config: ProviderConfig) -> Dialect:
        """The dialect of a configuration's entry: what it says can be asked without a network. Raises ConfigurationError."""
        registered: Any = cls._registered(config.type)
        if hasattr(registered, "dialect_class"):  # hooks of the former way belong to a provider
            nowhere: Any = None
            dialect: Dialect = registered(config, nowhere, nowhere).dialect
            return dialect
        made: Dialect = registered(config)
        return made

    @classmethod
    def provider_class(cls, name: str) -> type[LLMProvider]:
        """The class of providers of a type; make one with ``(config, http, retry)``. Raises ConfigurationError as above."""
        with import_lock:  # a child that is forked in the middle of the import could not finish it
            from llm_sync.providers.base import LLMProvider
            from llm_sync.providers.former_hooks import ATTRIBUTES

        registered: Any = cls._registered(name)
        if issubclass(registered, LLMProvider):
            return registered  # type: ignore[no-any-return]
        made = cls._provider_classes.get(registered)
        if made is None:
            attributes = {name: getattr(registered, name) for name in (*ATTRIBUTES, "__doc__", "__module__")}
            attributes["dialect_class"] = registered
            made = type(f"{registered.__name__.removesuffix('Dialect')}Provider", (LLMProvider,), attributes)
            made = cls._provider_classes.setdefault(registered, made)
        return made

    @classmethod
    def _registered(cls, name: str) -> type[Dialect | LLMProvider]:
        known: Any = cls._classes.get(name)
        if known is None:
            offered = _offered().get(name)
            if offered is None:
                raise ConfigurationError(f"provider type {name!r} is unknown", guidance=f"Known types: {', '.join(cls.types())}.")
            known = offered.value
        if isinstance(known, str):
            known = _load(name, known)
            if _dialect_of(known) is None:
                raise ConfigurationError(f"type {name!r} is {known!r}, which is not a Dialect")
            cls._classes[name] = known
        return known  # type: ignore[no-any-return]


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


def _dialect_of(value: object) -> type[Dialect] | None:
    """The dialect that is, or belongs to, a class that may be registered; None for anything else."""
    from llm_sync.providers.dialect import Dialect

    kind = getattr(value, "dialect_class", value) if isinstance(value, type) else None
    return kind if isinstance(kind, type) and issubclass(kind, Dialect) else None
