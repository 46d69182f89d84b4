"""One request of a batch whose answer is made in the background: its id is in the journal before anything can be lost.

A stopped or killed run leaves the answer at the provider, and the next run fetches it instead of asking again.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from llm_sync.batch.budget_pause import opens_soon
from llm_sync.batch.line_sending import LineSending, outcome_in_steps
from llm_sync.batch.state.background_notes import MadeAnswer, made_note, reply_note
from llm_sync.batch.state.journal_format import line_of
from llm_sync.batch.state.records import with_attempts
from llm_sync.config.ways import BACKGROUND
from llm_sync.errors import BudgetExceededError, ClientClosedError, LLMConnectorError, ProviderError
from llm_sync.models import ModelResponse, PreparedRequest, Reply
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import Steps

if TYPE_CHECKING:
    from llm_sync.batch.state.records import RequestIdentity


class BackgroundSending(LineSending):
    """Middleware around one request, and the keeper of its answer (providers/background.py). ``made``: the answer that an earlier
    run asked for, if there is one."""

    def __init__(self, sender: Any, slot: int, identity: RequestIdentity, made: MadeAnswer | None) -> None:
        super().__init__(sender, slot, identity)
        self._job = "" if made is None else made.job  # of an answer that can be fetched
        self._reply = None if made is None else made.reply
        self._is_started = False  # whether the journal says that it is sent, and not yet what came of it

    def _send(self, further: Any, prepared: PreparedRequest, control: CallControl) -> Steps[Any]:
        sender, identity = self._sender, self._identity
        provider = str(identity.key.provider)
        began, attempts = time.monotonic(), 0
        control.keeper = self
        while True:
            if not self._job:
                yield from sender.cool_down_steps(provider, control)
            outcome = yield from outcome_in_steps(further(self._with_job(prepared)))
            attempts += outcome.attempts or 0
            if self._job and isinstance(outcome, LLMConnectorError):
                return self._left(outcome), outcome
            if isinstance(outcome, ClientClosedError):
                return sender.withdraw(self._slot, identity, outcome, control), outcome
            if isinstance(outcome, BudgetExceededError):
                if not control.possibly_billed:
                    self._take_back()
                if (yield from opens_soon(outcome, control)):
                    continue
                return sender.no_outcome(self._slot, identity)._replace(stop=str(outcome)), outcome
            if control.stopped or not sender.is_cooling(identity, provider, outcome):
                break
            self._take_back()
        if isinstance(outcome, ModelResponse):  # an error counts them itself
            identity = identity._replace(unsure=identity.unsure + control.possibly_billed)
        end = sender.record(self._slot, identity, with_attempts(outcome, attempts), attempts, time.monotonic() - began)
        return end, outcome

    def _take_back(self) -> None:
        """It was refused, so that nothing is billed."""
        if self._is_started:
            self._sender.journal.add(line_of({"unsent": self._identity.key}))
            self._is_started = False

    def _with_job(self, prepared: PreparedRequest) -> PreparedRequest:
        return dataclasses.replace(prepared, job=self._job) if self._job else prepared  # type: ignore[call-arg]

    def _left(self, outcome: LLMConnectorError) -> Any:
        """The end of a request whose answer stays at the provider: it has no outcome in this run."""
        end = self._sender.no_outcome(self._slot, self._identity)
        if isinstance(outcome, ClientClosedError):
            return end
        return end._replace(stop=str(outcome)) if isinstance(outcome, BudgetExceededError) else end._replace(waiting=str(outcome))

    # The keeper -----------------------------------------------------------------------------------------------------

    def creating(self) -> None:
        """See Keeper."""
        if not self._is_started:
            self._sender.journal.note({"started": self._identity.key, "line": self._identity.line, "via": BACKGROUND})
            self._is_started = True

    def created(self, job: str) -> None:
        """Likewise."""
        self._sender.journal.note(made_note(self._identity.key, self._identity.line, self._identity.settings, job))
        self._job, self._is_started = job, False

    def received(self, job: str, reply: Reply) -> None:
        """Likewise."""
        identity = self._identity
        self._sender.journal.note(reply_note(identity.key, identity.line, identity.settings, job, reply))
        self._sender.journal.sync(now=True)

    def kept(self, job: str) -> Reply | None:
        """Likewise."""
        return self._reply if job == self._job else None

    def over(self, job: str) -> None:  # noqa: ARG002
        """Likewise."""
        self._job, self._reply = "", None


def lost_on_the_way(prepared: PreparedRequest) -> ProviderError:
    """The outcome of a request that an earlier run had sent when it was killed, before it knew the id of the answer."""
    return ProviderError(
        "an earlier run was stopped while this request was on its way: its answer may be made and billed, and cannot be found",
        provider=prepared.provider,
        model=prepared.model,
        retryable=False,
        attempts=0,
        guidance="It is not sent again by itself. --rebuy (rebuy=True) sends it.",
    )
