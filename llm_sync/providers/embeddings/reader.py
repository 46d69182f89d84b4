"""From a reply to the vectors it holds, or the error it is."""

from __future__ import annotations

from typing import Any

from llm_sync import errors
from llm_sync.errors import FieldProblem
from llm_sync.events import logger
from llm_sync.models import PreparedRequest, Reply
from llm_sync.models.embeddings import EmbeddingRequest, EmbeddingResponse
from llm_sync.providers.answer import Answer
from llm_sync.providers.credentials import ProviderCredential
from llm_sync.providers.embeddings.vectors import placed
from llm_sync.providers.embeddings.wire import EmbeddingWire
from llm_sync.providers.json_body import structure_of
from llm_sync.providers.ports import Prices
from llm_sync.providers.reply_reader import ReplyReader
from llm_sync.providers.unusable_answers import malformed

_log = logger("providers")


class EmbeddingReader(ReplyReader):
    """A ReplyReader for vectors. What is no vector, an error or a stream, is read as the dialect reads it."""

    def __init__(
        self, wire: EmbeddingWire, credential: ProviderCredential, *, strict: bool, prices: Prices | None = None
    ) -> None:
        super().__init__(wire.dialect, credential, strict=strict, prices=prices)
        self._wire = wire

    def response(self, prepared: PreparedRequest, reply: Reply, number: int) -> EmbeddingResponse:
        """The vectors that a reply to attempt ``number`` holds. Raises the error that it is instead.

        A text whose own vector is unusable gets a problem; an answer in which it is not clear which vector is whose, or with
        other dimensions than were asked for, is an error as a whole.
        """
        wire, asked = self._wire, _asked(prepared)
        body = self._good_body(reply)
        wrong = self._validator(wire.response_schema).check(body)
        if wrong:
            raise self._misfit(prepared, reply, number, body, wrong)
        items = list(wire.items(body))
        count = len(asked.texts)
        if not wire.indexed and len(items) != count:
            raise self._misfit(prepared, reply, number, body, (FieldProblem("$", f"{count} vectors", f"{len(items)}"),))
        result = placed(items, count, dimensions=asked.dimensions, typecode=wire.typecode)
        misfits = result.misfits
        if not misfits and len(result.problems) == count:
            misfits = tuple(result.problems.values())[:20]
        if misfits:
            raise self._misfit(prepared, reply, number, body, misfits)
        cut = tuple(index for index in wire.cut_texts(body) if 0 <= index < count)
        problems = {index: _problem(problem) for index, problem in result.problems.items()}
        response = self._made(prepared, reply, number, body, vectors=tuple(result.vectors), problems=problems, cut_texts=cut)
        if cut:
            self._report_cut(prepared, response)
        return response

    def _made(self, prepared: PreparedRequest, reply: Reply, number: int, body: Any, **vectors: Any) -> EmbeddingResponse:
        answer = Answer(usage=self._wire.read_usage(body), model=self._wire.answered_model(body), cost=self.dialect.cost_in(body))
        metadata = {"raw": self._wire.without_vectors(body)}
        facts = self._facts(prepared, reply, number, body, answer, metadata)
        facts["finish_reason"] = "length" if vectors.get("cut_texts") else "stop"
        return EmbeddingResponse(**facts, **vectors)

    def _misfit(
        self, prepared: PreparedRequest, reply: Reply, number: int, body: Any, wrong: tuple[FieldProblem, ...]
    ) -> errors.ResponseValidationError:
        shown = self._credential.redactor().text(str(structure_of(body)))
        _log.error("%s: malformed answer: %s", self.dialect.name, shown)
        response = self._made(prepared, reply, number, body)  # billed all the same
        error = malformed(reply, wrong, self.target(), response.request_id, response)
        error.guidance = "Ask again; if it stays, this server does not give the vectors that it was asked for: see base_url."
        return error

    def _report_cut(self, prepared: PreparedRequest, response: EmbeddingResponse) -> None:
        """Warn of texts that were read in part; under ``strict`` raise TruncatedResponseError."""
        shown = ", ".join(map(str, response.cut_texts[:10]))
        message = f"the provider read only the beginning of {len(response.cut_texts)} of the texts (positions {shown})"
        if self._strict:
            raise errors.TruncatedResponseError(message, response=response, guidance="Shorten these texts, or split them.")
        _log.warning("%s/%s: %s", self.dialect.name, prepared.model, message)


def _asked(prepared: PreparedRequest) -> EmbeddingRequest:
    request: Any = prepared.request
    if not isinstance(request, EmbeddingRequest):
        raise TypeError(f"{type(request).__name__} is no request for embeddings")
    return request


def _problem(problem: FieldProblem) -> errors.ResponseValidationError:
    return errors.ResponseValidationError(
        f"the vector of this text cannot be used: {problem}",
        fields=(problem,),
        retryable=True,
        guidance="Ask again; if it stays, leave the text out or change it.",
    )
