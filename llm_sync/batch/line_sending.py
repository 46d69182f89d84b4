"""One request of a batch on its worker: the journal has a line before it is sent, and its outcome before the next is sent."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from llm_sync.errors import LLMConnectorError
from llm_sync.events import logger
from llm_sync.models import ModelResponse, PreparedRequest
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import Steps, run

if TYPE_CHECKING:
    from llm_sync.batch.state.records import RequestIdentity
    from llm_sync.client.middleware import Next

_BUG = "This is a bug in llm-sync or in an added dialect; 'llm-sync -vv' shows where."

_log = logger("batch")


class LineSending:
    """Middleware around one request. ``sender``: the batch's Sender, which writes the journal and knows what is in flight.

    Nobody asks the future for the outcome; it goes to the events and the status of the client.
    """

    def __init__(self, sender: Any, slot: int, identity: RequestIdentity) -> None:
        self._sender = sender
        self._slot = slot
        self._identity = identity

    def __call__(self, prepared: PreparedRequest, send: Next) -> ModelResponse:
        """Send it, and wait in this thread."""
        return run(self._steps(prepared, partial(_whole, send), send))

    def steps(self, prepared: PreparedRequest, send: Next) -> Steps[ModelResponse]:
        """Send it in steps."""
        return self._steps(prepared, send.steps, send)

    def _steps(self, prepared: PreparedRequest, further: Any, send: Next) -> Steps[ModelResponse]:
        sender, slot = self._sender, self._slot
        end = sender.no_outcome(slot, self._identity)
        try:
            sender.enter(slot, send.control)
            with sender.journal.writing():
                end, outcome = yield from self._send(further, prepared, send.control)
        except BaseException as error:
            end = end._replace(error=error)
            raise
        finally:
            sender.ended.put(end)
            sender.leave(slot)  # after the put: when nothing is in flight, all ends are in the queue
        if isinstance(outcome, LLMConnectorError):
            raise outcome
        response: ModelResponse = outcome
        return response

    def _send(self, further: Any, prepared: PreparedRequest, control: CallControl) -> Steps[Any]:
        return self._sender.send(self._slot, self._identity, partial(further, prepared), control)  # type: ignore[no-any-return]


def _whole(send: Next, prepared: PreparedRequest) -> Steps[ModelResponse]:
    """The rest of the call, which has no steps."""
    return send(prepared)
    yield


def outcome_in_steps(steps: Steps[ModelResponse]) -> Steps[ModelResponse | LLMConnectorError]:
    """The answer of a call, or its error."""
    try:
        return (yield from steps)
    except LLMConnectorError as error:
        return error
    except Exception as error:  # noqa: BLE001  (a bug in a dialect costs this request only)
        _log.debug("an unexpected error", exc_info=error)
        is_bug = not isinstance(error, OSError)
        failure = LLMConnectorError(
            f"an unexpected {type(error).__name__}: {error}",
            guidance=_BUG if is_bug else "Check this machine: it may have run out of file descriptors, memory or disk space.",
        )
        failure.__cause__ = error
        return failure
