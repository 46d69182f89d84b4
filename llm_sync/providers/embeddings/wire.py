"""What an embeddings endpoint says of its wire: data and pure functions, composed from a dialect."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from llm_sync.errors import InvalidRequestError
from llm_sync.models import Usage
from llm_sync.models.embeddings import EmbeddingRequest
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.answer import label
from llm_sync.providers.dialect import Dialect
from llm_sync.providers.embeddings.limits import DECIMAL_BYTES, TextLimits
from llm_sync.providers.embeddings.vectors import Item

LIST: Mapping[str, Any] = {"type": "list", "required": True}


class EmbeddingWire(ABC):
    """How one kind of endpoint gives vectors, for one entry of the configuration.

    Key, errors, ids and addresses are those of ``dialect``. Like a dialect, a wire keeps no state of a request, and any thread
    may ask it anything. Only the outermost level of an answer is held against ``response_schema``: a vector has thousands of
    numbers, which ``vectors`` checks.
    """

    path: ClassVar[str] = "/embeddings"
    limits: ClassVar[TextLimits] = TextLimits(64)
    indexed: ClassVar[bool] = True  # whether each vector says which text it belongs to; otherwise its place tells
    number_bytes: ClassVar[float] = DECIMAL_BYTES
    typecode: ClassVar[str] = "f"  # of numbers in base64
    input_types: ClassVar[Mapping[str, str]] = {}  # the provider's words for ours
    response_schema: ClassVar[Mapping[str, Any]] = {"data": LIST}
    forbidden: ClassVar[frozenset[str]] = frozenset({"model", "input", "texts", "inputs", "requests", "instances"})
    formats: ClassVar[Mapping[str, tuple[Any, ...]]] = {}  # fields of the payload that choose the form of vectors, what is read

    def __init__(self, dialect: Dialect) -> None:
        """``dialect``: of the same entry."""
        self.dialect = dialect
        self.config = dialect.config

    # Request -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def prepare_request(self, request: EmbeddingRequest, adjustments: Adjustments) -> dict[str, Any]:
        """The payload for ``request``, without provider_specific."""

    def limits_for(self, model: str, dimensions: int | None) -> TextLimits:
        """What one request to ``model`` may hold, so that its answer can be read, too."""
        return self.limits.of_answers(self.config.max_response_bytes, self.number_bytes, dimensions)

    def normalize_extras(self, extras: Mapping[str, Any]) -> Mapping[str, Any]:
        """provider_specific in the spelling of the payload."""
        return extras

    def check_formats(self, payload: Mapping[str, Any]) -> None:
        """Raise InvalidRequestError for a payload that asks for vectors in a form that is not read."""
        for name, read in self.formats.items():
            value = payload.get(name)
            if value is not None and value not in read:
                raise InvalidRequestError(
                    f"{name}={value!r} asks for vectors in a form that is not read", guidance="Leave it out: vectors are floats."
                )

    def base_url(self) -> str:
        """The dialect's."""
        return self.dialect.base_url()

    def path_for(self, model: str) -> str:
        """What follows ``base_url`` for requests to ``model``."""
        return self.path

    def url_for(self, model: str) -> str:
        """Where requests to ``model`` are sent. Raises ConfigurationError."""
        return self.dialect.joined_url(self.path_for(model), model, {})

    def input_type(self, request: EmbeddingRequest, adjustments: Adjustments) -> str | None:
        """The provider's word for the request's input type; None where none is sent."""
        asked = request.input_type
        if asked is None or asked in self.input_types:
            return None if asked is None else self.input_types[asked]
        if self.input_types and asked not in _COMMON_TYPES:
            return asked  # a word of the provider's own
        adjustments.lose("input_type", asked, None, "this API has no such type of input")
        return None

    # Reply ---------------------------------------------------------------------------------------------------------

    @abstractmethod
    def items(self, body: Any) -> Iterable[Item]:
        """The items of a body that fits the response schema."""

    def read_usage(self, body: Any) -> Usage:
        """The token counts of any body whatsoever: embeddings have no output."""
        return Usage()

    def answered_model(self, body: Any) -> str | None:
        """The model's name in the answer."""
        return label(body.get("model")) if isinstance(body, dict) else None

    def cut_texts(self, body: Any) -> tuple[int, ...]:
        """Positions of the texts of which the provider read the beginning only, where it tells."""
        return ()

    def without_vectors(self, body: Any) -> Any:
        """The body for the response's metadata: what stands beside the vectors."""
        if not isinstance(body, dict):
            return body
        return {name: value for name, value in body.items() if name not in ("data", *self.response_schema)}


_COMMON_TYPES = frozenset({"query", "document", "similarity", "classification", "clustering"})


def input_usage(tokens: int | None) -> Usage:
    """The usage of an embedding, which has no output."""
    return Usage(tokens, None if tokens is None else 0)


def objects(value: Any) -> list[Mapping[str, Any]]:
    """A list with an empty mapping in place of what is no mapping; empty for anything but a list."""
    return [each if isinstance(each, dict) else {} for each in value] if isinstance(value, list) else []
