"""Results of tools belong to the calls with their ids; what does not match is refused before anything is sent."""

from __future__ import annotations

import itertools

import pytest

from llm_sync import InvalidRequestError, Message, ModelRequest, ToolCall

ASKED = Message("user", "go")


def calling(*ids: str) -> Message:
    """An assistant's turn with a call of each id, of tools called tool_ID."""
    return Message("assistant", None, tool_calls=[ToolCall(name, f"tool_{name}", {}) for name in ids])


def result(call_id: str) -> Message:
    """A result for the call of this id."""
    return Message("tool", f"of {call_id}", tool_call_id=call_id)


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
def test_results_stand_in_the_order_of_their_calls(order: tuple[str, ...]) -> None:
    """Whatever order they are given in."""
    request = ModelRequest(messages=[ASKED, calling("a", "b", "c"), *map(result, order)])
    assert [turn.tool_call_id for turn in request.conversation()[2:]] == ["a", "b", "c"]


def test_a_later_turn_may_use_an_id_again() -> None:
    """Some servers begin to count anew in each answer."""
    talk = [ASKED, calling("a"), result("a"), calling("a", "b"), result("b"), result("a"), Message("user", "thanks")]
    assert [turn.tool_call_id for turn in ModelRequest(messages=talk).conversation()[4:6]] == ["a", "b"]


def test_a_system_message_among_results_follows_them() -> None:
    """Every API wants the results right after the calls."""
    between = Message("system", "Be brief")
    request = ModelRequest(messages=[ASKED, calling("a", "b"), result("b"), between, result("a")])
    assert request.conversation()[2:] == (result("a"), result("b"), between)


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        ([ASKED, result("x")], r"no tool call before .* 'x'"),
        ([ASKED, calling("a"), result("a"), result("x")], r"no tool call before .* 'x'"),
        ([ASKED, calling("a"), result("a"), ASKED, result("a")], r"no tool call before .* 'a'"),
        ([ASKED, calling("a"), result("a"), calling("b"), result("a")], r"no tool call before .* 'a'"),
        ([ASKED, calling("a", "b"), result("a"), result("a")], r"two tool messages answer the tool call 'a' \(tool_a\)"),
        ([ASKED, calling("a", "b"), result("a")], r"the tool call 'b' \(tool_b\) has no result"),
        ([ASKED, calling("a")], r"the tool call 'a' \(tool_a\) has no result"),
        ([ASKED, calling("a", "b"), result("a"), ASKED, result("b")], r"the tool call 'b' \(tool_b\) has no result"),
        ([ASKED, calling("a", "a"), result("a")], r"two tool calls of one message have the id 'a'"),
    ],
)
def test_what_does_not_match_is_refused_by_name(talk: list[Message], words: str) -> None:
    """A result without a call, a call without a result, two results of one call, one id for two calls."""
    with pytest.raises(InvalidRequestError, match=words):
        ModelRequest(messages=talk).conversation()
