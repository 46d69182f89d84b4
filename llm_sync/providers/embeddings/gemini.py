"""Google's embeddings: batchEmbedContents of the Gemini Developer API, predict on Google Cloud (Vertex AI)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from llm_sync.models import Usage
from llm_sync.models.embeddings import EmbeddingRequest
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.answer import count, total
from llm_sync.providers.dialect import Dialect
from llm_sync.providers.embeddings.limits import TextLimits
from llm_sync.providers.embeddings.vectors import Item
from llm_sync.providers.embeddings.wire import LIST, EmbeddingWire, input_usage, objects
from llm_sync.providers.google_cloud import on_google_cloud
from llm_sync.providers.payload import merge

_TYPES = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "similarity": "SEMANTIC_SIMILARITY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
_OWN_FIELDS = EmbeddingWire.forbidden | {"content"}
_ONE_TEXT = "gemini-embedding-001"  # Google Cloud takes one text at a time for it


class GeminiEmbeddings(EmbeddingWire):
    """``POST {base_url}/models/MODEL:batchEmbedContents``: 100 texts; the vectors are in their order, without an index."""

    limits = TextLimits(100)
    indexed = False
    input_types: ClassVar[Mapping[str, str]] = _TYPES
    response_schema: ClassVar[Mapping[str, Any]] = {"embeddings": LIST}

    def path_for(self, model: str) -> str:
        return f"/models/{quote(model.removeprefix('models/'), safe='/@')}:batchEmbedContents"

    def prepare_request(self, request: EmbeddingRequest, adjustments: Adjustments) -> dict[str, Any]:
        each: dict[str, Any] = {"model": f"models/{(request.model or '').removeprefix('models/')}"}
        kind = self.input_type(request, adjustments)
        options: dict[str, Any] = {} if kind is None else {"taskType": kind}
        if request.dimensions is not None:
            options["outputDimensionality"] = request.dimensions
        merge(options, request.provider_specific, adjustments, _OWN_FIELDS)  # of each text: the batch itself has no settings
        return {"requests": [{**each, "content": {"parts": [{"text": text}]}, **options} for text in request.texts]}

    def normalize_extras(self, extras: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}  # they stand in each of the requests

    def items(self, body: Any) -> Iterable[Item]:
        embeddings = objects(body["embeddings"])
        return [Item(number, each.get("values"), f"embeddings[{number}]") for number, each in enumerate(embeddings)]

    def read_usage(self, body: Any) -> Usage:
        usage = body.get("usageMetadata") if isinstance(body, dict) else None
        return input_usage(count(usage, "promptTokenCount"))


class VertexEmbeddings(EmbeddingWire):
    """``:predict`` on Google Cloud: 250 texts of 20,000 tokens, or one text. Too long texts are refused, not cut."""

    limits = TextLimits(250, tokens=20_000)
    indexed = False
    input_types: ClassVar[Mapping[str, str]] = _TYPES
    response_schema: ClassVar[Mapping[str, Any]] = {"predictions": LIST}

    def path_for(self, model: str) -> str:
        return f"/publishers/google/models/{quote(model.removeprefix('models/'), safe='/@')}:predict"

    def limits_for(self, model: str, dimensions: int | None) -> TextLimits:
        limits = super().limits_for(model, dimensions)
        return limits.with_texts(1) if model.removeprefix("models/").startswith(_ONE_TEXT) else limits

    def prepare_request(self, request: EmbeddingRequest, adjustments: Adjustments) -> dict[str, Any]:
        kind = self.input_type(request, adjustments)
        options = {} if kind is None else {"task_type": kind}
        parameters: dict[str, Any] = {"autoTruncate": False}
        if request.dimensions is not None:
            parameters["outputDimensionality"] = request.dimensions
        return {"instances": [{"content": text, **options} for text in request.texts], "parameters": parameters}

    def items(self, body: Any) -> Iterable[Item]:
        embeddings = _embeddings(body)
        return [Item(number, each.get("values"), f"predictions[{number}].embeddings") for number, each in enumerate(embeddings)]

    def read_usage(self, body: Any) -> Usage:
        return input_usage(total(*(count(each, "statistics", "token_count") for each in _embeddings(body))))

    def cut_texts(self, body: Any) -> tuple[int, ...]:
        statistics = [each.get("statistics") for each in _embeddings(body)]
        return tuple(number for number, each in enumerate(statistics) if isinstance(each, dict) and each.get("truncated") is True)


def wire_of(dialect: Dialect) -> EmbeddingWire:
    """The wire of the API that an entry of this type names."""
    return VertexEmbeddings(dialect) if on_google_cloud(dialect.config) else GeminiEmbeddings(dialect)


def _embeddings(body: Any) -> list[Mapping[str, Any]]:
    predictions = objects(body.get("predictions")) if isinstance(body, dict) else []
    return [inner if isinstance(inner := each.get("embeddings"), dict) else {} for each in predictions]
