"""Exit status by error class; what each status means stands in parser.EXIT_CODES. Costs nothing to import."""

from __future__ import annotations

from collections.abc import Sequence

ANSWERED, UNEXPECTED, USAGE, CONFIGURATION, MIXED = 0, 1, 2, 3, 9
INTERRUPTED, CLOSED_PIPE, TERMINATED = 130, 141, 143


def statuses() -> tuple[tuple[type[BaseException], int], ...]:
    """Error classes and their statuses; the first class an error is an instance of decides."""
    from llm_sync import errors
    from llm_sync.cli.parser import UsageError
    from llm_sync.cli.signals import Terminated

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
