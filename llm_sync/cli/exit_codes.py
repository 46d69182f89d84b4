"""The exit statuses: what each means, and which error ends with which. Costs nothing to import."""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for True; typing itself costs as much as a bare start of Python
if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_CODES = {
    0: "all requests were answered",
    1: "something unexpected went wrong",
    2: "the command line is wrong",
    3: "the configuration is wrong or missing",
    4: "authentication or permission failed",
    5: "a rate limit or quota is exhausted",
    6: "network trouble, a timeout, or the provider is down",
    7: "the request was refused: invalid, too long, no such model, streaming asked for",
    8: "the answer is unusable: blocked, empty, malformed, a stream, or truncated under --strict",
    9: "some requests failed, some were answered",
    10: "answered, but beyond what --max-error-rate or --fail-on-truncated allows",
    129: "hung up: the terminal was closed (SIGHUP)",
    130: "interrupted (Ctrl-C)",
    141: "the reader of standard output went away",
    143: "terminated (SIGTERM)",
}
"""Exit status and what it means; help and the man page show this table."""

ANSWERED, UNEXPECTED, USAGE, CONFIGURATION, REFUSED, MIXED, UNFIT = 0, 1, 2, 3, 7, 9, 10
HUNG_UP, INTERRUPTED, CLOSED_PIPE, TERMINATED = 129, 130, 141, 143


def statuses() -> tuple[tuple[type[BaseException], int], ...]:
    """Error classes and their statuses; the first class an error is an instance of decides."""
    from llm_sync import errors
    from llm_sync.cli.options.argument_parser import UsageError
    from llm_sync.cli.signals import HungUp, Terminated

    return (
        (UsageError, USAGE),
        (errors.ConfigurationError, CONFIGURATION),
        (errors.StreamingNotSupportedError, 7),
        (errors.UnusableAnswerError, 8),
        (errors.AuthenticationError, 4),
        (errors.PermissionDeniedError, 4),
        (errors.QuotaExceededError, 5),
        (errors.RateLimitError, 5),
        (errors.QueueFullError, 5),
        (errors.ModelNotFoundError, 7),
        (errors.InvalidRequestError, 7),
        (errors.ProviderError, 6),
        (errors.ClientClosedError, UNEXPECTED),
        (HungUp, HUNG_UP),
        (Terminated, TERMINATED),
        (KeyboardInterrupt, INTERRUPTED),
    )


def status_of(error: BaseException) -> int:
    """The exit status an error ends the program with."""
    from llm_sync import errors

    if isinstance(error, errors.BatchError):
        return status_of_all(error.results) or UNEXPECTED
    if isinstance(error, errors.StreamingNotSupportedError) and error.status is not None and error.status < 300:
        return 8  # a stream came back: the answer is unusable
    return next((status for kind, status in statuses() if isinstance(error, kind)), UNEXPECTED)


def status_of_all(outcomes: Sequence[object]) -> int:
    """The exit status of several requests: 0, 9 when some failed and some were answered, else the first one's."""
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if not failed:
        return ANSWERED
    return status_of(failed[0]) if len(failed) == len(outcomes) else MIXED
