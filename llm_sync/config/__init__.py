"""From a YAML file to a checked, frozen LLMConfig. Names are imported on first use: the models need neither YAML nor Cerberus."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_sync.config.loader import ConfigLoader
    from llm_sync.config.models import Auth, LLMConfig, ModelEntry, ProviderConfig, RequestDefaults, Unset
    from llm_sync.config.pricing import PriceTier, Pricing
    from llm_sync.config.secrets import Secret
    from llm_sync.config.validator import ConfigValidator

_HOME = {
    "Auth": "models",
    "ConfigLoader": "loader",
    "ConfigValidator": "validator",
    "LLMConfig": "models",
    "ModelEntry": "models",
    "PriceTier": "pricing",
    "Pricing": "pricing",
    "ProviderConfig": "models",
    "RequestDefaults": "models",
    "Secret": "secrets",
    "Unset": "models",
}
__all__ = [
    "Auth",
    "ConfigLoader",
    "ConfigValidator",
    "LLMConfig",
    "ModelEntry",
    "PriceTier",
    "Pricing",
    "ProviderConfig",
    "RequestDefaults",
    "Secret",
    "Unset",
]

if not TYPE_CHECKING:  # type checkers would believe in any name, even a misspelt one

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value
