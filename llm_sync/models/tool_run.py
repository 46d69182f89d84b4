"""What a tool loop has done: the model's answers round by round, what the tools returned, and the conversation so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from llm_sync.models.frozen import Frozen
from llm_sync.models.responses import ModelResponse, ToolCall, Usage

if TYPE_CHECKING:
    from llm_sync.models.messages import Message
    from llm_sync.models.requests import ModelRequest


@dataclass(frozen=True, repr=False, eq=False)
class ToolResult(Frozen):
    """One call of a tool, and what came of it.

    ``content``: what the model gets. ``error``: what was wrong, None if the tool returned; ``content`` then begins with
    "Error: ". ``truncated``: the tool returned more than the model gets. ``elapsed``: seconds the tool ran; 0.0: it was not
    called, as the call was not a valid one.
    """

    call: ToolCall
    content: str
    error: str | None = None
    truncated: bool = False
    elapsed: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the fields by name."""
        return {**vars(self), "call": self.call.to_dict()}


@dataclass(frozen=True, repr=False, eq=False)
class ToolRound(Frozen):
    """One answer of the model, with its usage and cost, and the results of its calls, in their order.

    There are fewer results than calls where the run ended before all tools had.
    """

    response: ModelResponse
    results: tuple[ToolResult, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the response as its ``to_dict`` gives it, and the results. Raises nothing."""
        return {"response": self.response.to_dict(), "results": [result.to_dict() for result in self.results]}


@dataclass(frozen=True, repr=False, eq=False)
class ToolRun(Frozen):
    """A conversation in which tools were called: what ``run_tools`` returns, and the ``tool_run`` of what it raises.

    ``request``: the given one with the whole conversation; after an error give it to ``run_tools`` again to go on: calls
    without a result are made first. ``rounds``: the answers of this run, in order. ``resumed``: the results of calls that the
    given request had left open. ``cost_estimate`` is in USD.
    """

    request: ModelRequest
    rounds: tuple[ToolRound, ...] = ()
    resumed: tuple[ToolResult, ...] = ()

    def next_request(self, prompt: str) -> ModelRequest:
        """The request that goes on with the conversation by a further message of the user."""
        return replace(self.request, messages=[*self.messages, {"role": "user", "content": prompt}])  # type: ignore[list-item]

    @property
    def messages(self) -> Sequence[Message]:
        """The conversation so far, the given messages included and the system prompt not."""
        return self.request.messages or ()

    @property
    def response(self) -> ModelResponse | None:
        """The last answer; None if there is none."""
        return self.rounds[-1].response if self.rounds else None

    @property
    def text(self) -> str:
        """The text of the last answer; "" if there is none."""
        return self.rounds[-1].response.text if self.rounds else ""

    @property
    def is_finished(self) -> bool:
        """Whether the last answer calls no tool."""
        return bool(self.rounds) and not self.rounds[-1].response.tool_calls

    @property
    def usage(self) -> Usage:
        """The tokens of all rounds together; a number that is unknown in any round is None."""
        names = [field.name for field in fields(Usage)]
        numbers = [[getattr(each.response.usage, name) for each in self.rounds] for name in names]
        return Usage(*(None if None in each else sum(each) for each in numbers))

    @property
    def cost_estimate(self) -> float | None:
        """The cost of all rounds in USD; None where that of any is not known."""
        costs = [each.response.cost_estimate for each in self.rounds]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: rounds, resumed results, usage, cost, text, and the messages (``Message(**each)`` gives them again)."""
        return {
            "rounds": [each.to_dict() for each in self.rounds],
            "resumed": [each.to_dict() for each in self.resumed],
            "usage": dict(vars(self.usage)),
            "cost_estimate": self.cost_estimate,
            "text": self.text,
            "messages": [message.to_dict() for message in self.messages],
        }
