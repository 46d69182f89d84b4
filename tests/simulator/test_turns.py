"""The request hash is the client's own, whichever dialect carries the request."""

from __future__ import annotations

import json

import pytest

from llm_sync import Message, ModelNotFoundError, ModelRequest, ToolCall
from llm_sync.models import request_hash
from llm_sync.simulator import Simulator
from llm_sync.simulator.answers import turns

PIXEL = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489")
TALK = [
    Message("user", "My name is Ada."),
    Message("assistant", "Hello, Ada."),
    Message("user", "And the weather?"),
    Message("assistant", None, tool_calls=[ToolCall("c1", "weather", {"city": "Oslo"})]),
    Message("tool", "sunny", tool_call_id="c1"),
]
REQUESTS = {
    "a prompt": ModelRequest("Say hello"),
    "a system prompt": ModelRequest("Say hello", system_prompt="Be brief."),
    "several turns and a tool's result": ModelRequest(messages=TALK, system_prompt="Be brief."),
    "system messages between turns": ModelRequest(
        messages=[Message("system", "Be kind."), Message("user", "Hi"), Message("system", "Be brief."), Message("user", "there")],
        system_prompt="Be true.",
    ),
    "parts": ModelRequest("What is this?", images=[PIXEL]),
    "other letters": ModelRequest("Wörter, 言葉, 👍 \u2028 \x85"),
}


@pytest.fixture(scope="module")
def empty_run(tmp_path_factory):
    """A batch with one answer, to a request that no test sends."""
    path = tmp_path_factory.mktemp("run") / "run.jsonl"
    path.write_text(json.dumps({"request_hash": "0" * 32, "response": {"text": "x"}, "error": None}) + "\n")
    return path


@pytest.mark.parametrize("name", REQUESTS)
def test_every_dialect_carries_the_same_hash(empty_run, client_of, dialect, shapes, name):
    """The simulator computes the same hash from the payload as the client before sending."""
    request, model = REQUESTS[name], shapes.models[dialect]
    expected = request_hash(
        model, [("system", request.system_prompt), *((turn.role, turn.content) for turn in request.conversation())]
    )
    with Simulator(replay=empty_run) as simulator:
        asked = {**vars(request), "model": f"{dialect}/{model}"}
        with pytest.raises(ModelNotFoundError, match=expected) as caught:
            client_of(simulator).generate_response(ModelRequest(**asked))
        assert caught.value.status == 404
        assert simulator.faults == []


def test_parts_of_one_turn_count_as_its_text():
    """Texts in parts count in either spelling; other parts are skipped."""
    expected = [("system", "a"), ("system", "b"), ("user", "c"), ("assistant", "d"), ("tool", "e")]
    assert expected == turns.chat_turns(
        {
            "messages": [
                {"role": "developer", "content": [{"type": "text", "text": "a"}, {"text": "b"}]},
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "c"}]},
                {"role": "assistant", "content": "d", "tool_calls": []},
                {"role": "tool", "content": "e"},
            ]
        }
    )
    assert expected == turns.anthropic_turns(
        {
            "system": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            "messages": [
                {"role": "user", "content": [{"type": "image", "source": {}}, {"type": "text", "text": "c"}]},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "d"}]},
                {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "e"}]}]},
            ],
        }
    )
    assert expected == turns.gemini_turns(
        {
            "system_instruction": {"parts": [{"text": "a"}, {"text": "b"}]},
            "contents": [
                {"role": "user", "parts": [{"inline_data": {}}, {"text": "c"}]},
                {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "d"}]},
                {"role": "user", "parts": [{"function_response": {"name": "f", "response": {"result": "e"}}}]},
            ],
        }
    )
    assert expected == turns.responses_turns(
        {
            "instructions": "a",
            "input": [
                {"role": "developer", "content": [{"type": "input_text", "text": "b"}]},
                {"type": "message", "role": "user", "content": [{"type": "input_image"}, {"type": "input_text", "text": "c"}]},
                {"type": "reasoning", "summary": []},
                {"role": "assistant", "content": [{"type": "output_text", "text": "d"}]},
                {"type": "function_call_output", "output": "e"},
            ],
        }
    )


READERS = (turns.chat_turns, turns.anthropic_turns, turns.gemini_turns, turns.responses_turns)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        "text",
        7,
        {"messages": "hi", "contents": "hi", "system": 5, "instructions": {}, "systemInstruction": []},
        {"messages": [None, 3, {"role": 7, "content": [None, {"type": []}]}], "contents": [{"parts": {}}], "input": [[]]},
        {"contents": [{"parts": [{"functionResponse": {"response": 5}}]}], "input": [{"type": "function_call_output"}]},
    ],
    ids=str,
)
@pytest.mark.parametrize("read", READERS)
def test_no_payload_is_too_broken_to_be_read(read, payload):
    """Turns can be read from any payload."""
    assert all(isinstance(role, str) and isinstance(text, str) for role, text in read(payload))


def test_the_prompt_is_what_is_to_be_answered():
    """The prompt is the user's last texts, or a tool's results if they come last."""
    assert turns.prompt_text([("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("user", "d")]) == "c\n\nd"
    assert turns.prompt_text([("user", "a"), ("tool", "r"), ("tool", "s")]) == "r\n\ns"
    assert turns.prompt_text([("user", "a"), ("assistant", "So")]) == "a"
    assert turns.prompt_text([("assistant", "x")]) == ""
