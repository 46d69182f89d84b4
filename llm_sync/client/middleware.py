"""Code of a program's own around every call: what a cache, a budget, a fallback route or a trace is written as.

A middleware is called on the provider's worker thread, with the request as data and with ``send``, which goes on::

    def timed(request: PreparedRequest, send: Next) -> ModelResponse:
        began = time.monotonic()
        try:
            return send(request)
        finally:
            print(request.provider, request.model, time.monotonic() - began)

    client.add_middleware(timed)

It may answer without sending (return a ModelResponse of its own), change what is sent (``send`` another PreparedRequest, made
with ``dataclasses.replace``, or by ``client.dispatcher.prepare`` for another model or provider of the client, to whose gate and
retries it then keeps), send more than once, and see, replace or let pass every error. What it raises is the request's outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llm_sync.models import ModelResponse, PreparedRequest
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import Steps, run

SendSteps = Callable[[PreparedRequest, CallControl], Steps[ModelResponse]]


class Next:
    """The rest of a call: the next middleware, and behind the last one the sending with its retries.

    Call it with the request to go on with; it may be called again, and not at all. It belongs to one call and to the worker
    thread that runs it. ``control`` is the request's: a middleware that waits uses ``control.wait(seconds)``, which returns
    True at once when the request is to stop, and then raises what ends the request.
    """

    def __init__(self, send: SendSteps, rest: Sequence[Middleware], control: CallControl) -> None:
        self._send = send
        self._rest = rest
        self.control = control

    def __call__(self, request: PreparedRequest) -> ModelResponse:
        """Go on with ``request``. Raises LLMConnectorError, and whatever a further middleware raises."""
        if not self._rest:
            return run(self._send(request, self.control))
        return self._rest[0](request, Next(self._send, self._rest[1:], self.control))

    def steps(self, request: PreparedRequest) -> Steps[ModelResponse]:
        """Go on with ``request`` in steps; only where ``has_steps`` is true of each further middleware."""
        if not self._rest:
            return self._send(request, self.control)
        further: Any = self._rest[0]
        result: Steps[ModelResponse] = further.steps(request, Next(self._send, self._rest[1:], self.control))
        return result


def has_steps(middleware: Middleware) -> bool:
    """Whether a middleware is written in steps (runtime/steps.py): it has a method ``steps(request, send)`` beside being called.

    A request with other middleware takes a helper thread, because that waits in the thread that calls it.
    """
    return hasattr(middleware, "steps")


Middleware = Callable[[PreparedRequest, Next], ModelResponse]
"""``middleware(request, send)``: see the module."""
