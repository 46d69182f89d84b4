"""Requests sent for a shim, and what of their outcomes reaches the script: answers as the original would give them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Union

from llm_sync import errors
from llm_sync.compat import notices
from llm_sync.compat.parameters import Reading
from llm_sync.compat.settings import MAX_RETRIES, STRICT_VARIABLE, TIMEOUT, Place, deadline, strict
from llm_sync.dispatch import waiting
from llm_sync.models import Adjustment, ModelRequest, ModelResponse

if TYPE_CHECKING:
    from concurrent.futures import Future

Outcome = Union[ModelResponse, errors.UnusableAnswerError]  # noqa: UP007  (evaluated, where Python 3.10 is too old for it)

# Billed, but no answer: the originals hand it on with its finish_reason, and so do the shims, unless strict.
_HANDED_ON = (errors.ContentBlockedError, errors.TruncatedResponseError, errors.EmptyResponseError)


def ask(place: Place, request: ModelRequest, *, times: int = 1, timeout: float | None, max_retries: int | None) -> list[Outcome]:
    """Send ``request`` so often, in order, and give what came, in order. ``timeout``: seconds for one attempt.

    A cut, blocked or empty answer is told on standard error, once; $LLM_SYNC_STRICT makes it an error. Raises
    LLMConnectorError; of several, the first error, and what is not sent yet is not sent any more.
    """
    options: dict[str, Any] = {"timeout": timeout, "max_retries": max_retries}
    if place.own and (timeout is not None or max_retries is not None):
        options["deadline"] = deadline(timeout or TIMEOUT, MAX_RETRIES if max_retries is None else max_retries)
    if times == 1:
        try:
            return [_told(place.client.generate_response(request, **options))]
        except errors.UnusableAnswerError as error:
            return [_handed_on(error)]
    futures: list[Future[ModelResponse]] = []
    try:
        futures.extend(place.client.submit(request, **options) for _ in range(times))
        return [_outcome(future) for future in futures]
    finally:
        for future in futures:
            future.cancel()


def _outcome(future: Future[ModelResponse]) -> Outcome:
    answer, error = waiting.outcome(future)
    if error is None:
        return _told(answer)
    if isinstance(error, errors.UnusableAnswerError):
        return _handed_on(error)
    raise error


def _told(answer: ModelResponse) -> ModelResponse:
    if answer.truncated:
        _tell(f"{answer.provider}/{answer.model}: the answer was cut (finish reason length); raise the token limit.")
    return answer


def _handed_on(error: errors.UnusableAnswerError) -> errors.UnusableAnswerError:
    if strict() or error.response is None or not isinstance(error, _HANDED_ON):
        raise error
    _tell(str(error))
    return error


def _tell(text: str) -> None:
    notices.tell(f"{text} The script gets what came; {STRICT_VARIABLE}=1 makes this an exception.")


def answers_in(outcomes: Sequence[Outcome]) -> tuple[ModelResponse, ...]:
    """The responses behind outcomes; those of unusable answers are UnusableResponses."""
    found = [outcome if isinstance(outcome, ModelResponse) else outcome.response for outcome in outcomes]
    return tuple(answer for answer in found if answer is not None)


def left_out(call: str, reading: Reading) -> list[Adjustment]:
    """An adjustment for each argument that is not sent; each is told on standard error once.

    Raises InvalidRequestError under $LLM_SYNC_STRICT.
    """
    made = []
    for name, (value, reason) in reading.left_out.items():
        if strict():
            raise errors.InvalidRequestError(f"{name} cannot be carried: {reason}", guidance="Leave it out, or drop strict.")
        notices.tell_once(f"{call}: {name} is not sent: {reason}")
        made.append(Adjustment(name, _plain(value), None, reason))
    return made


def adjustments(made: Iterable[Adjustment], outcomes: Sequence[Outcome]) -> tuple[Adjustment, ...]:
    """What was sent otherwise than the script asked, from its arguments to the wire, each once."""
    found = [*made, *(each for answer in answers_in(outcomes) for each in answer.adjustments)]
    return tuple(each for index, each in enumerate(found) if each not in found[:index])


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, float, list, dict)) else type(value).__name__
