"""Runs the steps of jobs beside everything else that a batch does: in its thread, but for their calls, which have their own."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

from llm_sync.errors import ResponseValidationError
from llm_sync.jobs.needs import Call, JobSteps, Sleep
from llm_sync.runtime import clock
from llm_sync.runtime.cancellation import CallControl

_MAX_SHOWN = 300  # characters of an error
_TURN_S = 0.05  # how long steps go on before others have their turn


class _CallInThread:
    """One blocking call. ``wake`` is called when it has ended. Where no thread can be started, it is made at once."""

    def __init__(self, call: Call, wake: Callable[[], object]) -> None:
        self.call = call
        self._wake = wake
        self.value: Any = None
        self.error: BaseException | None = None
        self._ended = threading.Event()
        try:
            threading.Thread(target=self._run, name="llm-sync-jobs", daemon=True).start()
        except RuntimeError:
            self._run()

    def _run(self) -> None:
        try:
            self.value = self.call.make()
        except (TypeError, ValueError, LookupError, AttributeError, RecursionError) as error:  # nobody foresaw this answer
            self.error = ResponseValidationError(f"the answer about a job cannot be read: {error!r}"[:_MAX_SHOWN])
        except BaseException as error:  # noqa: BLE001  (the steps get it)
            self.error = error
        finally:
            self._ended.set()
            self._wake()

    def has_ended(self, seconds: float = 0.0) -> bool:
        return self._ended.wait(seconds) if seconds else self._ended.is_set()


class StepsInTurn:
    """The steps of one provider's jobs. ``control`` aborts the call that is made, ``wake`` is called when it has ended, on its
    thread. One thread calls the methods."""

    def __init__(self, steps: JobSteps[None], control: CallControl, wake: Callable[[], object]) -> None:
        self._steps = steps
        self._control = control
        self._wake = wake
        self._call: _CallInThread | None = None
        self._wakes_at = 0.0
        self.is_over = False

    def go_on(self) -> float:
        """Go on as far as possible, for a short time. Returns in how many seconds there is more to do; infinity: after a call.

        Raises what the steps raise.
        """
        until = clock.now() + _TURN_S
        while not self.is_over:
            if self._call is not None:
                if not self._call.has_ended():
                    break
                self._answer(self._call)
            elif clock.now() < self._wakes_at:
                return self._wakes_at - clock.now()
            else:
                self._send(None)
            if clock.now() >= until:
                return 0.0
        return math.inf

    def _answer(self, call: _CallInThread) -> None:
        """Give the steps what came of a call."""
        self._call, error = None, call.error
        if error is None:
            self._send(call.value)
        else:
            self._advance(lambda: self._steps.throw(error))

    def _send(self, value: Any) -> None:
        self._advance(lambda: self._steps.send(value))

    def _advance(self, resume: Any) -> None:
        try:
            need = resume()
        except StopIteration:
            self.is_over = True
            return
        except BaseException:
            self.is_over = True
            raise
        if isinstance(need, Sleep):
            self._wakes_at = need.until
        else:
            self._call = _CallInThread(need, self._wake)

    def stop(self, grace: float) -> None:
        """End. The answer to a call that makes a job is waited for, and noted; any other call is aborted."""
        if self.is_over:
            return
        call = self._call
        if call is not None and call.call.is_create and call.has_ended(grace):
            self._answer(call)
            call = self._call
        self._control.abort()
        self.is_over = True
        if call is not None:
            call.has_ended(grace)
        self._steps.close()
