"""An HTTPClient whose requests go through one thread with an event loop, so that every test of a client also tests that way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from llm_sync.runtime.event_loop import EventLoop
from llm_sync.runtime.steps import HTTPCall
from llm_sync.transport.client import HTTPClient

PATIENCE_S = 60.0


class LoopThread(threading.Thread):
    """An event loop that turns until the end of the test, with a new helper thread for each job."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.loop = EventLoop()
        self.over = False
        self.trouble: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Turn."""
        try:
            while not self.over:
                self.loop.turn(lambda: not self.over)
        except BaseException as error:
            self.trouble = error
            raise
        finally:
            self.loop.close()

    def in_helper(self, work: Callable[[], Any], done: Callable[[Any, BaseException | None], object]) -> None:
        """Do it in a thread of its own."""

        def run() -> None:
            _local.is_helper = True
            result = error = None
            try:
                result = work()
            except BaseException as caught:
                error = caught
            self.loop.post(lambda: done(result, error))

        threading.Thread(target=run, daemon=True).start()

    def end(self) -> None:
        """End it, and see that nothing went wrong in it."""
        self.over = True
        self.loop.wake()
        self.join(PATIENCE_S)
        assert not self.is_alive()
        assert self.trouble is None


_local = threading.local()


class MultiplexedHTTPClient(HTTPClient):
    """``request`` waits in the calling thread for what the loop's thread does."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.thread = LoopThread()
        self.driver = self.multiplexed(self.thread.loop, self.thread.in_helper)

    def request(self, method: str, url: str, body: Any, headers: Any, **options: Any) -> Any:
        """Like HTTPClient.request; in a helper thread, its own."""
        if getattr(_local, "is_helper", False):
            return super().request(method, url, body, headers, **options)
        ended = threading.Event()
        outcome: list[Any] = []

        def done(reply: Any, error: BaseException | None) -> None:
            outcome.extend((reply, error))
            ended.set()

        call = HTTPCall(self, method, url, body, headers, options["timeout"], options.get("control"))
        self.thread.loop.post(lambda: self.driver.start(call, done))
        assert ended.wait(PATIENCE_S), "it hangs"
        assert len(outcome) == 2, "it ended twice"
        reply, error = outcome
        try:
            if error is not None:
                raise error
            return reply
        finally:
            del error, outcome[:]

    def close(self) -> None:
        """Close the client; the loop ends with the first time."""
        super().close()

    def end(self) -> None:
        """After the test."""
        self.close()
        self.thread.end()
