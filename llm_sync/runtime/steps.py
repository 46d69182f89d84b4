"""Work written as steps: a generator yields what it has to wait for, and a driver waits and sends the result back.

So the same code runs in either of two ways: ``run`` waits for each need in the calling thread, and a worker that multiplexes
(dispatch/multiplexing.py) waits for the needs of many requests at once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Need(Protocol):
    """What a step waits for."""

    def run(self) -> Any:
        """Wait for it in this thread; return the result or raise the error that the step gets."""


Steps = Generator[Need, Any, T]
"""A generator that yields needs, gets their results, and returns a T."""


class Stoppable(Protocol):
    """The control of a request; see CallControl."""

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be sent."""

    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``; return True as soon as the request is stopped."""

    def on_stop(self, callback: Callable[[], object] | None) -> None:
        """Call ``callback`` when the request is stopped, or now if it already is; None removes it."""


class Pause:
    """Let ``seconds`` pass, fewer when the request of ``control`` is stopped."""

    __slots__ = ("control", "seconds")

    def __init__(self, seconds: float, control: Stoppable) -> None:
        self.seconds = seconds
        self.control = control

    def run(self) -> None:
        """See Need."""
        self.control.wait(self.seconds)


class Blocking:
    """Call ``work``, which may take long: it reads a file, runs a command, waits for another process."""

    __slots__ = ("run",)

    def __init__(self, work: Callable[[], Any]) -> None:
        self.run = work


class Elsewhere:
    """Have something done by others, such as another process: ``start(done)`` begins it, and any thread may call ``done(result,
    error)``, once, later or before ``start`` returns."""

    __slots__ = ("start",)

    def __init__(self, start: Callable[[Callable[[Any, BaseException | None], object]], object]) -> None:
        self.start = start

    def run(self) -> Any:
        """See Need."""
        from queue import SimpleQueue

        ends: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self.start(lambda result, error: ends.put((result, error)))
        result, error = ends.get()
        if error is not None:
            raise error
        return result


class Together:
    """Have ``work`` called once with the ``item`` of each request that has come to it in one turn of the worker, in a list. It
    returns a result for each; if it raises, it is called for each item alone, and must not have done anything before."""

    __slots__ = ("item", "work")

    def __init__(self, work: Callable[[list[Any]], Sequence[Any]], item: Any) -> None:
        self.work = work
        self.item = item

    def run(self) -> Any:
        """See Need."""
        return self.work([self.item])[0]


class HTTPCall:
    """One HTTP request through ``http``, an HTTP client; the result is a Reply."""

    __slots__ = ("body", "control", "headers", "http", "method", "timeout", "url")

    def __init__(
        self, http: Any, method: str, url: str, body: bytes | None, headers: Mapping[str, str], timeout: float, control: Any
    ) -> None:
        self.http = http
        self.method = method
        self.url = url
        self.body = body
        self.headers = headers
        self.timeout = timeout
        self.control = control

    def run(self, **options: Any) -> Any:
        """See Need. ``options``: more of them for the HTTP client."""
        return self.http.request(
            self.method, self.url, self.body, self.headers, timeout=self.timeout, control=self.control, **options
        )


def run(steps: Steps[T]) -> T:
    """Run ``steps`` to the end in this thread; return what they return, raise what they raise."""
    try:
        need = next(steps)
        while True:
            try:
                result = need.run()
            except BaseException as error:  # noqa: BLE001, PERF203  (the steps decide)
                need = steps.throw(error)
            else:
                need = steps.send(result)
    except StopIteration as end:
        value: T = end.value
        return value


def in_one_step(work: Callable[[], T]) -> Steps[T]:
    """A call that may take long, as steps."""
    result: T = yield Blocking(work)
    return result
