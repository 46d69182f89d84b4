"""Cohere's own embeddings: ``POST /v2/embed``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from llm_sync.models import Usage
from llm_sync.models.embeddings import EmbeddingRequest
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.answer import count
from llm_sync.providers.embeddings.limits import TextLimits
from llm_sync.providers.embeddings.vectors import Item
from llm_sync.providers.embeddings.wire import EmbeddingWire, input_usage

_USUAL_TYPE = "search_document"


class CohereEmbeddings(EmbeddingWire):
    """An entry of type openai with base_url https://api.cohere.com/v2. Too long texts are refused, not cut.

    The vectors are in the order of the texts: they have no index.
    """

    path = "/embed"
    limits = TextLimits(96)
    indexed = False
    input_types: ClassVar[Mapping[str, str]] = {
        "query": "search_query",
        "document": _USUAL_TYPE,
        "classification": "classification",
        "clustering": "clustering",
    }
    response_schema: ClassVar[Mapping[str, Any]] = {
        "embeddings": {"type": "dict", "required": True, "schema": {"float": {"type": "list", "required": True}}}
    }
    formats: ClassVar[Mapping[str, tuple[Any, ...]]] = {"embedding_types": (["float"],)}

    def path_for(self, model: str) -> str:
        return self.path if urlsplit(self.base_url()).path.rstrip("/").endswith("/v2") else f"/v2{self.path}"

    def prepare_request(self, request: EmbeddingRequest, adjustments: Adjustments) -> dict[str, Any]:
        kind = self.input_type(request, adjustments)
        if kind is None:
            kind = _USUAL_TYPE
            adjustments.note("input_type", None, kind, "Cohere requires one")
        payload: dict[str, Any] = {"model": request.model, "texts": list(request.texts), "input_type": kind}
        payload |= {"embedding_types": ["float"], "truncate": "NONE"}
        if request.dimensions is not None:
            payload["output_dimension"] = request.dimensions
        return payload

    def items(self, body: Any) -> Iterable[Item]:
        floats = body["embeddings"]["float"]
        return [Item(number, each, f"embeddings.float[{number}]") for number, each in enumerate(floats)]

    def read_usage(self, body: Any) -> Usage:
        return input_usage(count(body, "meta", "billed_units", "input_tokens"))
