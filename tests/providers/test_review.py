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


@pytest.mark.parametrize("word", ["content_filter", "CONTENT_FILTER", "sensitive", "guardrail_intervened"])
def test_a_filtered_choice_has_no_message(provider: Any, reply: Any, word: str) -> None:
    """Azure leaves the message out; however the word is spelt, that is a block and no foreign shape."""
    with pytest.raises(errors.ContentBlockedError):
        provider("openai", reply({"choices": [{"index": 0, "finish_reason": word}]})).generate_response(ModelRequest("x", "m"))


@pytest.mark.parametrize("word", ["content_filter", "guardrail_intervened", "safety"])
def test_a_gateway_that_hands_on_another_dialects_block(provider: Any, reply: Any, word: str) -> None:
    """Behind Anthropic's shape may stand a model whose block has another name."""
    with pytest.raises(errors.ContentBlockedError, match=word):
        provider("anthropic", reply({"content": [], "stop_reason": word})).generate_response(ModelRequest("x", "m"))


def test_the_upstreams_word_where_openrouter_has_none(provider: Any, reply: Any) -> None:
    """A null finish reason beside MAX_TOKENS is a cut; beside null it is other."""
    for native, told in (("MAX_TOKENS", "length"), ("max_output_tokens", "length"), (None, "other"), (5, "other")):
        choice = {"message": {"content": "hi"}, "finish_reason": None, "native_finish_reason": native}
        answer = provider("openrouter", reply({"choices": [choice]})).generate_response(ModelRequest("x", "m"))
        assert answer.finish_reason == told


def test_openrouters_id_stands_in_the_body_too(provider: Any, reply: Any) -> None:
    """The header is not always there; cf-ray names the exchange, not the generation."""
    body = {"id": "gen-1", "choices": [{"message": {"content": "hi"}}]}
    for headers, told in (({}, "gen-1"), ({"cf_ray": "ray"}, "gen-1"), ({"x_generation_id": "gen-2"}, "gen-2")):
        assert provider("openrouter", reply(body, 200, **headers)).generate_response(ModelRequest("x", "m")).request_id == told
    body["id"] = "chatcmpl-1"
    assert provider("openrouter", reply(body, 200, cf_ray="ray")).generate_response(ModelRequest("x", "m")).request_id == "ray"


@pytest.mark.parametrize("number", [3, 4, 7, 8, 11])
def test_geminis_blocks_as_numbers(provider: Any, reply: Any, number: int) -> None:
    """Enums are numbers where the caller's stack asks for them."""
    with pytest.raises(errors.ContentBlockedError):
        provider("gemini", reply({"candidates": [{"finishReason": number}]})).generate_response(ModelRequest("x", "m"))


@pytest.mark.parametrize("reason", ["BLOCK_REASON_UNSPECIFIED", 0, "", None])
def test_an_unspecified_block_is_none(provider: Any, reply: Any, reason: Any) -> None:
    """The enum's zero value blocks nothing, and makes no answer of a body without one."""
    body: dict[str, Any] = {"promptFeedback": {"blockReason": reason}}
    with pytest.raises(errors.ResponseValidationError):
        provider("gemini", reply(body)).generate_response(ModelRequest("x", "m"))
    body["candidates"] = [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]
    assert provider("gemini", reply(body)).generate_response(ModelRequest("x", "m")).text == "hi"


def test_a_plain_text_part_of_the_responses_api(provider: Any, reply: Any) -> None:
    """Some servers of that shape call it text instead of output_text."""
    body = {"output": [{"type": "message", "content": [{"type": "text", "text": "hi"}]}], "status": "completed"}
    assert provider("openai-responses", reply(body)).generate_response(ModelRequest("x", "m")).text == "hi"


def test_a_legacy_function_call_with_an_object(provider: Any, reply: Any) -> None:
    """Arguments as an object are read there as they are in tool_calls."""
    message = {"content": None, "function_call": {"name": "f", "arguments": {"a": 1}}}
    answer = provider("openai", reply({"choices": [{"message": message}]})).generate_response(ModelRequest("x", "m"))
    assert answer.tool_calls[0].arguments == {"a": 1}


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        ({"x_kong_request_id": "k"}, {}, "k"),
        ({"apim_request_id": "a", "x_ms_client_request_id": "c"}, {}, "a"),
        ({}, {"x_groq": {"id": "req_g"}}, "req_g"),
        ({"x_request_id": "x"}, {"x_groq": {"id": "req_g"}}, "x"),
        ({}, {"x_groq": {"id": 5}}, None),
        ({}, {"x_groq": []}, None),
    ],
)
def test_request_ids_of_compatible_servers(provider: Any, reply: Any, headers: Any, body: Any, told: str | None) -> None:
    """Each has its own name for it."""
    answer = {"choices": [{"message": {"content": "hi"}}], **body}
    assert provider("openai", reply(answer, 200, **headers)).generate_response(PING).request_id == told


@pytest.mark.parametrize("error", ["connection lost", {"message": "connection lost"}])
def test_a_choice_that_was_broken_off_for_no_reason(provider: Any, reply: Any, error: Any) -> None:
    """Whether an error without a code stands beside the word makes no difference: another attempt may do better."""
    body = {"choices": [{"message": {"content": "half of"}, "finish_reason": "error", "error": error}]}
    with pytest.raises(errors.ProviderUnavailableError, match="connection lost") as caught:
        provider("openrouter", reply(body)).generate_response(PING)
    assert (caught.value.partial_text, caught.value.retryable) == ("half of", True)


def test_null_is_absent_where_a_default_holds(provider: Any, reply: Any) -> None:
    """The type of a part, and of what called a tool."""
    body: dict[str, Any] = completion({"content": [{"type": None, "text": "hi"}]}, "stop")
    assert provider("openai", reply(body)).generate_response(PING).text == "hi"
    use = {"type": "tool_use", "id": "t1", "name": "look", "input": {}, "caller": {"type": None}}
    body = {"content": [use], "stop_reason": "end_turn"}
    assert len(provider("anthropic", reply(body)).generate_response(PING).tool_calls) == 1


def test_a_model_that_is_a_number(provider: Any, reply: Any) -> None:
    """It names what answered all the same."""
    said = {"type": "message", "content": [{"type": "output_text", "text": "hi"}]}
    body = {"output": [said], "status": "completed", "model": 5}
    assert provider("openai-responses", reply(body)).generate_response(PING).model == "5"
