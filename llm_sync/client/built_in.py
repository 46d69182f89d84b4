"""Built-in defaults: a configuration from the usual key variables, for a user who has no configuration file.

One provider for each variable that is set, at the provider's own host or that of the variable which the provider's own package
reads, with default settings and without a list of models.
"""

from __future__ import annotations

import os
from dataclasses import replace

from llm_sync.config import search_path
from llm_sync.config.loader import ConfigLoader
from llm_sync.config.models import LLMConfig, ProviderConfig
from llm_sync.config.secrets import Secret
from llm_sync.errors import ConfigurationError
from llm_sync.events import logger

KEY_VARIABLES = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "gemini": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "openrouter": ("OPENROUTER_API_KEY",),
    "bedrock": ("AWS_BEARER_TOKEN_BEDROCK",),
}
"""Provider, which is also its type -> the variables of its key. A copy of the dialects' own, which need not be imported then."""

BASE_URL_VARIABLES = {"openai": "OPENAI_BASE_URL", "anthropic": "ANTHROPIC_BASE_URL"}
"""Provider -> the variable with another address, as the packages openai and anthropic read it."""

_log = logger("config")


def is_wanted(config_dir: str | os.PathLike[str] | None) -> bool:
    """Whether the user has no configuration at all and names neither one nor a folder of them."""
    named = config_dir is not None or os.environ.get(search_path.CONFIG_VARIABLE) or os.environ.get(search_path.FOLDER_VARIABLE)
    return not named and not search_path.available()


def built_in_config(*, strict_streaming: bool = False) -> LLMConfig | None:
    """The configuration from the usual variables, which a log message names; None if none of them is set.

    Raises ConfigurationError for an address that cannot be used.
    """
    used = {name: variable for name, names in KEY_VARIABLES.items() if (variable := _first_set(names))}
    if not used:
        return None
    elsewhere = {name: variable for name in used if (variable := _first_set((BASE_URL_VARIABLES.get(name, ""),)))}
    listed = ", ".join(f"{n} (${v}{f' at ${elsewhere[n]}' if n in elsewhere else ''})" for n, v in used.items())
    _log.info("no configuration file found: built-in defaults for %s", listed)
    return LLMConfig(
        providers={name: ProviderConfig(name, name) for name in used} | _at_other_addresses(elsewhere, used),
        strict_streaming=strict_streaming,
        keyless={name: names[-1] for name, names in KEY_VARIABLES.items() if name not in used},
    )


def _at_other_addresses(variables: dict[str, str], keys: dict[str, str]) -> dict[str, ProviderConfig]:
    """The providers whose addresses these variables hold, checked as those of a file are."""
    if not variables:
        return {}
    lines = ["providers:"]
    for name, variable in variables.items():
        lines += [f"  {name}:", f"    type: {name}", f"    api_key: ${{{keys[name]}}}", f"    base_url: ${{{variable}}}"]
    checked = ConfigLoader().load_text("\n".join(lines), "the built-in defaults").providers
    # With keys that do not name a line of this text, which the user cannot see.
    return {name: replace(each, key=Secret.from_variable(keys[name], provider=name)) for name, each in checked.items()}


def load_or_built_in(
    loader: ConfigLoader, name_or_path: str | os.PathLike[str] | None, *, strict_streaming: bool = False
) -> LLMConfig:
    """As ``ConfigLoader.load_config``; without a name and without any configuration, ``built_in_config``.

    Raises ConfigurationError, which names the ways to get an answer if there is neither a file nor a key.
    """
    try:
        return loader.load_config(name_or_path, strict_streaming=strict_streaming)
    except ConfigurationError as error:
        if name_or_path is not None or not is_wanted(loader.config_dir):
            raise
        config = built_in_config(strict_streaming=strict_streaming)
        if config is None:
            error.guidance = ways_to_an_answer()
            raise
        return config


def ways_to_an_answer() -> str:
    """What a user with neither a configuration nor a key can do."""
    variables = ", ".join(names[-1] for names in KEY_VARIABLES.values())
    return (
        f"Set the key of a provider ({variables}), or create a configuration: llm-sync init. "
        "Without a key: llm-sync simulate -- COMMAND, or a small real model: llm-sync local -- COMMAND."
    )


def _first_set(names: tuple[str, ...]) -> str | None:
    return next((name for name in names if os.environ.get(name)), None)
