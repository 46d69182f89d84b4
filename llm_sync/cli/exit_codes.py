"""The exit statuses and what each means. Costs nothing to import; which error ends with which status: outcome.py."""

from __future__ import annotations

EXIT_CODES = {
    0: "all requests were answered",
    1: "unexpected error",
    2: "the command line is wrong",
    3: "the configuration is wrong or missing",
    4: "authentication or permission failed",
    5: "a rate limit or quota is exhausted",
    6: "network error, timeout, or the provider is down",
    7: "the request was refused: invalid, too long, no such model, streaming requested, or not stored",
    8: "the answer is unusable: blocked, empty, malformed, a stream, or truncated under --strict",
    9: "some requests failed, some were answered",
    10: "answered, but not as --max-error-rate, --fail-on-truncated, --min-accuracy or --verify want it",
    129: "hung up: the terminal was closed (SIGHUP)",
    130: "interrupted (Ctrl-C)",
    141: "the reader of standard output closed it",
    143: "terminated (SIGTERM)",
}
"""Exit status and its meaning; help and the man page show this table."""

ANSWERED, UNEXPECTED, USAGE, CONFIGURATION = 0, 1, 2, 3
AUTHENTICATION, RATE_LIMIT, NETWORK, REFUSED, UNUSABLE = 4, 5, 6, 7, 8
MIXED, UNFIT = 9, 10
HUNG_UP, INTERRUPTED, CLOSED_PIPE, TERMINATED = 129, 130, 141, 143
