"""OpenAI's embeddings, and those of servers with the same wire: Azure, OpenRouter, Mistral, Voyage, Ollama, vLLM, llama.cpp."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar
from urllib.parse import urlsplit

from llm_sync.models import Usage
from llm_sync.models.embeddings import EmbeddingRequest
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.answer import count
from llm_sync.providers.dialect import Dialect
from llm_sync.providers.embeddings.limits import BASE64_BYTES, TextLimits
from llm_sync.providers.embeddings.vectors import Item
from llm_sync.providers.embeddings.wire import EmbeddingWire, input_usage, objects

_FLOATS = ("float",)
_DOMAINS = {
    "openai.com": "openai",
    "azure.com": "azure",
    "openrouter.ai": "openrouter",
    "mistral.ai": "mistral",
    "voyageai.com": "voyage",
    "cohere.com": "cohere",
    "cohere.ai": "cohere",
    "perplexity.ai": "perplexity",
    "googleapis.com": "gemini",
}


class CompatibleEmbeddings(EmbeddingWire):
    """``POST {base_url}/embeddings`` of a server whose limits are not known. Vectors in digits and in base64 are read alike."""

    dimensions_field: ClassVar[str] = "dimensions"
    encoding: ClassVar[str | None] = None  # what is asked for; None: as the server likes
    formats: ClassVar[Any] = {"encoding_format": ("float", "base64"), "output_dtype": _FLOATS}

    def prepare_request(self, request: EmbeddingRequest, adjustments: Adjustments) -> dict[str, Any]:
        payload: dict[str, Any] = {"model": request.model, "input": list(request.texts)}
        if request.dimensions is not None:
            payload[self.dimensions_field] = request.dimensions
        kind = self.input_type(request, adjustments)
        if kind is not None:
            payload["input_type"] = kind
        if self.encoding is not None:
            payload["encoding_format"] = self.encoding
        return payload

    def items(self, body: Any) -> Iterable[Item]:
        return [
            Item(each.get("index"), each.get("embedding"), f"data[{number}]") for number, each in enumerate(objects(body["data"]))
        ]

    def read_usage(self, body: Any) -> Usage:
        usage = body.get("usage") if isinstance(body, dict) else None
        tokens = count(usage, "prompt_tokens")
        return input_usage(count(usage, "total_tokens") if tokens is None else tokens)


class OpenAIEmbeddings(CompatibleEmbeddings):
    """OpenAI itself, and Azure."""

    limits = TextLimits(2048, tokens=300_000)
    encoding = "base64"  # a third of the bytes
    number_bytes = BASE64_BYTES


class OpenRouterEmbeddings(CompatibleEmbeddings):
    """OpenRouter; the limits are those of the strictest of its providers."""

    limits = TextLimits(96)


class MistralEmbeddings(CompatibleEmbeddings):
    """Mistral: 256 texts, and some 16,000 tokens."""

    limits = TextLimits(256, bytes=32_000)
    dimensions_field = "output_dimension"


class VoyageEmbeddings(CompatibleEmbeddings):
    """Voyage: too long texts are refused, not cut; the strictest of its models takes 120,000 tokens."""

    limits = TextLimits(128, tokens=120_000)
    dimensions_field = "output_dimension"
    encoding = "base64"
    number_bytes = BASE64_BYTES
    input_types: ClassVar[Any] = {"query": "query", "document": "document"}

    def prepare_request(self, request: EmbeddingRequest, adjustments: Adjustments) -> dict[str, Any]:
        return {**super().prepare_request(request, adjustments), "truncation": False}


class PerplexityEmbeddings(CompatibleEmbeddings):
    """Perplexity: base64 of whole numbers from -128 to 127."""

    limits = TextLimits(96)
    encoding = "base64_int8"
    typecode = "b"
    formats: ClassVar[Any] = {"encoding_format": ("base64_int8",)}


class GoogleCompatibleEmbeddings(CompatibleEmbeddings):
    """Google's endpoint for OpenAI's clients: 100 texts, as Gemini's own."""

    limits = TextLimits(100)


class CohereCompatibleEmbeddings(CompatibleEmbeddings):
    """Cohere's endpoint for OpenAI's clients."""

    limits = TextLimits(96)


_WIRES: dict[str, type[EmbeddingWire]] = {
    "openai": OpenAIEmbeddings,
    "azure": OpenAIEmbeddings,
    "openrouter": OpenRouterEmbeddings,
    "mistral": MistralEmbeddings,
    "voyage": VoyageEmbeddings,
    "perplexity": PerplexityEmbeddings,
    "gemini": GoogleCompatibleEmbeddings,
}


def wire_of(dialect: Dialect) -> EmbeddingWire:
    """The wire of whatever server an entry of this type names, by its address. Raises ConfigurationError."""
    service = service_of(dialect)
    if service == "cohere" and "compatibility" in dialect.base_url():
        return CohereCompatibleEmbeddings(dialect)
    if service == "cohere":
        from llm_sync.providers.embeddings.cohere import CohereEmbeddings

        return CohereEmbeddings(dialect)
    return _WIRES.get(service, CompatibleEmbeddings)(dialect)


def service_of(dialect: Dialect) -> str:
    """Who answers at the entry's address, as far as it is known; "" otherwise. A simulator names in the path whom it plays."""
    if dialect.config.simulated:
        return urlsplit(dialect.base_url()).path.strip("/").partition("/")[0]
    return next((service for domain, service in _DOMAINS.items() if dialect.is_at(domain)), "")
