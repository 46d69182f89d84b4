"""How the semantic conventions of OpenTelemetry call the providers of a configuration, and where these are."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from llm_sync.config.models import GOOGLE_CLOUD, ProviderConfig

_OWN_HOSTS = {
    "openai": "api.openai.com",
    "openai-responses": "api.openai.com",
    "anthropic": "api.anthropic.com",
    "gemini": "generativelanguage.googleapis.com",
    "gemini-interactions": "generativelanguage.googleapis.com",
    "openrouter": "openrouter.ai",
}
_BY_HOST = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x_ai",
    "api.perplexity.ai": "perplexity",
}
_BY_TYPE = {"openai": "openai", "openai-responses": "openai", "anthropic": "anthropic", "gemini": "gcp.gemini"}
_BY_TYPE["gemini-interactions"] = _BY_TYPE["gemini"]
_BEDROCK = "aws.bedrock"
_PORTS = {"https": 443, "http": 80}


def attributes_of(provider: ProviderConfig) -> dict[str, Any]:
    """The attributes that every span and measurement of a provider has."""
    parts = urlsplit(provider.base_url or "")
    host = (parts.hostname or _OWN_HOSTS.get(provider.type, "")).lower()
    known: dict[str, Any] = {
        "gen_ai.provider.name": _name(provider, host),
        "llm_sync.provider": provider.name,
    }
    if host:
        known["server.address"] = host
        known["server.port"] = parts.port or _PORTS.get(parts.scheme, 443)
    return known


def _name(provider: ProviderConfig, host: str) -> str:
    """A name of the conventions; where they have none, the dialect's for a server of its own, else the entry's."""
    if provider.auth == GOOGLE_CLOUD:
        return "gcp.vertex_ai" if provider.type.startswith("gemini") else _BY_TYPE.get(provider.type, provider.name)
    if host in _BY_HOST:
        return _BY_HOST[host]
    if host.endswith((".openai.azure.com", ".services.ai.azure.com")):
        return "azure.ai.openai"
    if provider.type == "bedrock" or (host.startswith("bedrock") and host.endswith((".amazonaws.com", ".api.aws"))):
        return _BEDROCK
    own = provider.base_url is None or provider.simulated
    return _BY_TYPE.get(provider.type, provider.type) if own else provider.name
