"""Embeddings on Amazon Bedrock: InvokeModel, with the form of each maker: Titan, Nova and Cohere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from llm_sync.models import Usage
from llm_sync.models.embeddings import EmbeddingRequest
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.answer import count
from llm_sync.providers.embeddings.limits import TextLimits
from llm_sync.providers.embeddings.vectors import Item
from llm_sync.providers.embeddings.wire import EmbeddingWire, input_usage, objects

_COHERE, _NOVA = re.compile(r"cohere\.embed"), re.compile(r"amazon\.nova")
_COHERE_TYPES = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}
_NOVA_TYPES = {
    "query": "GENERIC_RETRIEVAL",
    "document": "GENERIC_INDEX",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}


class BedrockEmbeddings(EmbeddingWire):
    """``POST {base_url}/model/MODEL/invoke``. Cohere takes 96 texts, the others one. Too long texts are refused, not cut.

    Each answer tells its form by itself. The vectors have no index.
    """

    limits = TextLimits(1)
    indexed = False
    response_schema: ClassVar[Mapping[str, Any]] = {}
    formats: ClassVar[Mapping[str, tuple[Any, ...]]] = {"embeddingTypes": (["float"],), "embedding_types": (["float"],)}
    forbidden = EmbeddingWire.forbidden | {"inputText", "singleEmbeddingParams", "taskType"}

    def path_for(self, model: str) -> str:
        return f"/model/{quote(model, safe='')}/invoke"

    def limits_for(self, model: str, dimensions: int | None) -> TextLimits:
        limits = TextLimits(96) if _COHERE.search(model) else self.limits
        return limits.of_answers(self.config.max_response_bytes, self.number_bytes, dimensions)

    def prepare_request(self, request: EmbeddingRequest, adjustments: Adjustments) -> dict[str, Any]:
        model = request.model or ""
        if _COHERE.search(model):
            return self._cohere(request, adjustments)
        if _NOVA.search(model):
            return self._nova(request, adjustments)
        if request.input_type is not None:
            adjustments.lose("input_type", request.input_type, None, "Titan has no types of input")
        payload: dict[str, Any] = {"inputText": request.texts[0]}
        if request.dimensions is not None:
            payload["dimensions"] = request.dimensions
        return payload

    def _cohere(self, request: EmbeddingRequest, adjustments: Adjustments) -> dict[str, Any]:
        kind = _COHERE_TYPES.get(request.input_type or "", request.input_type)
        if kind is None:
            kind = "search_document"
            adjustments.note("input_type", None, kind, "Cohere requires one")
        payload: dict[str, Any] = {"texts": list(request.texts), "input_type": kind}
        payload |= {"embedding_types": ["float"], "truncate": "NONE"}
        if request.dimensions is not None:
            payload["output_dimension"] = request.dimensions
        return payload

    def _nova(self, request: EmbeddingRequest, adjustments: Adjustments) -> dict[str, Any]:
        kind = _NOVA_TYPES.get(request.input_type or "", request.input_type)
        if kind is None:
            kind = "GENERIC_INDEX"
            adjustments.note("input_type", None, kind, "Nova requires a purpose")
        text = {"truncationMode": "NONE", "value": request.texts[0]}
        asked: dict[str, Any] = {"embeddingPurpose": kind, "text": text}
        if request.dimensions is not None:
            asked["embeddingDimension"] = request.dimensions
        return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": asked}

    def items(self, body: Any) -> Iterable[Item]:
        if not isinstance(body, dict):
            return []
        if "embedding" in body:
            return [Item(0, body["embedding"], "embedding")]
        vectors = body.get("embeddings")
        if isinstance(vectors, dict):
            vectors = vectors.get("float")
        if not isinstance(vectors, list):
            return []
        if vectors and isinstance(vectors[0], dict):
            return [Item(number, each.get("embedding"), f"embeddings[{number}]") for number, each in enumerate(objects(vectors))]
        return [Item(number, each, f"embeddings[{number}]") for number, each in enumerate(vectors)]

    def read_usage(self, body: Any) -> Usage:
        return input_usage(count(body, "inputTextTokenCount"))

    def without_vectors(self, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        return {name: value for name, value in body.items() if name not in ("embedding", "embeddings", "texts")}
