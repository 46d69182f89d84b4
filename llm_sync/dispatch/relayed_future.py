"""The future of a request that goes from queue to queue, and what such a request is to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from llm_sync.dispatch.future import Call, RequestFuture
from llm_sync.runtime.cancellation import Progress

if TYPE_CHECKING:
    from llm_sync.dispatch.queue import ProviderRequestQueue


class Relays(Protocol):
    """What an owner needs from the queue of the relays."""

    def accept(self, future: RequestFuture, *, block: bool = True, timeout: float | None = None) -> None:
        """Begin a relay."""

    def on_done(self, future: RequestFuture) -> None:
        """Forget a future that is done."""

    def forget(self, future: RequestFuture) -> None:
        """Likewise, if it waited for its first step itself."""


class Relay(Protocol):
    """One request that goes from queue to queue. ``provider`` and ``model``: where it is now.

    ``stop_retrying``, ``abort`` and ``give_up`` are those of a call, for the step under way, and keep further steps from
    beginning. Any thread may call the methods.
    """

    provider: str
    model: str
    key: int | None
    first_call: Call | None  # what sends the first step, if the future itself waits for it
    first_queue: ProviderRequestQueue | None  # where it waits then

    def on_worker(self) -> bool:
        """Whether the calling thread is a worker of a queue that the request may need."""

    def begin(self, future: RelayedFuture, *, block: bool, timeout: float | None) -> None:
        """Queue the first step. ``future`` is to be completed by ``settle``. Raises what keeps it from being queued."""

    def answered(self, answer: Any, elapsed: float) -> Any:
        """A step has ended after so many seconds: what the caller gets."""

    def failed_first(self, future: RelayedFuture, error: BaseException) -> BaseException | None:
        """The first step, for which ``future`` itself waited, has failed: what the caller gets.

        None if another step follows, which ends ``future`` later.
        """

    def withdraw(self) -> None:
        """Cancel the step that is queued, if it is not sent yet."""

    def ended_step(self) -> object | None:
        """The future of the current step if it has ended, else None."""

    def stop_retrying(self) -> None: ...  # noqa: D102
    def abort(self) -> None: ...  # noqa: D102
    def give_up(self) -> Progress: ...  # noqa: D102
    def __call__(self) -> Any: ...  # noqa: D102


class RelayOwner:
    """The owner of one future. Holds the relay's provider only, so that a stored future does not keep its prompt in memory.

    ``step_queue``: the provider's queue in which the future itself waits for the first step, until that is left behind.
    """

    def __init__(self, queue: Relays, relay: Relay, step_queue: ProviderRequestQueue | None) -> None:
        self.name = relay.provider
        self.step_queue = step_queue
        self.accept: Callable[..., None] = queue.accept
        self._queue = queue
        self._is_worker: Callable[[], bool] | None = relay.on_worker

    def on_worker(self) -> bool:
        """Whether the calling thread is a worker that the request may need."""
        ask = self._is_worker
        return ask is not None and ask()

    def on_done(self, future: RequestFuture) -> None:
        """Forget a future that is done."""
        self._is_worker = None
        if self.step_queue is None:
            self._queue.on_done(future)
        else:
            self._queue.forget(future)
            self.step_queue.on_done(future)


class _EndedStep:
    """What the report of a request's end reads of its future, for a step whose future goes on."""

    value = None

    def __init__(self, future: RequestFuture, failure: BaseException) -> None:
        self.key, self.elapsed, self.given_up, self.failure = future.key, future.elapsed, future.given_up, failure

    def cancelled(self) -> bool:
        """It was sent."""
        return False


class RelayedFuture(RequestFuture):
    """The future of a relay. Cancelling it works until a worker has taken the first step.

    It may wait for the first step itself, in the queue of a provider: most routes have no other.
    """

    owner: RelayOwner

    @property
    def call(self) -> Call:
        """What the worker runs for the first step. Raises RuntimeError if the future was completed before that."""
        relay: Any = self._call
        return super().call if relay is None else relay.first_call or relay

    def may_run_step(self) -> bool:
        """Take a step that has a future of its own, as ``start``; True for later ones too."""
        return self.running() or self.start()

    def moved_to(self, provider: str, model: str) -> None:
        """The next step is asked of another provider: errors of a wait that ends now name that one."""
        self.owner.name, self.model = provider, model

    def set_result(self, result: Any) -> None:
        """Complete it; the answer to the first step as the relay gives it to the caller."""
        relay: Any = self._call
        if relay is not None and self.owner.step_queue is not None:
            try:
                result = relay.answered(result, self.elapsed or 0.0)
            except BaseException as error:
                super().set_exception(error)
                raise
        super().set_result(result)

    def set_exception(self, exception: BaseException | None) -> None:
        """Complete it, unless the first step has failed and another one follows."""
        failure, relay = exception, cast("Any", self._call)
        try:
            if relay is not None and self.owner.step_queue is not None and exception is not None:
                try:
                    failure = relay.failed_first(self, exception)
                except BaseException as error:
                    super().set_exception(error)
                    raise
                if failure is None:
                    return
            super().set_exception(failure)
        finally:
            del exception, failure  # its traceback may refer to this frame

    def settle_in_child(self) -> None:
        """End the future in a forked child: the parent goes on with the relay."""
        self.owner.step_queue = None
        super().settle_in_child()

    def leave_step_queue(self, failure: BaseException) -> None:
        """The first step has failed, and the relay goes on: report its end, and wait outside of its queue from now on."""
        queue, self.owner.step_queue = self.owner.step_queue, None
        if queue is not None:
            ended: Any = _EndedStep(self, failure)
            queue.report_end(ended)
