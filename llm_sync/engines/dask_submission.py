"""Tasks for workers of a Dask cluster, each run once at most, by the worker that it names; and their results."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from llm_sync.events import logger

_LOOK_S = 0.2

_log = logger("engines")

Done = Callable[[Any, "BaseException | None"], object]
"""``done(result, error)``: the end of a task."""


class TaskCancelledError(Exception):
    """A task was cancelled, or the connection to its scheduler is gone."""


class PinnedTasks:
    """The tasks of one client. ``submit`` and ``cancel`` may be called from any thread; one thread of its own calls ``Done``."""

    def __init__(self, dask: Any, client: Any) -> None:
        self._dask = dask
        self._client = client
        self._results = dask.as_completed(with_results=True, raise_errors=False, loop=client.loop)
        self._open: dict[str, dict[Any, None]] = {}  # futures, by the worker's address
        self._done: dict[str, tuple[str, Done]] = {}  # by the future's key
        self._submitted = threading.Event()
        self._closing = False
        threading.Thread(target=self._collect, name="llm-sync-dask", daemon=True).start()

    def submit(self, done: Done, address: str, function: Callable[..., Any], *arguments: Any) -> None:
        """Run a task on this worker; if the cluster is gone, ``done`` is called at once."""
        try:
            future = self._client.submit(
                function, *arguments, workers=[address], allow_other_workers=False, pure=False, retries=0, priority=10
            )
            self._done[future.key] = address, done
            self._open.setdefault(address, {})[future] = None
            self._results.add(future)
        except Exception as error:  # noqa: BLE001  (the client is closed, or whatever Dask raises then)
            done(None, error)
        else:
            self._submitted.set()

    def cancel(self, address: str) -> None:
        """Forget the tasks of a worker that has left: they are pinned to it, and would wait for ever."""
        futures = list(self._open.pop(address, {}))
        with contextlib.suppress(Exception):  # the client is closed
            self._client.cancel(futures, force=True)

    def on_each(self, addresses: list[str], function: Callable[..., Any], *arguments: Any, within: float) -> list[Any]:
        """Run a task on each of these workers, and wait; return the results of those that give one within so many seconds."""
        options: dict[str, Any] = {"allow_other_workers": False, "pure": False, "retries": 0, "priority": 10}
        futures = [self._client.submit(function, *arguments, workers=[address], **options) for address in addresses]
        until = time.monotonic() + within
        while not all(future.done() for future in futures) and time.monotonic() < until:
            time.sleep(0.01)
        results = [future.result() for future in futures if future.status == "finished"]
        for future in futures:
            future.release()
        return results

    def close(self) -> None:
        """Take no more results."""
        self._closing = True
        self._submitted.set()

    def _collect(self) -> None:
        while not self._closing:
            self._submitted.wait(_LOOK_S)
            self._submitted.clear()
            while self._results.count():
                try:
                    batch = self._results.next_batch(block=True)
                except StopIteration:
                    break
                for future, result in batch:
                    self._end(future, result)

    def _end(self, future: Any, result: Any) -> None:
        address, done = self._done.pop(future.key, ("", None))
        self._open.get(address, {}).pop(future, None)
        if done is None:
            return
        error = None if future.status == "finished" else _error_of(result)
        try:
            done(None if error is not None else result, error)
        except Exception:  # noqa: BLE001  (others go on)
            _log.exception("the result of a task of Dask could not be processed")


def _error_of(result: Any) -> BaseException:
    """The error of a task that failed, or was cancelled."""
    if isinstance(result, tuple):
        result = next((each for each in result if isinstance(each, BaseException)), None)
    return result if isinstance(result, BaseException) else TaskCancelledError()


def is_cancelled(error: BaseException | None) -> bool:
    """Whether a task was given up, rather than failed."""
    return isinstance(error, TaskCancelledError) or "Cancelled" in type(error).__name__
