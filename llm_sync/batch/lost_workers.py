"""Requests whose worker was lost while it had them: they are asked again, as after a kill of the whole run."""

from __future__ import annotations

from llm_sync.errors import LLMConnectorError, ProviderConnectionError
from llm_sync.models import ModelResponse
from llm_sync.runtime.cancellation import CallControl

MAX_LOST = 3  # workers that one request may lose: it may be what ends them


def is_asked_again(outcome: ModelResponse | LLMConnectorError, lost: int, control: CallControl) -> bool:
    """Whether a request is sent again because its worker was lost; ``lost``: how many it had lost before."""
    return bool(getattr(outcome, "worker", "")) and lost < MAX_LOST - 1 and not control.stopped


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
