"""The records of texts one after the other, without a file: as soon as each, and those before it, have an outcome."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Any

from llm_sync.batch.embedding.records import Record, fits_single, output_line
from llm_sync.batch.embedding.runner import target_of
from llm_sync.batch.embedding.texts import Text, Texts
from llm_sync.batch.input.source import Input
from llm_sync.client.client import LLMClient
from llm_sync.client.embedding import Embedder, other_length
from llm_sync.client.embedding_dispatcher import embedding_dispatcher
from llm_sync.errors import LLMConnectorError
from llm_sync.models.embeddings import EmbeddingRequest
from llm_sync.models.record import error_record


def records_of(
    given: Input,
    folder: str,
    client: LLMClient,
    model: str,
    *,
    is_json: bool,
    dimensions: int | None = None,
    input_type: str | None = None,
    provider_specific: Any = None,
    texts_per_request: int | None = None,
    **options: Any,
) -> Iterator[tuple[str, LLMConnectorError | None]]:
    """The record of each text as a line of JSON without its end, and its error or None. ``folder``: for temporary files.

    Options as of ``client.embed``. Raises what is wrong with all of them, and OSError for an input that cannot be read.
    """
    template = EmbeddingRequest(("-",), model, dimensions, input_type, provider_specific or {})
    dispatcher = embedding_dispatcher(client.dispatcher)
    embedder = Embedder(dispatcher, template, texts_per_request=texts_per_request, options=options)
    target = target_of(embedder)
    if not client.dispatcher.is_offline and dispatcher.caching is None:
        client.check_providers([target.provider])

    def written(
        text: Text, vector: Any, name: str | None, error: LLMConnectorError | None
    ) -> tuple[str, LLMConnectorError | None]:
        if error is not None:
            error.provider, error.model = error.provider or target.provider, error.model or target.model
        record = Record(vector, name, None if error is None else error_record(error), vector is not None and fits_single(vector))
        return output_line(target, text.position, text.id, text.key, record).decode("utf-8").removesuffix("\n"), error

    with contextlib.closing(Texts(given, folder, target.settings, json=is_json)) as texts:
        waiting: deque[Text] = deque()
        expected: int | None = None
        for outcome in embedder.outcomes(_embeddable(texts, waiting)):
            answer = outcome.answer
            for number in range(outcome.texts):
                while waiting[0].error is not None:
                    yield written(bad := waiting.popleft(), None, None, bad.error)
                text = waiting.popleft()
                if isinstance(answer, LLMConnectorError):
                    yield written(text, None, None, answer)
                    continue
                vector, error = answer.vectors[number], answer.problems.get(number)
                if vector is not None and expected not in (None, len(vector)):
                    error = other_length(len(vector), expected, *target[:2])
                vector = None if error is not None else vector
                expected = expected if vector is None else len(vector)
                yield written(text, vector, answer.model, error)
        while waiting:
            yield written(bad := waiting.popleft(), None, None, bad.error)


def _embeddable(texts: Texts, waiting: deque[Text]) -> Iterator[str]:
    """The texts that can be sent; ``waiting`` gets all."""
    for text in texts:
        waiting.append(text)
        if text.error is None:
            yield text.text
