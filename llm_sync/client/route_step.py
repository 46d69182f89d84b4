"""One step of a route on its worker: sent within what is left of the deadline, and told to the provider's breaker."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from llm_sync.client.middleware import Next
from llm_sync.client.route_call import RouteCall
from llm_sync.errors import LLMConnectorError
from llm_sync.models import ModelResponse, PreparedRequest
from llm_sync.runtime import clock
from llm_sync.runtime.steps import Steps, run

Further = Callable[[PreparedRequest], Steps[ModelResponse]]


class StepMiddleware:
    """Middleware around one step; written in steps, so that a worker may have many requests in flight."""

    def __init__(self, call: RouteCall) -> None:
        self._call = call

    def __call__(self, prepared: PreparedRequest, send: Next) -> ModelResponse:
        """Send it, and wait in this thread."""
        return run(self._steps(prepared, send, partial(_whole, send)))

    def steps(self, prepared: PreparedRequest, send: Next) -> Steps[ModelResponse]:
        """Send it in steps."""
        return self._steps(prepared, send, send.steps)

    def _steps(self, prepared: PreparedRequest, send: Next, further: Further) -> Steps[ModelResponse]:
        call = self._call
        step, prepared = call.start_step(prepared)
        began, around = clock.now(), call.around
        try:
            response = yield from (further(prepared) if around is None else around(prepared, send, call, further))
        except LLMConnectorError as error:
            step.breaker.failed(error, probe=step.probe)
            if error.attempts:
                call.note_attempt(began)
            raise
        step.breaker.succeeded()
        return response


def _whole(send: Next, prepared: PreparedRequest) -> Steps[Any]:
    """The rest of the call, which has no steps."""
    return send(prepared)
    yield
