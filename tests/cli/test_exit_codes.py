from __future__ import annotations

import inspect

import pytest

from llm_sync import errors
from llm_sync.cli import exit_codes, outcome
from llm_sync.cli.exit_codes import EXIT_CODES
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.signals import HungUp, Terminated

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.LLMConnectorError)]

EXPECTED = {
    "LLMConnectorError": 1,
    "BatchError": 1,
    "BudgetExceededError": 5,
    "CacheMissError": 7,
    "ToolRunError": 1,
    "ClientClosedError": 1,
    "ConfigurationError": 3,
    "AuthenticationError": 4,
    "PermissionDeniedError": 4,
    "QuotaExceededError": 5,
    "RateLimitError": 5,
    "QueueFullError": 5,
    "ProviderError": 6,
    "ProviderUnavailableError": 6,
    "ProviderConnectionError": 6,
    "RequestTimeoutError": 6,
    "StreamingNotSupportedError": 7,
    "ModelNotFoundError": 7,
    "InvalidRequestError": 7,
    "ContextLengthExceededError": 7,
    "UnusableAnswerError": 8,
    "ContentBlockedError": 8,
    "ResponseValidationError": 8,
    "EmptyResponseError": 8,
    "TruncatedResponseError": 8,
}


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_every_error_class_has_the_status_of_the_table(kind: type[errors.LLMConnectorError]) -> None:
    """A class added to the tree has to be given a status, here too."""
    assert outcome.status_of(kind("it fails")) == EXPECTED[kind.__name__]


def test_every_status_is_documented() -> None:
    """Whatever the code ends with stands in the table of help and man page."""
    used = {status for _, status in outcome.status_table()} | {
        exit_codes.ANSWERED,
        exit_codes.UNEXPECTED,
        exit_codes.MIXED,
        exit_codes.UNFIT,
        exit_codes.CLOSED_PIPE,
    }
    assert used <= set(EXIT_CODES)
    assert set(EXIT_CODES) == used


@pytest.mark.parametrize(
    ("stop", "status"),
    [(KeyboardInterrupt(), 130), (Terminated(), 143), (HungUp(), 129), (UsageError("no"), 2), (ValueError(), 1)],
)
def test_other_endings(stop: BaseException, status: int) -> None:
    """Signals have the shell's statuses, whatever is unforeseen has 1."""
    assert outcome.status_of(stop) == status


def test_a_stream_that_came_back_is_an_unusable_answer() -> None:
    """Asking for a stream is a refused request (7); being sent one makes the answer unusable (8)."""
    assert outcome.status_of(errors.StreamingNotSupportedError("a stream", status=200)) == 8
    assert outcome.status_of(errors.StreamingNotSupportedError("only streams", status=400)) == 7


def test_statuses_of_several_requests() -> None:
    """All answered 0, some of each 9, all failed: the first one's."""
    limited, wrong = errors.RateLimitError("slow down"), errors.AuthenticationError("who?")
    assert outcome.status_of_all(["a", "b"]) == 0
    assert outcome.status_of_all(["a", limited]) == 9
    assert outcome.status_of_all([limited, wrong]) == 5
    assert outcome.status_of_all([wrong, limited]) == 4


def test_a_batch_errors_status_is_that_of_its_results() -> None:
    """BatchError stands for what happened to its requests."""
    limited = errors.RateLimitError("slow down")
    assert outcome.status_of(errors.BatchError("some", results=["a", limited])) == 9
    assert outcome.status_of(errors.BatchError("all", results=[limited, limited])) == 5
