"""Embeddings: the request for the vectors of texts, its prepared form, the answer to one request, and the vectors of a call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from llm_sync.errors import InvalidRequestError, LLMConnectorError
from llm_sync.models import field_checks
from llm_sync.models.frozen import Frozen
from llm_sync.models.prepared import PreparedRequest
from llm_sync.models.responses import Adjustment, ModelResponse, Usage

Vector = list[float]


@dataclass(frozen=True, repr=False, eq=False)
class EmbeddingRequest(Frozen):
    """A request for the vectors of one or several texts, which one model gives in one answer.

    ``dimensions``: the length of the vectors, where the model has a choice. ``input_type``: what the vectors are for: "query",
    "document", "similarity", "classification", "clustering", or a word of the provider's own. ``provider_specific`` is merged
    into the payload last. ``id`` is copied to the response.

    Raises InvalidRequestError for an invalid value, and for an empty text, which no provider takes.
    """

    texts: Sequence[str]
    model: str | None = None
    dimensions: int | None = None
    input_type: str | None = None
    provider_specific: Mapping[str, Any] = field(default_factory=dict)
    id: str | int | None = None

    def __post_init__(self) -> None:
        texts = field_checks.listed("texts", self.texts)
        if not texts:
            raise InvalidRequestError("texts is empty", guidance="Give one text or more.")
        for number, text in enumerate(texts):
            check_embeddable(text, f"texts[{number}]")
        dimensions = field_checks.whole_number(self.dimensions)
        if dimensions is not None:
            field_checks.check_integer("dimensions", dimensions, 1)
        if self.input_type is not None:
            field_checks.check_text("input_type", self.input_type)
        extras = field_checks.mapping("provider_specific", self.provider_specific)
        for name, value in (
            ("texts", texts),
            ("dimensions", dimensions),
            ("provider_specific", field_checks.plain("provider_specific", extras)),
        ):
            object.__setattr__(self, name, value)


def check_embeddable(text: object, name: str) -> None:
    """Raise InvalidRequestError for what has no vector: anything but a string, an empty one, a lone surrogate."""
    field_checks.check_text(name, text)
    if not text:
        raise InvalidRequestError(f"{name} is empty", guidance="Leave it out: an empty text has no vector.")


@dataclass(frozen=True, repr=False, eq=False)
class PreparedEmbedding(PreparedRequest):
    """A PreparedRequest whose ``request`` is an EmbeddingRequest: queues, retries, caches and middleware take it as any other."""

    operation: ClassVar[str] = "embeddings"
    request: EmbeddingRequest = field(repr=False)  # type: ignore[assignment]  # what is asked is another kind of request


@dataclass(frozen=True, repr=False, eq=False)
class EmbeddingResponse(ModelResponse):
    """The answer to one EmbeddingRequest: a ModelResponse with vectors and without text.

    ``vectors``: in the order of the texts; None for a text whose vector is missing or unusable, and ``problems`` says by the
    text's position why. ``cut_texts``: positions of the texts of which the provider says that it read the beginning only; then
    ``truncated`` is true. ``metadata["raw"]`` is the body without the vectors.
    """

    vectors: tuple[Vector | None, ...] = field(default=(), repr=False)
    problems: Mapping[int, LLMConnectorError] = field(default_factory=dict)
    cut_texts: tuple[int, ...] = ()

    def _may_be_empty(self) -> bool:
        return True

    def to_dict(self) -> dict[str, Any]:
        """As that of a ModelResponse; ``problems`` in words."""
        return {**super().to_dict(), "problems": {number: str(error) for number, error in self.problems.items()}}


@dataclass(frozen=True, repr=False, eq=False)
class Embeddings(Frozen, Sequence[Any]):
    """The vectors of the texts of one call, in the order of the texts: ``embeddings[0]`` is the first one's.

    ``model``: the name in the provider's answers. ``dimensions``: the length of every vector; None if no text has one.
    ``usage`` and ``cost_estimate`` (USD): of all answers together; unknown is None. ``requests``: how many were answered.
    ``cached``: how many of these answers were stored. ``truncated``: positions of the texts of which the provider read the
    beginning only. ``errors``: why a text has no vector (None in ``vectors``), by its position; empty unless the call was
    made with ``return_exceptions``.
    """

    vectors: tuple[Vector | None, ...] = field(repr=False)
    model: str
    provider: str
    dimensions: int | None
    usage: Usage
    cost_estimate: float | None
    requests: int
    cached: int = 0
    truncated: tuple[int, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    errors: Mapping[int, LLMConnectorError] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, index: Any) -> Any:
        return self.vectors[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.vectors)
