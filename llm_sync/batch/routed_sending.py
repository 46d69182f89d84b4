"""One routed request of a batch: the journal has a line before each model is asked, and the outcome of the whole route."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from llm_sync.batch.lost_workers import is_asked_again
from llm_sync.batch.state.journal_format import line_of
from llm_sync.errors import BudgetExceededError, ClientClosedError, LLMConnectorError
from llm_sync.models import ModelResponse, PreparedRequest
from llm_sync.runtime.steps import Steps

if TYPE_CHECKING:
    from llm_sync.batch.state.records import RequestIdentity
    from llm_sync.client.middleware import Next
    from llm_sync.client.route_call import RouteCall
    from llm_sync.client.route_step import Further


class RoutedSending:
    """Stands around the steps of one request. A killed run counts every step that may have been billed, and no other.

    ``sender``: the batch's Sender, which tells in its own terms what is in flight and what is recorded.
    """

    def __init__(self, sender: Any, slot: int, identity: RequestIdentity) -> None:
        self._sender = sender
        self._slot = slot
        self._identity = identity
        self._began = time.monotonic()
        self._open = 0  # "started" lines of steps that may be billed: the outcome closes one of them
        self._failed_apart: BaseException | None = None  # what went wrong beside the request: the journal cannot be written

    def around(self, prepared: PreparedRequest, send: Next, call: RouteCall, further: Further) -> Steps[ModelResponse]:
        """Around one step, in steps. The last model of a route waits while its provider cools down, as a single one does."""
        sender, identity = self._sender, self._identity
        sender.enter(self._slot, send.control)
        try:
            with sender.journal.writing():
                lost = 0
                while True:
                    if not call.left:
                        yield from sender.cool_down_steps(prepared.provider, send.control)
                    sender.journal.note({"started": identity.key, "line": identity.line})
                    self._open += 1
                    try:
                        return (yield from further(prepared))
                    except LLMConnectorError as error:
                        billed = error.possibly_billed or (isinstance(error, ClientClosedError) and send.control.aborted)
                        if not billed:
                            self._open -= 1
                            sender.journal.add(line_of({"unsent": identity.key}))
                        if is_asked_again(error, lost, send.control):
                            lost += 1
                            continue
                        waits = not call.left and not send.control.stopped
                        if not waits or not sender.is_cooling(identity, prepared.provider, error):
                            raise
        except LLMConnectorError:
            raise
        except BaseException as error:
            self._failed_apart = error
            raise
        finally:
            sender.leave(self._slot)

    def ended(self, future: Future[Any]) -> None:
        """Done-callback of the route: write the outcome to the journal, and report the end."""
        sender, identity = self._sender, self._identity
        if future.cancelled():
            return  # it was not sent; its lane withdrew it
        end = sender.no_outcome(self._slot, identity)
        try:
            if self._failed_apart is not None:
                end = end._replace(error=self._failed_apart)
                return
            outcome = sender.outcome_of(future.result)
            if isinstance(outcome, BudgetExceededError):
                end = end._replace(stop=str(outcome))
            if isinstance(outcome, (ClientClosedError, BudgetExceededError)):
                return
            attempts = sum(step.attempts for step in outcome.route) or outcome.attempts or 0
            if isinstance(outcome, ModelResponse):  # an error counts them itself
                billed = sum(step.possibly_billed for step in outcome.route)
                identity = identity._replace(unsure=identity.unsure + billed)
            with sender.journal.writing():
                end = sender.record(self._slot, identity, outcome, attempts, time.monotonic() - self._began)
                for _ in range(self._open - 1):  # the outcome has closed one, and counts all that may be billed
                    sender.journal.add(line_of({"unsent": identity.key}))
        except BaseException as error:  # noqa: BLE001  (the thread that runs the batch raises it)
            end = end._replace(error=error)
        finally:
            sender.ended.put(end)
