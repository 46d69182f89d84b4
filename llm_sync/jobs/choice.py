"""Which Batch API a provider of the configuration has, if any."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llm_sync.config.models import GOOGLE_CLOUD

if TYPE_CHECKING:
    from llm_sync.jobs.wire import BatchWire
    from llm_sync.providers.dialect import Dialect

_OPENAI, _AZURE, _GROQ = (f"llm_sync.jobs.openai_batches:{name}Batches" for name in ("OpenAI", "Azure", "Groq"))
_ANTHROPIC = "llm_sync.jobs.anthropic_batches:AnthropicBatches"
_GEMINI = "llm_sync.jobs.gemini_batches:GeminiBatches"
_MISTRAL = "llm_sync.jobs.mistral_batches:MistralBatches"

# By the type of the provider: the hosts that have a Batch API, and that API.
_HOSTS: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "openai": (
        (("api.openai.com",), _OPENAI),
        (("azure.com",), _AZURE),
        (("api.groq.com",), _GROQ),
        (("api.mistral.ai",), _MISTRAL),
    ),
    "openai-responses": ((("api.openai.com",), _OPENAI), (("azure.com",), _AZURE)),
    "anthropic": ((("api.anthropic.com", "api.aws"), _ANTHROPIC),),
    "gemini": ((("generativelanguage.googleapis.com",), _GEMINI),),
}
# In a simulation the path tells which provider is played.
_PATHS = (
    ("/azure/", _AZURE),
    ("/groq/", _GROQ),
    ("/mistral/", _MISTRAL),
    ("/openai/v1", _OPENAI),
    ("/anthropic", _ANTHROPIC),
    ("/gemini/v1beta", _GEMINI),
)
_USUAL = {"openai": _OPENAI, "openai-responses": _OPENAI, "anthropic": _ANTHROPIC, "gemini": _GEMINI}


def batch_wire(dialect: Dialect, *, asked_for: bool = False) -> type[BatchWire] | None:
    """The Batch API of a provider; None if it has none that is known here.

    ``asked_for``: the configuration names it for this provider, so that one at another address is taken for the usual one of its
    type. Raises ConfigurationError for a provider without an address.
    """
    name = _named(dialect, asked_for=asked_for)
    if name is None:
        return None
    module, _, attribute = name.partition(":")
    wire: type[BatchWire] = getattr(import_module(module), attribute)
    return wire


def _named(dialect: Dialect, *, asked_for: bool) -> str | None:
    config = dialect.config
    known = _HOSTS.get(config.type)
    if known is None or config.auth == GOOGLE_CLOUD:
        return None
    path = urlsplit(dialect.base_url()).path
    if config.simulated:
        played = next((wire for start, wire in _PATHS if path.startswith(start)), None)
        return None if played == _GEMINI and path.endswith("/openai") else played
    for domains, wire in known:
        if dialect.is_at(*domains):
            return wire
    return _USUAL[config.type] if asked_for else None
