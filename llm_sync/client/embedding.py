"""``client.embed``: texts in, vectors out, in as many requests as the provider's limits want."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import tee
from typing import Any, NamedTuple

from llm_sync.client.dispatcher import Dispatcher, or_error
from llm_sync.client.division import ask_divided, may_divide
from llm_sync.client.embedding_dispatcher import EmbeddingDispatcher, embedding_dispatcher
from llm_sync.errors import BatchError, FieldProblem, LLMConnectorError, ResponseValidationError
from llm_sync.models import Usage, field_checks
from llm_sync.models.embeddings import EmbeddingRequest, EmbeddingResponse, Embeddings, Vector, check_embeddable
from llm_sync.providers.embeddings.limits import grouped

_AHEAD, _MAX_AHEAD = 6, 128  # requests that are queued beside those in flight, and with them


class Outcome(NamedTuple):
    """What came of some texts that stand together: their number, and the answer or the error that all of them have."""

    texts: int
    answer: EmbeddingResponse | LLMConnectorError


class Embedder:
    """Asks one model for vectors, with one set of options. Any thread may use it; each call of ``outcomes`` stands alone.

    ``template``: what every request is like, but for its texts. ``texts_per_request``: None: as many as the provider takes.
    ``options``: those of ``Dispatcher.prepare``. Raises LLMConnectorError for a model that has no embeddings, and bad values.
    """

    def __init__(
        self,
        dispatcher: EmbeddingDispatcher,
        template: EmbeddingRequest,
        *,
        texts_per_request: int | None = None,
        options: Mapping[str, Any],
    ) -> None:
        if texts_per_request is not None:
            field_checks.check_integer("texts_per_request", texts_per_request, 1)
        self.dispatcher = dispatcher
        self.template = template
        self.limits = dispatcher.limits(template.model, template.dimensions, texts_per_request)
        self._options = options
        concurrency = dispatcher.config.providers[dispatcher.target(template.model)[0]].concurrency
        self._window = min(2 * concurrency + _AHEAD, _MAX_AHEAD)

    def prepare(self, texts: Sequence[str]) -> Any:
        """The prepared request for texts that go together. Raises LLMConnectorError."""
        return self.dispatcher.prepare(replace(self.template, texts=texts), **self._options)

    def outcomes(self, texts: Iterable[str]) -> Iterator[Outcome]:
        """What came of each group, in order, lazily, with bounded memory. Raises ClientClosedError, RuntimeError on a worker of
        the provider, and what ``texts`` raises; every other error is an outcome."""
        groups, copies = tee(grouped(texts, self.limits))
        prepared = (or_error(self.prepare, group) for group in groups)  # type: ignore[arg-type]
        answers = self.dispatcher.map(prepared, window=self._window, return_exceptions=True)
        for group, answer in zip(copies, answers, strict=False):
            if len(group) > 1 and may_divide(answer):
                yield from (Outcome(*each) for each in ask_divided(group, answer, self._ask))
            else:
                yield Outcome(len(group), _connector_error(answer))

    def _ask(self, texts: Sequence[str]) -> EmbeddingResponse | LLMConnectorError:
        prepared: Any = or_error(self.prepare, texts)  # type: ignore[arg-type]
        if isinstance(prepared, LLMConnectorError):
            return prepared
        answer: Any = self.dispatcher.run([prepared], return_exceptions=True)[0]
        return _connector_error(answer)  # type: ignore[no-any-return]


def _connector_error(answer: Any) -> Any:
    if isinstance(answer, BaseException) and not isinstance(answer, LLMConnectorError):
        raise answer
    return answer


def embed(
    dispatcher: Dispatcher,
    texts: str | Iterable[str],
    model: str,
    *,
    dimensions: int | None = None,
    input_type: str | None = None,
    texts_per_request: int | None = None,
    provider_specific: Mapping[str, Any] | None = None,
    return_exceptions: bool = False,
    timeout: float | None = None,
    deadline: float | None = None,
    max_retries: int | None = None,
) -> Embeddings:
    """The vectors of ``texts`` by ``model`` ("provider/model"), in their order, as ``client.embed``.

    A text alone counts as a list of one. All texts are checked first; then they go to the provider in groups of its limits, at
    the entry's ``concurrency``. If a group is refused for a text in it, its halves are sent instead, and so on, so that every
    other text gets its vector.

    ``dimensions``: the length of the vectors, where the model has a choice. ``input_type``: what they are for: "query",
    "document", "similarity", "classification", "clustering", or a word of the provider's own. ``texts_per_request``: the most
    texts of a request (None: the provider's limit). ``provider_specific``: merged into each payload last. ``timeout``,
    ``deadline`` (seconds) and ``max_retries``: of each request, as for ``client.generate``.

    Raises what is wrong with a text, an option or the model before anything is sent. If no text has a vector for one and the
    same error, raises that; if some have vectors, BatchError, whose ``.results`` holds vectors and exceptions in the texts'
    order. With ``return_exceptions`` the errors are in the result's ``errors`` instead. Raises RuntimeError on the provider's own
    worker thread, where it would wait for itself.
    """
    given = (texts,) if isinstance(texts, str) else field_checks.listed("texts", texts)
    for number, text in enumerate(given):
        check_embeddable(text, f"texts[{number}]")
    template = EmbeddingRequest(("-",), model, dimensions, input_type, provider_specific or {})
    options = {"timeout": timeout, "deadline": deadline, "max_retries": max_retries}
    embedder = Embedder(embedding_dispatcher(dispatcher), template, texts_per_request=texts_per_request, options=options)
    collected = _Collected(embedder.dispatcher.target(model))
    for outcome in embedder.outcomes(given):
        collected.add(outcome)
    return collected.result(return_exceptions=return_exceptions)


class _Collected:
    """The outcomes of one call, put together."""

    def __init__(self, target: tuple[str, str]) -> None:
        self._provider, self._model = target
        self._vectors: list[Vector | None] = []
        self._errors: dict[int, LLMConnectorError] = {}
        self._answers: list[EmbeddingResponse] = []
        self._cut: list[int] = []
        self._dimensions: int | None = None

    def add(self, outcome: Outcome) -> None:
        """The outcome of the next texts."""
        start, answer = len(self._vectors), outcome.answer
        if isinstance(answer, LLMConnectorError):
            self._errors.update((start + number, answer) for number in range(outcome.texts))
            self._vectors += [None] * outcome.texts
            return
        self._answers.append(answer)
        self._cut += [start + number for number in answer.cut_texts]
        self._errors.update((start + number, error) for number, error in answer.problems.items())
        for number, vector in enumerate(answer.vectors, start):
            if vector is not None and self._dimensions not in (None, len(vector)):
                self._errors[number] = other_length(len(vector), self._dimensions, self._provider, self._model)
                self._vectors.append(None)
                continue
            self._vectors.append(vector)
            if vector is not None:
                self._dimensions = len(vector)

    def result(self, *, return_exceptions: bool) -> Embeddings:
        """What the call returns. Raises the error of its texts, or BatchError, whose results are vectors and errors."""
        if self._errors and not return_exceptions:
            errors = list({id(error): error for error in self._errors.values()}.values())
            if len(errors) == 1 and len(self._errors) == len(self._vectors):
                raise errors[0]
            raise BatchError(
                f"no vector for {len(self._errors):,} of {len(self._vectors):,} texts, "
                f"first with {type(errors[0]).__name__}: {errors[0].message}",
                results=[self._errors.get(number, vector) for number, vector in enumerate(self._vectors)],
                guidance="The error's .results holds vectors and exceptions in input order.",
            ) from errors[0]
        answers = self._answers
        return Embeddings(
            vectors=tuple(self._vectors),
            model=answers[0].model if answers else self._model,
            provider=self._provider,
            dimensions=self._dimensions,
            usage=_sum_of(answers),
            cost_estimate=_total([answer.cost_estimate for answer in answers]),
            requests=len(answers),
            cached=sum(answer.cached for answer in answers),
            truncated=tuple(self._cut),
            adjustments=answers[0].adjustments if answers else (),
            errors=self._errors,
        )


def other_length(length: int, expected: int | None, provider: str, model: str) -> ResponseValidationError:
    """A vector has another length than those before it."""
    return ResponseValidationError(
        f"the vector of this text has {length} dimensions, those before it have {expected}",
        fields=(FieldProblem("dimensions", str(expected), str(length)),),
        provider=provider,
        model=model,
        guidance="Give dimensions, or ask a provider that serves one model under this name.",
    )


def _sum_of(answers: Sequence[EmbeddingResponse]) -> Usage:
    tokens = _total([answer.usage.input_tokens for answer in answers])
    return Usage(tokens, None if tokens is None else 0)


def _total(values: Sequence[Any]) -> Any:
    """The sum; None if one is unknown, or there is none."""
    return None if not values or None in values else round(sum(values), 12)
