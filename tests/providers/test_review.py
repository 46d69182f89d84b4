"""Answers that were once lost, or taken for what they are not."""

from __future__ import annotations

from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models import ModelRequest

PING = ModelRequest("x", "m")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "it"}'}}


def completion(message: dict[str, Any], word: str) -> dict[str, Any]:
    """A chat completion of one choice."""
    return {"choices": [{"message": message, "finish_reason": word}]}


def test_a_word_beside_a_tool_call_is_not_held_against_the_schema(provider: Any, reply: Any) -> None:
    """The answer to the schema comes when the tool has answered; until then the call is what counts."""
    body = completion({"content": "Let me look.", "tool_calls": [CALL]}, "tool_calls")
    made = provider("openai", reply(body))
    response = made.generate_response(ModelRequest("x", "m", response_schema=SCHEMA, tools=[{"name": "look"}]))
    assert [call.name for call in response.tool_calls] == ["look"]
    assert "parsed" not in response.metadata


@pytest.mark.parametrize("word", ["SAFETY", "content-filter", "CONTENT_FILTER", "RECITATION"])
def test_a_block_is_one_however_it_is_spelt(provider: Any, reply: Any, word: str) -> None:
    """Gateways write the words their own way."""
    with pytest.raises(errors.ContentBlockedError):
        provider("openai", reply(completion({"content": "half of"}, word))).generate_response(PING)


@pytest.mark.parametrize("word", ["ERROR", "abort", "cancelled", "timeout"])
def test_an_answer_that_was_broken_off_is_none(provider: Any, reply: Any, word: str) -> None:
    """What had come is kept on the error."""
    with pytest.raises(errors.ProviderUnavailableError) as caught:
        provider("openai", reply(completion({"content": "half of"}, word))).generate_response(PING)
    assert caught.value.partial_text == "half of"


def test_max_tokens_in_capitals_is_a_cut(provider: Any, reply: Any) -> None:
    """And told as one."""
    assert provider("openai", reply(completion({"content": "half of"}, "MAX_TOKENS"))).generate_response(PING).truncated


def test_a_byte_that_is_no_utf8_costs_a_character_and_not_the_answer(provider: Any, reply: Any) -> None:
    """The answer is paid for; asking again would pay for it twice."""
    body = b'{"choices":[{"message":{"content":"caf\xe9"},"finish_reason":"stop"}]}'
    assert provider("openai", reply(body)).generate_response(PING).text == "caf\ufffd"


@pytest.mark.parametrize(("caller", "calls"), [(None, 1), ({"type": "direct"}, 1), ({"type": "code_execution_20250825"}, 0)])
def test_calls_of_a_finished_anthropic_turn(provider: Any, reply: Any, caller: Any, calls: int) -> None:
    """Those that Anthropic's own code made were answered in the turn; any other one is the caller's to answer."""
    use = {"type": "tool_use", "id": "t1", "name": "look", "input": {}, **({"caller": caller} if caller else {})}
    body = {"content": [use, {"type": "text", "text": "Done."}], "stop_reason": "end_turn"}
    response = provider("anthropic", reply(body)).generate_response(PING)
    assert (len(response.tool_calls), response.finish_reason) == (calls, "tool_calls" if calls else "stop")
