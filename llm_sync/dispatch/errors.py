"""The errors raised when a request cannot be queued or its result cannot be waited for."""

from __future__ import annotations

from llm_sync.dispatch import shutdown
from llm_sync.errors import ClientClosedError, LLMConnectorError, QueueFullError, RequestTimeoutError
from llm_sync.models.grammar import counted
from llm_sync.runtime.cancellation import Progress


def closed(provider: str | None = None) -> ClientClosedError:
    """No request is accepted: the client is closed, by the program or because Ctrl-C ends the process."""
    if shutdown.shutting_down() and shutdown.refuses_calls():
        return ending(provider)
    return ClientClosedError("the client is closed", provider=provider, guidance="Create a new one.")


def ending(provider: str | None) -> ClientClosedError:
    """The process is ending, and this request would not end with it."""
    if shutdown.is_torn_down():
        return ClientClosedError(
            "Python has unloaded its modules already; nothing was sent",
            provider=provider,
            guidance="Send last requests in a function registered with atexit, not in a __del__ that runs after it.",
        )
    if shutdown.refuses_calls():
        return ClientClosedError(
            "the program is ending after Ctrl-C and sends no more requests",
            provider=provider,
            guidance="Catch KeyboardInterrupt in the main thread, and go on there, if requests are to be sent after Ctrl-C.",
        )
    return ClientClosedError(
        "the program is ending and accepts no more requests from done-callbacks and other code on worker threads",
        provider=provider,
        guidance="Submit them in a thread of the program's own, or before the main thread ends.",
    )


def full(provider: str, max_queue: int | None, waited: float | None = None) -> QueueFullError:
    """The queue has no room, after ``waited`` seconds if the caller waited for it."""
    still = "" if waited is None else f", still after {waited:.3g} s"
    return QueueFullError(
        f"the queue is full: {counted(max_queue or 0, 'request')} (max_queue){still}",
        provider=provider,
        guidance="Submit it later, or raise max_queue or concurrency.",
    )


def no_thread(provider: str, cause: BaseException) -> LLMConnectorError:
    """No worker thread could be started."""
    return LLMConnectorError(
        f"no worker thread could be started ({cause}); the request was not sent",
        provider=provider,
        guidance="Raise the limit on threads or memory (ulimit -u, the container's pids limit), or run fewer threads.",
    )


def patched_late(provider: str) -> LLMConnectorError:
    """gevent or eventlet patched the program while worker threads ran: those and the greenlets cannot wake each other."""
    return LLMConnectorError(
        "the standard library was patched (by gevent or eventlet) after the first request; nothing was sent",
        provider=provider,
        guidance="Call gevent.monkey.patch_all() or eventlet.monkey_patch() first, at the top of the program.",
    )


def own_worker(provider: str) -> RuntimeError:
    """A blocking call on a worker thread would wait for itself. A RuntimeError, because it is a mistake in the program."""
    return RuntimeError(
        f"this thread is a worker of provider {provider!r} (done-callbacks run there): a blocking call to the same provider "
        "would wait for itself. Use submit() here, or make the call in another thread."
    )


def inherited(provider: str, model: str) -> ClientClosedError:
    """The future belongs to a request of the parent process."""
    return ClientClosedError(
        "the request was submitted before this process was forked and belongs to the parent process",
        provider=provider,
        model=model or None,
        guidance="Submit it again here if this process needs the answer.",
    )


def cancelled(provider: str | None, model: str | None) -> ClientClosedError:
    """The future that a blocking call waits for was cancelled."""
    return ClientClosedError(
        "the request was cancelled before it was sent",
        provider=provider,
        model=model or None,
        guidance="The client was closed with cancel_pending, or the future was cancelled. Submit it again to get an answer.",
    )


def wait_timed_out(limit: float | None, state: str, provider: str | None, model: str | None) -> RequestTimeoutError:
    """A blocking call waited ``limit`` seconds; ``state`` says what became of the request."""
    return RequestTimeoutError(
        f"no answer within {limit or 0:.4g} s (wait_timeout): {state}",
        provider=provider,
        model=model or None,
        guidance="Raise wait_timeout, or lower timeout and deadline, which end the attempt itself.",
    )


_WAITS = {
    "pace": "its turn (requests_per_minute)",
    "cool-down": "the end of the provider's cool-down",
    "slot": "a machine-wide slot",
    "concurrency": "a place among those in flight (concurrency: auto)",
    "budget": "money that other requests have reserved",
    "retry": "its next attempt",
}


def state_when_given_up(progress: Progress | None) -> str:
    """What became of a request that a worker had taken when its caller's time was up."""
    if progress is None:
        return "the request is in flight and continues; its answer is discarded and may be billed"
    if progress.in_flight:
        return "the request is in flight; its answer is discarded and may be billed. There is no further attempt"
    waited_for = _WAITS.get(progress.waiting_for, "its turn")
    if not progress.attempts:
        return f"the request was waiting for {waited_for}; it was withdrawn and nothing was sent"
    return f"the request was waiting for {waited_for} after {progress.attempts} failed; it was withdrawn and is not sent again"
