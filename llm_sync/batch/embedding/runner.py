"""Runs the embedding of a file of texts, from its input to its ordered output."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from llm_sync.batch.embedding.output import require_numpy
from llm_sync.batch.embedding.records import Target
from llm_sync.batch.embedding.run import Run, Settings
from llm_sync.batch.embedding.summary import EmbeddingProgress, EmbeddingSummary
from llm_sync.batch.embedding.texts import is_json
from llm_sync.batch.input.settings_hash import settings_hash
from llm_sync.batch.input.source import Input
from llm_sync.batch.options import DAY_S
from llm_sync.batch.setup import checked_output
from llm_sync.batch.state.journal_opening import opened_journal
from llm_sync.client.client import LLMClient
from llm_sync.client.embedding import Embedder
from llm_sync.client.embedding_dispatcher import embedding_dispatcher
from llm_sync.errors import InvalidRequestError
from llm_sync.models.embeddings import EmbeddingRequest


def embed(
    texts: Input,
    output: str | os.PathLike[str],
    client: LLMClient,
    model: str,
    *,
    dimensions: int | None = None,
    input_type: str | None = None,
    provider_specific: Mapping[str, Any] | None = None,
    texts_per_request: int | None = None,
    json: bool | None = None,
    matrix: str | os.PathLike[str] | None = None,
    restart: bool = False,
    skip_bad_lines: bool = False,
    retry_failed: bool = False,
    timeout: float | None = None,
    deadline: float | None = None,
    max_retries: int | None = None,
    max_cool_down: float = DAY_S,
    progress: Callable[[EmbeddingProgress], object] | None = None,
) -> EmbeddingSummary:
    """Write the vectors of all texts of an input to ``output`` (JSON Lines; gzip if .gz), in the input's order.

    ``texts``: a path (gzip if it ends in .gz; "-": standard input), an open file, or an iterable of strings or of mappings with
    ``text`` and ``id``. ``json``: whether the lines of a file are such objects (None: if it ends in .jsonl, .ndjson or .json);
    otherwise each line is a text. ``matrix``: the path of a .npy file that gets the vectors, too (extra ``[numpy]``).

    While it runs, ``output``.part is its journal, and a second run on this output is refused. After a kill or a stop, the same
    call resumes it. A text is recognised by its content: moved and repeated texts are not sent again. Memory does not grow with
    the input.

    ``dimensions``, ``input_type``, ``provider_specific``, ``texts_per_request``, ``timeout``, ``deadline`` and ``max_retries``
    are as of ``client.embed``. ``restart``: start over; the old journal is kept as ``output``.part.old. ``skip_bad_lines``:
    count lines that have no vector as failures; otherwise they are an error, and nothing is sent. ``retry_failed``: send all
    failed texts again, not only those that may succeed now. ``max_cool_down``: the longest pause in seconds that the provider
    may ask for. ``progress``: called in the calling thread.

    Other threads may use the client. Ctrl-C (or any exception in the calling thread) stops sending, gives requests in flight
    5 s, and is raised. Raises InvalidRequestError for a bad input, line or option, and if previous vectors would be lost;
    AuthenticationError for a missing key; LLMConnectorError if another process owns the journal; OSError for bad files.
    """
    path = checked_output(output, texts)
    if matrix is not None:
        require_numpy()
        matrix = checked_output(matrix, texts)
    dispatcher = embedding_dispatcher(client.dispatcher)
    template = EmbeddingRequest(("-",), model, dimensions, input_type, provider_specific or {})
    options = {"timeout": timeout, "deadline": deadline, "max_retries": max_retries, "retry_timeouts": False}
    embedder = Embedder(dispatcher, template, texts_per_request=texts_per_request, options=options)
    if max_cool_down <= 0:
        raise InvalidRequestError(f"max_cool_down={max_cool_down} is no time", guidance="Give seconds above 0.")
    settings = Settings(path, matrix, is_json(texts, json), restart, skip_bad_lines, retry_failed, max_cool_down)
    with opened_journal(f"{path}.part", restart=restart) as journal:
        return Run(client, embedder, target_of(embedder), journal, settings, progress).go(texts)


def target_of(embedder: Embedder) -> Target:
    """The provider, the model, and the hash of what the vectors depend on beside their texts."""
    template, config = embedder.template, embedder.dispatcher.config
    provider, model = embedder.dispatcher.target(template.model)
    values = {name: getattr(template, name) for name in ("dimensions", "input_type")}
    values |= {"embedding": f"{provider}/{model}", "provider_specific": dict(template.provider_specific)}
    if config.providers[provider].simulated:
        values["simulated"] = True  # simulated and real vectors must never be mixed
    return Target(provider, model, settings_hash(values))
