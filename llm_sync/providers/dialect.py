"""What a dialect says of its wire; everything else about a provider is the same for all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from llm_sync import errors
from llm_sync.config.models import ProviderConfig
from llm_sync.models import ModelRequest, Usage
from llm_sync.providers.answer import Answer
from llm_sync.providers.error_mapping import ErrorClass, Fault, error_class
from llm_sync.providers.payload import Changes


class Dialect(ABC):
    """The attributes and hooks in which dialects differ; their defaults are OpenAI's ways, or nothing."""

    type: ClassVar[str] = ""
    default_base_url: ClassVar[str | None] = None
    key_variables: ClassVar[tuple[str, ...]] = ()  # read when no key is configured, on the dialect's own host only
    key_header: ClassVar[str] = "Authorization"
    key_prefix: ClassVar[str] = "Bearer "
    fixed_headers: ClassVar[Mapping[str, str]] = {}
    path: ClassVar[str] = "/chat/completions"
    listing_path: ClassVar[str] = "/models"
    listing_query: ClassVar[Mapping[str, str]] = {}  # of the first page
    request_id_headers: ClassVar[tuple[str, ...]] = ("x-request-id", "request-id")
    response_schema: ClassVar[Mapping[str, Any]] = {}
    listing_schema: ClassVar[Mapping[str, Any]] = {
        "data": {
            "type": "list",
            "required": True,
            "nullable": True,
            "schema": {"type": "dict", "schema": {"id": {"type": "string", "required": True}}},
        }
    }
    error_words: ClassVar[Mapping[str, ErrorClass]] = {}
    forbidden: ClassVar[frozenset[str]] = frozenset({"model", "messages", "prompt", "input", "contents"})
    keys_page: ClassVar[str | None] = None
    billing_page: ClassVar[str | None] = None

    config: ProviderConfig
    name: str

    @abstractmethod
    def _prepare_request(self, request: ModelRequest, changes: Changes) -> dict[str, Any]:
        """The payload for ``request``, without provider_specific; what cannot be sent goes through ``changes``."""

    @abstractmethod
    def _read_answer(self, body: Any) -> Answer:
        """What ``body``, which fits the response schema, says."""

    def _read_usage(self, body: Any) -> Usage:
        """The token counts of any body whatsoever; unknown ones None."""
        return Usage()

    def _cost_in(self, body: Any) -> float | None:
        """What the answer cost in USD, where any body whatsoever tells."""
        return None

    def _read_listing(self, body: Any) -> tuple[list[str], dict[str, str] | None]:
        """The model ids of a page, and the query of the next one or None."""
        return [item["id"] for item in body.get("data") or ()], None

    def _unwrapped(self, body: Any) -> Any:
        """The part of a 200's body that is the answer."""
        return body

    def _error_in(self, body: Any) -> Any:
        """The error body inside a 200, or None. Google's doors put it into a list."""
        first = body[0] if isinstance(body, list) and body else body
        return body if isinstance(first, dict) and first.get("error") else None

    def _schema_for(self, body: Any) -> Mapping[str, Any]:
        """The schema this body is held against."""
        return self.response_schema

    def _listing_schema_for(self, body: Any) -> Mapping[str, Any]:
        """The schema this page of a listing is held against."""
        return self.listing_schema

    def _classify(self, fault: Fault, headers: Mapping[str, str]) -> ErrorClass:
        """The class of ours that ``fault`` means."""
        return error_class(fault, self.error_words)

    def _normalized_extras(self, extras: Mapping[str, Any]) -> Mapping[str, Any]:
        """provider_specific in the spelling of the payload."""
        return extras

    def _base_url(self) -> str:
        url = self.config.base_url or self.default_base_url
        if not url:
            raise errors.ConfigurationError(
                f"provider {self.name!r} has no base_url", guidance=f"Set base_url: type {self.type!r} has no host of its own."
            )
        return url

    def _path_for(self, model: str) -> str:
        return self.path

    def _partial_text(self, body: Any) -> str:
        """Text that had come before an error inside a 200, from any body whatsoever."""
        return ""
