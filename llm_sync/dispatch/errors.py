"""Why a request is not taken or a wait not begun, in words."""

from __future__ import annotations

from llm_sync.dispatch import shutdown
from llm_sync.errors import ClientClosedError, LLMConnectorError, QueueFullError, RequestTimeoutError


def closed(provider: str | None = None) -> ClientClosedError:
    """No more work, by ``close`` or because the process ends."""
    if shutdown.ending():
        return ClientClosedError(
            "the program is ending and takes no more requests",
            provider=provider,
            guidance="Wait for (join) the threads that send requests before the main thread ends.",
        )
    return ClientClosedError("the client is closed", provider=provider, guidance="Make a new one.")


def full(provider: str, max_queue: int | None, waited: float | None = None) -> QueueFullError:
    """As many requests wait as may."""
    how_long = "" if waited is None else f", still after {waited:.3g} s"
    return QueueFullError(
        f"{max_queue} requests wait in the queue, as many as may (max_queue){how_long}",
        provider=provider,
        guidance="Submit it later, or raise max_queue or concurrency.",
    )


def no_thread(provider: str, cause: BaseException) -> LLMConnectorError:
    """The system gives no thread to work with."""
    return LLMConnectorError(
        f"no worker thread can be started ({cause}), the request is not sent",
        provider=provider,
        guidance="Raise the limit on threads or memory (ulimit -u, the container's pids limit), or run fewer threads.",
    )


def own_worker(provider: str) -> RuntimeError:
    """A blocking call would wait for the very thread it is made on. No error of ours: the program is wrong."""
    return RuntimeError(
        f"this thread is a worker of provider {provider!r} (done-callbacks run there): a blocking call to the same provider "
        "would wait for itself. Use submit() here, or make the call in another thread."
    )


def inherited(provider: str, model: str) -> ClientClosedError:
    """The future of a request that the parent process made."""
    return ClientClosedError(
        "the request was made before this process was forked, and stays with the parent process",
        provider=provider,
        model=model or None,
        guidance="Submit it again here if this process needs the answer.",
    )


def cancelled(provider: str | None, model: str | None) -> ClientClosedError:
    """What a blocking call raises for a future that was cancelled under it."""
    return ClientClosedError(
        "the request was cancelled before it was sent",
        provider=provider,
        model=model or None,
        guidance="The client was closed with cancel_pending, or the future's cancel() called; submit it again if it is wanted.",
    )


def expired(limit: float | None, what: str, provider: str | None, model: str | None) -> RequestTimeoutError:
    """A blocking call took ``limit`` seconds; ``what`` became of the request."""
    return RequestTimeoutError(
        f"no answer within {limit or 0:.4g} s (wait_timeout): {what}",
        provider=provider,
        model=model or None,
        guidance="Raise wait_timeout, or lower timeout and deadline, which end the attempt itself.",
    )
