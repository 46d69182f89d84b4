"""The errors for replies that cannot be read: no JSON, or JSON of another shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from llm_sync import errors
from llm_sync.errors import FieldProblem, UnusableAnswerError
from llm_sync.models import ModelResponse, Reply

if TYPE_CHECKING:
    from llm_sync.providers.guidance import Target


def unreadable(reply: Reply, target: Target, request_id: str | None) -> UnusableAnswerError:
    """The error of a good status whose body is no JSON: empty, cut off, a web page or other text."""
    text = reply.content.decode("utf-8", "replace").strip()
    if not text:
        return errors.EmptyResponseError(
            "the answer has an empty body", status=reply.status, request_id=request_id, retryable=True, guidance="Ask again."
        )
    cut = text[0] in "{["
    actual = "JSON that breaks off or is malformed" if cut else "an HTML page" if text[0] == "<" else "other text"
    return errors.ResponseValidationError(
        f"the answer is not JSON: {actual}",
        fields=(FieldProblem("$", "a JSON object", actual),),
        status=reply.status,
        request_id=request_id,
        retryable=cut,  # a connection that ended early: like a 502
        guidance="Ask again." if cut else f"Check base_url ({target.base_url}) and what proxy stands in front of it.",
    )


def malformed(
    reply: Reply, wrong: tuple[FieldProblem, ...], target: Target, request_id: str | None, response: ModelResponse | None
) -> errors.ResponseValidationError:
    """The error of a body that breaks the dialect's schema; ``response`` is what could be read of it."""
    return errors.ResponseValidationError(
        "the answer is not of this dialect's shape: " + "; ".join(str(field) for field in wrong),
        fields=wrong,
        status=reply.status,
        request_id=request_id,
        response=response,
        partial_text=response.text or None if response else None,
        guidance=f"Check type and base_url of provider {target.provider!r} ({target.dialect}, {target.base_url}).",
    )


def without_text(parts: Iterable[str]) -> errors.EmptyResponseError:
    """The error of an answer that has other content only: pictures, audio, results of tools that the provider runs."""
    listed = ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in Counter(parts).items())
    return errors.EmptyResponseError(
        f"the answer has no text and no tool call, but other content: {listed}",
        guidance="llm-sync gives text; the whole answer is in metadata['raw'] of the error's response. Ask for text, too, or "
        "leave out what asks for the other content.",
    )
