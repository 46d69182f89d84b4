"""Google's embeddings: ``:batchEmbedContents`` and ``:embedContent`` of the Gemini API, ``:predict`` of Vertex AI."""

from __future__ import annotations

import re
from typing import Any

from llm_sync.simulator.dialects.base import Call
from llm_sync.simulator.dialects.embeddings.vectors import EmbeddingModel, embedding_model, text_tokens, unit_vector, written
from llm_sync.simulator.dialects.gemini.proto_json import Refuse, read_message
from llm_sync.simulator.dialects.model_catalogue import is_unknown_model
from llm_sync.simulator.server.response import ListedError, Response

VERBS = (":batchEmbedContents", ":embedContent", ":predict")
_EMBEDS = re.compile(r"(?:gemini-|text-|multilingual-)?embedding|text-multilingual")
_MAX_TEXTS, _MAX_INSTANCES, _MAX_TOKENS = 100, 250, 20_000
_TYPES = (
    *(None, "TASK_TYPE_UNSPECIFIED", "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT", "SEMANTIC_SIMILARITY", "CLASSIFICATION"),
    *("CLUSTERING", "QUESTION_ANSWERING", "FACT_VERIFICATION", "CODE_RETRIEVAL_QUERY"),
)
_COUNTED = "gemini-embedding-2"  # older models tell no usage


def embed(call: Call, refuse: Refuse, headers: Any, *, on_cloud: bool = False) -> Response:
    """Checks the payload and answers it. ``on_cloud``: as Vertex AI does, which knows only ``:predict``."""
    verb = next(verb for verb in VERBS if call.path.endswith(verb))
    if (verb == ":predict") != on_cloud:
        refuse(f"Publisher Model or method {verb} not found.", 404)
    if call.json_problem:
        refuse(f"Invalid JSON payload received. {call.json_problem}")
    if is_unknown_model("gemini", call.model) or not _EMBEDS.match(call.model):
        raise ListedError("not_found")
    if on_cloud:
        return _predict(call, refuse, headers)
    if verb == ":embedContent":
        vector, tokens = _one(call, call.payload, "", refuse)
        return _response(call, {"embedding": {"values": vector}}, tokens, headers)
    batch = read_message(call.payload, "requests", "", refuse)
    requests = batch.get("requests") or []
    if not isinstance(requests, list) or not requests:
        refuse("* BatchEmbedContentsRequest.requests: contents is not specified")
    if len(requests) > _MAX_TEXTS:
        refuse("* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n")
    results = [_one(call, each, f"requests[{number}]", refuse) for number, each in enumerate(requests)]
    body = {"embeddings": [{"values": vector} for vector, _ in results]}
    return _response(call, body, sum(tokens for _, tokens in results), headers)


def _response(call: Call, body: dict[str, Any], tokens: int, headers: Any) -> Response:
    if call.model.startswith(_COUNTED):
        body["usageMetadata"] = {
            "promptTokenCount": tokens,
            "promptTokenDetails": [{"modality": "TEXT", "tokenCount": tokens}],
        }
    return Response(200, body, headers, (tokens, 0))


def _one(call: Call, request: Any, where: str, refuse: Refuse) -> tuple[Any, int]:
    """The vector of one request, and its tokens. A text that is too long is cut, as the real API does."""
    fields = read_message(request, "model content task_type title output_dimensionality embed_content_config", where, refuse)
    if fields.get("model", f"models/{call.model}") != f"models/{call.model}":
        refuse(f"* {where}.model: the model of each request must be that of the batch")
    content = read_message(fields.get("content"), "role parts", f"{where}.content", refuse)
    parts = content.get("parts")
    texts = [read_message(part, "text", f"{where}.content.parts", refuse).get("text") for part in parts or []]
    text = "".join(text for text in texts if isinstance(text, str))
    if not text:
        refuse("* EmbedContentRequest.content: contents is not specified")
    _check_type(fields.get("task_type"), where, refuse)
    model = embedding_model(call.model)
    dimensions = _dimensions(fields.get("output_dimensionality"), model, refuse)
    return written(unit_vector(text, call.model, dimensions), None), min(text_tokens([text])[0], model.window)


def _predict(call: Call, refuse: Refuse, headers: Any) -> Response:
    fields = read_message(call.payload, "instances parameters", "", refuse)
    parameters = read_message(fields.get("parameters") or {}, "output_dimensionality auto_truncate", "parameters", refuse)
    instances = fields.get("instances")
    if not isinstance(instances, list) or not instances:
        refuse("Empty instances.")
    most = 1 if call.model.startswith("gemini-embedding-001") else _MAX_INSTANCES
    if len(instances) > most:
        refuse(f"{len(instances)} instance(s) is over the limit of {most} per prediction.")
    model = embedding_model(call.model)
    dimensions = _dimensions(parameters.get("output_dimensionality"), model, refuse)
    predictions, total = [], 0
    for number, each in enumerate(instances):
        instance = read_message(each, "content task_type title", f"instances[{number}]", refuse)
        text = instance.get("content")
        if not isinstance(text, str) or not text:
            refuse("The text content is empty.")
        _check_type(instance.get("task_type"), f"instances[{number}]", refuse)
        tokens = text_tokens([text])[0]
        if tokens > model.window and parameters.get("auto_truncate") is False:
            refuse(
                f"Unable to submit request because the input token count is {tokens} but the model supports up to {model.window}."
            )
        total += min(tokens, model.window)
        statistics = {"truncated": tokens > model.window, "token_count": min(tokens, model.window)}
        values = written(unit_vector(text, call.model, dimensions), None)
        predictions.append({"embeddings": {"statistics": statistics, "values": values}})
    if total > _MAX_TOKENS:
        refuse(f"Unable to submit request because the input token count is {total} but the request supports up to {_MAX_TOKENS}.")
    characters = sum(len(each["content"]) for each in instances)
    return Response(200, {"predictions": predictions, "metadata": {"billableCharacterCount": characters}}, headers, (total, 0))


def _check_type(kind: Any, where: str, refuse: Refuse) -> None:
    if kind not in _TYPES:
        refuse(f"Invalid value at '{where}.task_type' (TaskType), \"{kind}\"")


def _dimensions(asked: Any, model: EmbeddingModel, refuse: Refuse) -> int:
    if asked is None:
        return model.dimensions
    if type(asked) is not int or not 1 <= asked <= model.dimensions:
        refuse(f"* EmbedContentRequest.output_dimensionality: must be from 1 to {model.dimensions}, got {asked}")
    return asked
