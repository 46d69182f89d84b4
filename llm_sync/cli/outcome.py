"""From errors and outcomes to exit statuses."""

from __future__ import annotations

from llm_sync.cli import exit_codes

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs as much as a bare start of Python
if TYPE_CHECKING:
    from collections.abc import Sequence


def status_table() -> tuple[tuple[type[BaseException], int], ...]:
    """Error classes and their statuses; the first class that an error is an instance of decides."""
    from llm_sync import errors
    from llm_sync.cli.options.argument_parser import UsageError
    from llm_sync.cli.signals import HungUp, Terminated

    return (
        (UsageError, exit_codes.USAGE),
        (errors.ConfigurationError, exit_codes.CONFIGURATION),
        (errors.StreamingNotSupportedError, exit_codes.REFUSED),
        (errors.UnusableAnswerError, exit_codes.UNUSABLE),
        (errors.AuthenticationError, exit_codes.AUTHENTICATION),
        (errors.PermissionDeniedError, exit_codes.AUTHENTICATION),
        (errors.QuotaExceededError, exit_codes.RATE_LIMIT),
        (errors.BudgetExceededError, exit_codes.RATE_LIMIT),
        (errors.RateLimitError, exit_codes.RATE_LIMIT),
        (errors.QueueFullError, exit_codes.RATE_LIMIT),
        (errors.ModelNotFoundError, exit_codes.REFUSED),
        (errors.InvalidRequestError, exit_codes.REFUSED),
        (errors.CacheMissError, exit_codes.REFUSED),
        (errors.ProviderError, exit_codes.NETWORK),
        (errors.ClientClosedError, exit_codes.UNEXPECTED),
        (HungUp, exit_codes.HUNG_UP),
        (Terminated, exit_codes.TERMINATED),
        (KeyboardInterrupt, exit_codes.INTERRUPTED),
    )


def status_of(error: BaseException) -> int:
    """The exit status that an error ends the program with."""
    from llm_sync import errors

    if isinstance(error, errors.BatchError):
        return status_of_all(error.results) or exit_codes.UNEXPECTED
    if isinstance(error, errors.StreamingNotSupportedError) and error.status is not None and error.status < 300:
        return exit_codes.UNUSABLE  # the provider answered with a stream
    return next((status for kind, status in status_table() if isinstance(error, kind)), exit_codes.UNEXPECTED)


def status_of_all(outcomes: Sequence[object]) -> int:
    """The exit status of several requests: 0 if all were answered, 9 if only some were, else that of the first error."""
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if not failed:
        return exit_codes.ANSWERED
    return status_of(failed[0]) if len(failed) == len(outcomes) else exit_codes.MIXED
