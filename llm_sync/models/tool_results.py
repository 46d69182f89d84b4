"""Which result of a tool belongs to which call: by id, within one turn."""

from __future__ import annotations

from llm_sync.errors import InvalidRequestError
from llm_sync.models.messages import Message
from llm_sync.models.responses import ToolCall


def in_call_order(turns: tuple[Message, ...]) -> tuple[Message, ...]:
    """The turns with the results of tools right after the turn that called them, in the order of the calls.

    Ids count within a turn: a later turn may use one again. Raises InvalidRequestError, which names the call, for a result
    without a call, a call without a result, two results of one call, and two calls of one id.
    """
    if not any(turn.tool_calls or turn.role == "tool" for turn in turns):
        return turns
    out: list[Message] = []
    calls: dict[str, ToolCall] = {}  # of the last assistant turn
    results: dict[str, Message] = {}
    between: list[Message] = []  # system messages among the results
    for turn in turns:
        if turn.role == "tool":
            _add_result(turn, calls, results)
        elif turn.role == "system" and len(results) < len(calls):
            between.append(turn)
        else:
            out += [*_all_results(calls, results), *between]
            calls, results, between = _calls(turn), {}, []
            out.append(turn)
    return (*out, *_all_results(calls, results), *between)


def _calls(turn: Message) -> dict[str, ToolCall]:
    calls: dict[str, ToolCall] = {}
    for call in turn.tool_calls:
        if call.id in calls:
            raise InvalidRequestError(
                f"two tool calls of one message have the id {call.id!r} ({calls[call.id].name} and {call.name})",
                guidance="Give each its own id, or no result can be matched to its call.",
            )
        calls[call.id] = call
    return calls


def _add_result(turn: Message, calls: dict[str, ToolCall], results: dict[str, Message]) -> None:
    call_id = turn.tool_call_id or ""
    if call_id not in calls:
        raise InvalidRequestError(
            f"no tool call before the tool message has its id, {call_id!r}",
            guidance="Put the assistant message with its tool_calls before the tool message.",
        )
    if call_id in results:
        raise InvalidRequestError(
            f"two tool messages answer the tool call {call_id!r} ({calls[call_id].name})",
            guidance="Give one result for each call.",
        )
    results[call_id] = turn


def _all_results(calls: dict[str, ToolCall], results: dict[str, Message]) -> list[Message]:
    for call_id, call in calls.items():
        if call_id not in results:
            raise InvalidRequestError(
                f"the tool call {call_id!r} ({call.name}) has no result",
                guidance="Add a tool message with its tool_call_id after the assistant message, for every call.",
            )
    return [results[call_id] for call_id in calls]
