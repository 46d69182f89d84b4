"""Which dialect answers which path, and the base path that a client is configured with."""

from __future__ import annotations

from llm_sync.simulator.dialects import vertex
from llm_sync.simulator.dialects.anthropic.endpoint import Anthropic
from llm_sync.simulator.dialects.base import Dialect
from llm_sync.simulator.dialects.bedrock.endpoint import Bedrock
from llm_sync.simulator.dialects.embeddings.services import Cohere, Voyage
from llm_sync.simulator.dialects.gemini.endpoint import Gemini
from llm_sync.simulator.dialects.interactions.endpoint import Interactions
from llm_sync.simulator.dialects.openai.azure import Azure
from llm_sync.simulator.dialects.openai.compatible import AnthropicCompatible, GeminiCompatible
from llm_sync.simulator.dialects.openai.endpoint import OpenAI
from llm_sync.simulator.dialects.openai.hosts import XAI, Groq
from llm_sync.simulator.dialects.openai.mistral import Mistral
from llm_sync.simulator.dialects.openrouter.endpoint import OpenRouter

_OPENAI, _ANTHROPIC, _GEMINI, _OPENROUTER = OpenAI(), Anthropic(), Gemini("v1beta"), OpenRouter()
_BEDROCK, _INTERACTIONS = Bedrock(), Interactions()

# The base path by provider type. Anthropic's has no version, because its clients add /v1 themselves.
BASE_PATHS = {
    "openai": "/openai/v1",
    "openai-responses": "/openai/v1",
    "anthropic": "/anthropic",
    "gemini": "/gemini/v1beta",
    "gemini-interactions": "/gemini/v1beta",
    "openrouter": "/openrouter/api/v1",
    "bedrock": "/bedrock",
}
# Other endpoints that speak one of the types, by the simulator's own names. {model} is the place of Azure's deployment. Google
# Cloud's listing is at the root, whatever the base URL.
FURTHER_BASES = {
    "azure": "/azure/openai/v1",
    "azure-classic": "/azure/openai/deployments/{model}",
    "vertex": "/v1/projects/simulated/locations/global",
    "gemini-openai": "/gemini/v1beta/openai",
    "anthropic-openai": "/anthropic/v1",
    "groq": "/groq/openai/v1",
    "xai": "/xai/v1",
    "mistral": "/mistral/v1",
    "voyage": "/voyage/v1",
    "cohere": "/cohere/v2",
    "bedrock-openai": "/bedrock/openai/v1",
    "bedrock-anthropic": "/bedrock/anthropic",
}
_ANTHROPIC_COMPATIBLE, _AZURE = AnthropicCompatible(), Azure()
_VERTEX = {"google": vertex.Vertex("v1"), "anthropic": vertex.VertexAnthropic()}
_MOUNTS: tuple[tuple[str, Dialect], ...] = (
    ("/openai/v1", _OPENAI),
    ("/v1", _OPENAI),
    ("/azure/openai", _AZURE),
    ("/groq/openai/v1", Groq()),
    ("/xai/v1", XAI()),
    ("/mistral/v1", Mistral()),
    ("/anthropic", _ANTHROPIC),
    ("/gemini/v1beta/openai", GeminiCompatible()),
    ("/gemini/v1beta/interactions", _INTERACTIONS),
    ("/gemini/v1/interactions", _INTERACTIONS),
    ("/gemini/v1beta", _GEMINI),
    *(
        (f"/gemini/{prefix}/{version}", Gemini(version, prefix))
        for prefix in ("upload", "download")
        for version in ("v1beta", "v1")
    ),
    ("/gemini/v1alpha", Gemini("v1alpha")),
    ("/gemini/v1", Gemini("v1")),
    ("/openrouter/api/v1", _OPENROUTER),
    ("/voyage/v1", Voyage()),
    ("/cohere/v2", Cohere()),
    ("/bedrock/openai/v1", _OPENAI),
    ("/bedrock/anthropic", _ANTHROPIC),
    ("/bedrock", _BEDROCK),
)
# by provider type
DIALECT_BY_TYPE: dict[str, Dialect] = {
    "openai": _OPENAI,
    "openai-responses": _OPENAI,
    "anthropic": _ANTHROPIC,
    "gemini": _GEMINI,
    "gemini-interactions": _INTERACTIONS,
    "openrouter": _OPENROUTER,
    "bedrock": _BEDROCK,
}
_BY_NAME: dict[str, Dialect] = {"openai": _OPENAI, "anthropic": _ANTHROPIC, "gemini": _GEMINI, "openrouter": _OPENROUTER}


def base_of(name: str) -> str:
    """The base path for a provider type, or for another endpoint by its name; ValueError if it is not simulated."""
    bases = {**FURTHER_BASES, **BASE_PATHS}
    if name not in bases:
        raise ValueError(f"type {name!r} is not simulated; use one of {', '.join((*BASE_PATHS, *FURTHER_BASES))}")
    return bases[name]


def route(path: str) -> tuple[Dialect, str] | None:
    """The dialect of a path, and the path after its base. If only the first part fits: the whole path, for it to refuse."""
    published = vertex.PATH.fullmatch(path)
    if published:
        return _VERTEX[published[1]], path
    if path == "/anthropic/v1/chat/completions":
        return _ANTHROPIC_COMPATIBLE, path.removeprefix("/anthropic/v1")
    if path.startswith("/openai/deployments/"):  # as on Azure's hosts
        return _AZURE, path.removeprefix("/openai")
    for base, dialect in _MOUNTS:
        if path.startswith(base) and path[len(base) : len(base) + 1] in ("", "/"):
            return dialect, path[len(base) :] or "/"
    dialect_name = path[1:].partition("/")[0]
    if dialect_name in _BY_NAME:
        return _BY_NAME[dialect_name], path
    return None
