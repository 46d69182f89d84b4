"""The provider prefixes of litellm's model names: each provider's dialect, base URL and environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from llm_sync.compat.litellm.exceptions import BadRequestError
from llm_sync.compat.shim.settings import Settings, pairs

_BARE = ((re.compile(r"(?:gpt-|o\d|chatgpt-|ft:gpt-)"), "openai"), (re.compile(r"claude-"), "anthropic"))


class Known(NamedTuple):
    """One prefix: the provider's type, its base_url if it differs from the type's default, and its variables."""

    type: str = "openai"
    base_url: str | None = None
    keys: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()


KNOWN: dict[str, Known] = {
    "openai": Known(keys=("OPENAI_API_KEY",), bases=("OPENAI_BASE_URL", "OPENAI_API_BASE")),
    "azure": Known(keys=("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"), bases=("AZURE_API_BASE",)),
    "anthropic": Known("anthropic", None, ("ANTHROPIC_API_KEY",), ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL")),
    "gemini": Known("gemini", None, ("GEMINI_API_KEY", "GOOGLE_API_KEY"), ("GEMINI_API_BASE",)),
    "openrouter": Known("openrouter", None, ("OPENROUTER_API_KEY",), ("OPENROUTER_API_BASE",)),
    "groq": Known(base_url="https://api.groq.com/openai/v1", keys=("GROQ_API_KEY",), bases=("GROQ_API_BASE",)),
    "mistral": Known(base_url="https://api.mistral.ai/v1", keys=("MISTRAL_API_KEY",), bases=("MISTRAL_API_BASE",)),
    "deepseek": Known(base_url="https://api.deepseek.com", keys=("DEEPSEEK_API_KEY",), bases=("DEEPSEEK_API_BASE",)),
    "xai": Known(base_url="https://api.x.ai/v1", keys=("XAI_API_KEY",), bases=("XAI_API_BASE",)),
    "together_ai": Known(base_url="https://api.together.xyz/v1", keys=("TOGETHERAI_API_KEY", "TOGETHER_AI_API_KEY")),
    "cerebras": Known(base_url="https://api.cerebras.ai/v1", keys=("CEREBRAS_API_KEY",)),
    "perplexity": Known(base_url="https://api.perplexity.ai", keys=("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY")),
    "moonshot": Known(base_url="https://api.moonshot.ai/v1", keys=("MOONSHOT_API_KEY",)),
    "huggingface": Known(base_url="https://router.huggingface.co/v1", keys=("HUGGINGFACE_API_KEY", "HF_TOKEN")),
    "ollama": Known(base_url="http://localhost:11434", bases=("OLLAMA_API_BASE",)),
    "hosted_vllm": Known(base_url="http://localhost:8000/v1", keys=("HOSTED_VLLM_API_KEY",), bases=("HOSTED_VLLM_API_BASE",)),
    "lm_studio": Known(base_url="http://localhost:1234/v1", keys=("LM_STUDIO_API_KEY",), bases=("LM_STUDIO_API_BASE",)),
}
_SAME = {"ollama_chat": "ollama", "custom_openai": "openai", "openai_like": "openai", "together": "together_ai"}


def is_known(model: Any, custom: Any) -> bool:
    """Whether ``named`` knows the provider of the model."""
    head, rest = _split(str(model or ""), custom)
    return head in KNOWN and bool(rest)


def _split(text: str, custom: Any) -> tuple[str, str]:
    head, slash, rest = text.partition("/")
    if custom:
        head, rest = str(custom), text.removeprefix(f"{custom}/")
    elif not slash:
        head, rest = next((provider for pattern, provider in _BARE if pattern.match(text)), ""), text
    return _SAME.get(head, head), rest


def named(model: Any, custom: Any) -> tuple[str, str]:
    """The provider's prefix and the model's bare name. Raises BadRequestError for an unknown provider."""
    text = str(model or "")
    head, rest = _split(text, custom)
    if head not in KNOWN or not rest:
        raise BadRequestError(
            f"LLM Provider NOT provided. Pass in the LLM provider you are trying to call. You passed model={text[:80]}. llm-sync "
            f"knows {', '.join(KNOWN)}; others need a configuration",
            model=text,
        )
    return head, rest


def settings_for(prefix: str, given: Mapping[str, Any], module: Any) -> Settings:
    """The endpoint of a provider: the call's arguments, litellm's module settings, then the environment."""
    known = KNOWN[prefix]
    key = given.get("api_key") or module.api_key or getattr(module, f"{prefix}_key", None) or _first(known.keys)
    base = given.get("api_base") or given.get("base_url") or module.api_base or _first(known.bases) or known.base_url
    version = organization = None
    if prefix == "azure":
        version = given.get("api_version") or module.api_version or os.environ.get("AZURE_API_VERSION")
    elif prefix == "openai":
        organization = given.get("organization") or module.organization
    return _endpoint(prefix, key and str(key), base and str(base).rstrip("/"), version, organization)


@lru_cache(maxsize=64)
def _endpoint(prefix: str, key: str | None, base: str | None, version: str | None, organization: str | None) -> Settings:
    """Cached by its arguments, because every call needs it."""
    headers = pairs({"OpenAI-Organization": organization})
    if prefix == "ollama" and base and not base.endswith("/v1"):
        base = f"{base}/v1"
    if prefix != "azure":
        return Settings(prefix, KNOWN[prefix].type, key, base, headers)
    deployments = f"{base}/openai/deployments/{{model}}" if base else None
    return Settings("azure", "openai", key, deployments, headers, pairs({"api-version": version}), key_header="api-key")


def _first(variables: tuple[str, ...]) -> str | None:
    return next((value for name in variables if (value := os.environ.get(name))), None)
