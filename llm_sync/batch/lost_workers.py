"""What workers in other processes bring and lose. A request whose worker was lost is asked again, as after a kill of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_sync.errors import LLMConnectorError, ProviderConnectionError
from llm_sync.models import ModelResponse
from llm_sync.runtime.cancellation import CallControl

if TYPE_CHECKING:
    from llm_sync.batch.state.records import RequestIdentity

MAX_LOST = 3  # workers that one request may lose: it may be what ends them


def is_asked_again(outcome: ModelResponse | LLMConnectorError, lost: int, control: CallControl) -> bool:
    """Whether a request is sent again because its worker was lost; ``lost``: how many it had lost before."""
    return bool(getattr(outcome, "worker", "")) and lost < MAX_LOST - 1 and not control.stopped


def written_elsewhere(
    outcome: ModelResponse | LLMConnectorError, identity: RequestIdentity, attempts: int, control: CallControl
) -> bytes | None:
    """The journal's line of an answer as its worker has made it; None if there is none, or it says anything else by now."""
    if control.written is None or not isinstance(outcome, ModelResponse):
        return None
    label, response, line = control.written
    is_same = response is outcome and label == identity and outcome.attempts == attempts and not outcome.route
    return line if is_same else None


def without_worker(outcome: ModelResponse | LLMConnectorError) -> ModelResponse | LLMConnectorError:
    """The outcome to be recorded: for a request that has lost too many workers, an error of the public tree."""
    if not isinstance(outcome, LLMConnectorError) or not getattr(outcome, "worker", ""):
        return outcome
    facts = {name: getattr(outcome, name) for name in ("provider", "model", "attempts", "possibly_billed")}
    return ProviderConnectionError(
        f"{MAX_LOST} workers were lost with this request in flight; the last: {outcome.message}",
        retryable=False,
        guidance="It may be what ends them: look at it, and at their memory. --retry-failed asks again.",
        **facts,
    )
