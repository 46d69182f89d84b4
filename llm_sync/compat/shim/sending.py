"""Sends requests for a shim, and decides which outcomes the script gets as an answer and which as an exception."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Union

from llm_sync import errors
from llm_sync.compat.shim import notices
from llm_sync.compat.shim.parameters import ParsedArguments
from llm_sync.compat.shim.response_objects import AnswerObject
from llm_sync.compat.shim.settings import MAX_RETRIES, STRICT_VARIABLE, TIMEOUT, deadline, strict
from llm_sync.compat.shim.targets import Target
from llm_sync.dispatch import wait
from llm_sync.models import Adjustment, ModelRequest, ModelResponse

if TYPE_CHECKING:
    from concurrent.futures import Future

    from llm_sync.models.embeddings import Embeddings

Kind = TypeVar("Kind", bound=AnswerObject)
Outcome = Union[ModelResponse, errors.UnusableAnswerError]  # noqa: UP007  (evaluated, where Python 3.10 is too old for it)

# Billed, but unusable: the originals return these with their finish_reason, and so do the shims, unless strict.
_ACCEPTED_UNUSABLE = (errors.ContentBlockedError, errors.TruncatedResponseError, errors.EmptyResponseError)


class Sending:
    """Sends requests to one target. A context manager: leaving it cancels what is not sent yet.

    ``timeout``: seconds for one attempt.
    """

    def __init__(self, target: Target, *, timeout: float | None, max_retries: int | None) -> None:
        self._client = target.client
        self._strict = target.strict
        self._futures: list[Future[ModelResponse]] = []
        self._options = _options(target, timeout, max_retries)

    def send(self, request: ModelRequest, times: int) -> list[Future[ModelResponse]]:
        """Queue a request ``times`` times. Raises LLMConnectorError for an invalid one."""
        futures = []
        for _ in range(times):
            futures.append(self._client.submit(request, **self._options))
            self._futures.append(futures[-1])
        return futures

    def collect(self, futures: Iterable[Future[ModelResponse]]) -> list[Outcome]:
        """The outcomes in order, as for ``send``. Raises the first error."""
        return [_outcome(future, self._strict) for future in futures]

    def __enter__(self) -> Sending:
        return self

    def __exit__(self, *_: object) -> None:
        for future in self._futures:
            future.cancel()


def send_all(
    target: Target, request: ModelRequest, *, times: int = 1, timeout: float | None, max_retries: int | None
) -> list[Outcome]:
    """Send ``request`` ``times`` times and return the outcomes in order. Raises LLMConnectorError: the first one."""
    if times == 1:
        return [send(target, request, timeout=timeout, max_retries=max_retries)]
    with Sending(target, timeout=timeout, max_retries=max_retries) as sending:
        return sending.collect(sending.send(request, times))


def send(target: Target, request: ModelRequest, *, timeout: float | None, max_retries: int | None) -> Outcome:
    """Send a request and wait for the outcome. A cut, blocked or empty answer is reported on standard error;
    with $LLM_SYNC_STRICT it is an error. Raises LLMConnectorError."""
    try:
        if timeout is None and max_retries is None:
            return _warn_if_cut(target.client.generate_response(request))
        return _warn_if_cut(target.client.generate_response(request, **_options(target, timeout, max_retries)))
    except errors.UnusableAnswerError as error:
        return _accept_unusable(error, target.strict)


def embed(target: Target, texts: list[str], timeout: float | None, max_retries: int | None, **options: Any) -> Embeddings:
    """The vectors of ``texts``; ``options`` as for ``LLMClient.embed``. Raises LLMConnectorError: the first of a text."""
    try:
        return target.client.embed(texts, str(target.model), **options, **_options(target, timeout, max_retries))
    except errors.BatchError as error:
        raise error.__cause__ or error from None


def _options(target: Target, timeout: float | None, max_retries: int | None) -> dict[str, Any]:
    """The call's own limits; without a configuration, with a deadline that leaves time for all attempts."""
    options: dict[str, Any] = {"timeout": timeout, "max_retries": max_retries}
    if target.own and (timeout is not None or max_retries is not None):
        retries = MAX_RETRIES if isinstance(max_retries, bool) or not isinstance(max_retries, int) else max_retries
        options["deadline"] = deadline(timeout or TIMEOUT, max(0, retries))
    return options


def _outcome(future: Future[ModelResponse], strictly: bool) -> Outcome:
    answer, error = wait.outcome(future)
    if error is None:
        return _warn_if_cut(answer)
    if isinstance(error, errors.UnusableAnswerError):
        return _accept_unusable(error, strictly)
    raise error


def _warn_if_cut(answer: ModelResponse) -> ModelResponse:
    if answer.finish_reason == "length":
        model = f"{answer.provider}/{answer.model}"
        _notify(f"{model}: the answer was cut (finish reason length); raise the token limit.", f"cut {model}")
    return answer


def _accept_unusable(error: errors.UnusableAnswerError, strictly: bool) -> errors.UnusableAnswerError:
    if strictly or error.response is None or not isinstance(error, _ACCEPTED_UNUSABLE):
        raise error
    _notify(str(error), f"{type(error).__name__} {error.provider}/{error.model}")
    return error


def _notify(text: str, kind: str) -> None:
    """Once for each kind and model: a script may ask thousands of times."""
    notices.notify_once(
        f"{text} The script gets what came, and further ones without a notice; {STRICT_VARIABLE}=1 makes this an exception.", kind
    )


def answers_in(outcomes: Sequence[Outcome]) -> tuple[ModelResponse, ...]:
    """The responses of the outcomes; those of unusable answers are UnusableResponses."""
    answers = [outcome if isinstance(outcome, ModelResponse) else outcome.response for outcome in outcomes]
    return tuple(answer for answer in answers if answer is not None)


def not_sent(call: str, reading: ParsedArguments) -> list[Adjustment]:
    """An adjustment for each argument that is not sent; each is reported on standard error once.

    Raises InvalidRequestError under $LLM_SYNC_STRICT.
    """
    made: list[Adjustment] = []
    for name, (value, reason) in reading.not_sent.items():
        if strict():
            raise errors.InvalidRequestError(f"{name} cannot be sent: {reason}", guidance="Leave it out, or drop strict.")
        notices.notify_once(f"{call}: {name} is not sent: {reason}")
        made.append(Adjustment(name, _value_or_type(value), None, reason))
    return made


def adjustments(made: Sequence[Adjustment], answers: Sequence[ModelResponse]) -> tuple[Adjustment, ...]:
    """Everything that was sent differently from what the script asked, each adjustment once."""
    all_adjustments = list(made)
    for answer in answers:
        all_adjustments += [each for each in answer.adjustments if each not in all_adjustments]
    return tuple(all_adjustments)


def _value_or_type(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, float, list, dict)) else type(value).__name__


def finished(answer: Kind, made: list[Adjustment], outcomes: list[Outcome]) -> Kind:
    """Attach adjustments, the ModelResponses and the first request id to a response object."""
    first = outcomes[0]
    if not made and len(outcomes) == 1 and isinstance(first, ModelResponse):  # the usual case
        answer.__dict__.update(adjustments=first.adjustments, llm_sync=(first,), _request_id=first.request_id)
        return answer
    answers = answers_in(outcomes)
    # Bypass __setattr__, which checks whether these are items: this runs for every answer.
    answer.__dict__.update(adjustments=adjustments(made, answers), llm_sync=answers, _request_id=answers[0].request_id)
    return answer
