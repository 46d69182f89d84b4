"""Mistral, Voyage and Cohere: each checks and answers embeddings in its own form; every other path is OpenAI's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NoReturn

from llm_sync.simulator.dialects.base import Call, random_id
from llm_sync.simulator.dialects.embeddings.vectors import EmbeddingModel, embedding_model, text_tokens, unit_vector, written
from llm_sync.simulator.dialects.openai.endpoint import OpenAI
from llm_sync.simulator.server.response import JSON_TYPE, RequestRefused, Response

_TRUNCATE = (None, "NONE", "START", "END")


class EmbeddingService(OpenAI):
    """One service. ``path``: of its embeddings; ``keys``: the fields it knows; ``text_field``: that of the texts;
    ``max_texts``: how many; ``family``: how the names of its models begin."""

    path = "/embeddings"
    unknown_field_status = 400
    keys: frozenset[str]
    text_field = "input"
    dimensions_field = "output_dimension"
    max_texts: int
    max_tokens: int
    family: tuple[str, ...]

    def reply(self, call: Call) -> Response:
        """Answers embeddings in the service's form, anything else as OpenAI."""
        if call.path != self.path:
            return super().reply(call)
        if call.method != "POST":
            self.fail(405, "Method Not Allowed")
        if not call.accepts(self.key_of(call) or ""):
            self.fail(401, "Unauthorized")
        if call.json_problem or not isinstance(call.payload, dict):
            self.fail(400, f"invalid JSON: {call.json_problem or 'it is not an object'}")
        payload: dict[str, Any] = call.payload
        for key in payload:
            if key not in self.keys:
                self.fail(self.unknown_field_status, f"Argument '{key}' is not supported by our API")
        if not call.model.startswith(self.family):
            self.fail_for_model(call.model)
        texts = self._texts(payload)
        model = embedding_model(call.model)
        dimensions = self._dimensions(payload, model)
        tokens = text_tokens(texts)
        self.check(payload, model, tokens)
        vectors = [unit_vector(text, call.model, dimensions) for text in texts]
        return Response(200, self.body(payload, texts, vectors, sum(tokens)), JSON_TYPE, (sum(tokens), 0))

    def _texts(self, payload: Mapping[str, Any]) -> list[str]:
        given = payload.get(self.text_field)
        texts = [given] if isinstance(given, str) and self.text_field == "input" else given
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
            self.fail(400, f"{self.text_field} must be a list of texts, none of them empty")
        if len(texts) > self.max_texts:
            self.fail_for_texts(len(texts))
        return texts

    def _dimensions(self, payload: Mapping[str, Any], model: EmbeddingModel) -> int:
        asked = payload.get(self.dimensions_field)
        if asked is None:
            return model.dimensions
        allowed = range(1, model.dimensions + 1) if model.choices is None else model.choices
        if type(asked) is not int or asked not in allowed:
            self.fail(400, f"{self.dimensions_field} {asked!r} is not supported by this model")
        return asked

    @abstractmethod
    def fail(self, status: int, message: str, **details: Any) -> NoReturn:
        """Raises RequestRefused with an error in the service's form."""

    @abstractmethod
    def fail_for_model(self, model: str) -> NoReturn:
        """The same for a model that there is not."""

    @abstractmethod
    def fail_for_texts(self, count: int) -> NoReturn:
        """The same for too many texts."""

    @abstractmethod
    def check(self, payload: Mapping[str, Any], model: EmbeddingModel, tokens: list[int]) -> None:
        """What only this service checks. May raise RequestRefused."""

    def body(self, payload: Mapping[str, Any], texts: list[str], vectors: list[Any], tokens: int) -> dict[str, Any]:
        """The answer, in OpenAI's form."""
        encoding = payload.get("encoding_format")
        data = [{"object": "embedding", "embedding": written(each, encoding), "index": n} for n, each in enumerate(vectors)]
        return {"object": "list", "data": data, "model": payload["model"], "usage": {"total_tokens": tokens}}


class MistralEmbeddings(EmbeddingService):
    """256 texts and 16,384 tokens; errors are flat."""

    unknown_field_status = 422
    keys = frozenset({"model", "input", "output_dimension", "output_dtype", "encoding_format", "metadata"})
    max_texts, max_tokens, family = 256, 16_384, ("mistral-embed", "codestral-embed")

    def fail(self, status: int, message: str, **details: Any) -> NoReturn:
        """``message``, ``type`` and ``code`` stand in the body itself."""
        kind = {401: "unauthorized", 422: "invalid_request_error"}.get(status, "invalid_request_prompt")
        body = {"object": "error", "message": message, "type": kind, "param": None, "code": "3210", "raw_status_code": status}
        raise RequestRefused(Response(status, {**body, **details}))

    def fail_for_model(self, model: str) -> NoReturn:
        """400, code 1500."""
        self.fail(400, f"Invalid model: {model}", type="invalid_model", code="1500")

    def fail_for_texts(self, count: int) -> NoReturn:
        """400, code 3210."""
        self.fail(400, "Too many inputs in request, split into more batches.")

    def check(self, payload: Mapping[str, Any], model: EmbeddingModel, tokens: list[int]) -> None:
        """The tokens of each text and of all, and the form of the vectors."""
        if max(tokens) > model.window:
            self.fail(400, f"Input id {tokens.index(max(tokens))} has {max(tokens)} tokens, exceeding max {model.window} tokens.")
        if sum(tokens) > self.max_tokens:
            self.fail(400, "Too many tokens overall, split into more batches.")
        if payload.get("output_dtype") not in (None, "float"):
            self.fail(400, "the simulator gives vectors of floats only")

    def body(self, payload: Mapping[str, Any], texts: list[str], vectors: list[Any], tokens: int) -> dict[str, Any]:
        """With an id, and counts that are null."""
        usage = {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0, "request_count": None}
        return {"id": random_id("", 32), **super().body(payload, texts, vectors, tokens), "usage": usage}


class Voyage(EmbeddingService):
    """1,000 texts and 120,000 tokens; an error is a ``detail``."""

    keys = frozenset({"input", "model", "input_type", "truncation", "output_dimension", "output_dtype", "encoding_format"})
    max_texts, max_tokens, family = 1000, 120_000, ("voyage-",)

    def fail(self, status: int, message: str, **_details: Any) -> NoReturn:
        """A text is all there is."""
        raise RequestRefused(Response(status, {"detail": message}))

    def fail_for_model(self, model: str) -> NoReturn:
        """400."""
        self.fail(
            400, f"Model {model} is not supported. Supported models are ['voyage-3.5', 'voyage-3.5-lite', 'voyage-code-3']."
        )

    def fail_for_texts(self, count: int) -> NoReturn:
        """400."""
        self.fail(400, f"The batch size limit is {self.max_texts}. Your batch size is {count}.")

    def check(self, payload: Mapping[str, Any], model: EmbeddingModel, tokens: list[int]) -> None:
        """The type of input, and the tokens, unless they are cut."""
        if payload.get("input_type") not in (None, "query", "document"):
            self.fail(400, "Value of argument input_type should be one of 'query', 'document' or null")
        if payload.get("output_dtype") not in (None, "float") or payload.get("encoding_format") not in (None, "base64"):
            self.fail(400, "the simulator gives vectors of floats only, and base64 is the only encoding_format")
        if payload.get("truncation") is False and max(tokens) > model.window:
            self.fail(400, f"The example at index {tokens.index(max(tokens))} in your batch has too many tokens and does not fit "
                      f"into the model's context window of {model.window} tokens.")  # fmt: skip
        if sum(tokens) > self.max_tokens:
            self.fail(
                400, f"The max allowed tokens per submitted batch is {self.max_tokens}. Your batch has {sum(tokens)} tokens."
            )


class Cohere(EmbeddingService):
    """``POST /embed`` under ``/v2``: 96 texts; vectors by type."""

    path = "/embed"
    text_field = "texts"
    keys = frozenset({"model", "texts", "input_type", "embedding_types", "output_dimension", "truncate", "max_tokens"})
    max_texts, max_tokens, family = 96, 1_000_000, ("embed-",)
    _TYPES = ("search_document", "search_query", "classification", "clustering")

    def fail(self, status: int, message: str, **_details: Any) -> NoReturn:
        """An id and a message."""
        message = "invalid api token" if status == 401 else message
        raise RequestRefused(Response(status, {"id": random_id("", 32), "message": message}))

    def fail_for_model(self, model: str) -> NoReturn:
        """404."""
        self.fail(
            404, f"model '{model}' not found, make sure the correct model ID was used and that you have access to the model."
        )

    def fail_for_texts(self, count: int) -> NoReturn:
        """400."""
        self.fail(400, f"invalid request: total number of texts must be at most {self.max_texts} - received {count}")

    def check(self, payload: Mapping[str, Any], model: EmbeddingModel, tokens: list[int]) -> None:
        """The type of input, which is required, and how too long texts are cut."""
        if payload.get("input_type") not in self._TYPES:
            self.fail(400, "invalid request: valid input_type must be provided with the provided model")
        if payload.get("embedding_types") not in (None, ["float"]):
            self.fail(400, "invalid request: the simulator gives the type float only")
        if payload.get("truncate") not in _TRUNCATE:
            self.fail(400, "invalid request: truncate must be one of NONE, START, END")
        if payload.get("truncate") == "NONE" and max(tokens) > model.window:
            self.fail(400, f"too many tokens: max tokens per text is {model.window}, got {max(tokens)}")

    def body(self, payload: Mapping[str, Any], texts: list[str], vectors: list[Any], tokens: int) -> dict[str, Any]:
        """Vectors by type, with the texts."""
        meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}}
        floats = [written(each, None) for each in vectors]
        head = {"id": random_id("", 32), "texts": texts, "embeddings": {"float": floats}}
        return {**head, "meta": meta, "response_type": "embeddings_by_type"}
