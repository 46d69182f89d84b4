"""A turn keeps what its provider wants back, gives it to that provider only, and its ids fit where they are sent."""

from __future__ import annotations

import json
import pickle
import re
from typing import Any

import pytest

from llm_sync import Message, ModelRequest, ToolCall
from llm_sync.models import ModelResponse

THOUGHT = {"type": "thinking", "thinking": "", "signature": "EqEE/+=="}
DETAILS = [{"type": "reasoning.text", "text": "hm", "signature": "Ep", "format": "anthropic-claude-v1", "index": 0}]
EXTRA = {"google": {"thought_signature": "c2ln"}}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}


def chat_call(call_id: str = "c1", **further: Any) -> dict[str, Any]:
    """A call of ``add`` in the shape of chat completions."""
    return {"id": call_id, "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}, **further}


def chat_body(**message: Any) -> dict[str, Any]:
    """A chat completion."""
    return {"choices": [{"message": {"role": "assistant", "content": None, **message}, "finish_reason": "tool_calls"}]}


USE = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}
ITEM = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "add", "arguments": '{"a": 1}'}
SIGNED = {"functionCall": {"id": "f1", "name": "add", "args": {"a": 1}}, "thoughtSignature": "c2ln"}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "thinking": ("anthropic", {"content": [THOUGHT, {"type": "text", "text": "So"}, USE], "stop_reason": "tool_use"}),
    "redacted": ("anthropic", {"content": [{"type": "redacted_thinking", "data": "x"}, USE], "stop_reason": "tool_use"}),
    "reasoning item": ("openai-responses", {"output": [REASONING, ITEM], "status": "completed"}),
    "reasoning_content": ("openai", chat_body(reasoning_content="hm", tool_calls=[chat_call()])),
    "extra_content": ("openai", chat_body(tool_calls=[chat_call(extra_content=EXTRA)])),
    "reasoning_details": ("openrouter", chat_body(reasoning="hm", reasoning_details=DETAILS, tool_calls=[chat_call()])),
    "call signature": ("gemini", {"candidates": [{"content": {"parts": [SIGNED]}, "finishReason": "STOP"}]}),
    "text signature": (
        "gemini",
        {"candidates": [{"content": {"parts": [{"text": "So", "thoughtSignature": "dGV4"}, SIGNED]}, "finishReason": "STOP"}]},
    ),
}
# What must be found in the assistant's turn of the second request, as JSON
BACK = {
    "thinking": [THOUGHT, {"type": "text", "text": "So"}, USE],
    "redacted": [{"type": "redacted_thinking", "data": "x"}, USE],
    "reasoning item": REASONING,
    "reasoning_content": {"reasoning_content": "hm"},
    "extra_content": chat_call(extra_content=EXTRA),
    "reasoning_details": {"reasoning_details": DETAILS},
    "call signature": SIGNED,
    "text signature": [{"text": "So", "thoughtSignature": "dGV4"}, SIGNED],
}
AT = {"openai": {"base_url": "https://llm.example/v1"}}  # api.openai.com takes no reasoning back
KINDS = ["openai", "openrouter", "openai-responses", "anthropic", "gemini"]
SECRETS = ("EqEE", "redacted", "gAAA", "rs_1", "reasoning", "extra_content", "c2ln", "dGV4", "signature")


@pytest.fixture
def answer(provider: Any, reply: Any) -> Any:
    """``answer(name, model, **config)``: the response that a body of BODIES is."""

    def ask(name: str, /, model: str = "some-model", **config: Any) -> ModelResponse:
        kind, body = BODIES[name]
        response: ModelResponse = provider(kind, reply(body), **AT.get(kind, {}), **config).generate_response(
            ModelRequest("go", model)
        )
        return response

    return ask


def talk_after(response: ModelResponse, message: Any = None) -> list[Any]:
    """The conversation with the response's turn, or ``message`` for it, and a result of each call."""
    results = [Message("tool", "2", tool_call_id=call.id) for call in response.tool_calls]
    return [Message("user", "go"), message or response.message, *results]


def assistant_part(sent: Any) -> str:
    """What is sent of the assistant's turn, as JSON."""
    turns = sent.get("messages") or sent.get("input") or sent.get("contents")
    return json.dumps([turn for turn in turns if turn.get("role") not in ("user", "tool") and "output" not in turn])


def is_within(part: Any, sent: Any) -> bool:
    """Whether ``part`` is in ``sent``: one equal to it, or for a mapping, one with the same items."""
    if sent == part or (isinstance(part, dict) and isinstance(sent, dict) and part.items() <= sent.items()):
        return True
    children = sent.values() if isinstance(sent, dict) else sent if isinstance(sent, list) else ()
    return any(is_within(part, child) for child in children)


@pytest.mark.parametrize("name", BODIES)
def test_state_goes_back_as_it_came(answer: Any, payload: Any, name: str) -> None:
    """To the endpoint and the model that made it."""
    kind = BODIES[name][0]
    sent = payload(kind, messages=talk_after(answer(name)), config=AT.get(kind))
    assert is_within(BACK[name], sent)


@pytest.mark.parametrize("name", BODIES)
def test_state_survives_json_and_pickle(answer: Any, payload: Any, name: str) -> None:
    """As a record has it, a turn goes back from another process."""
    response = answer(name)
    kind = BODIES[name][0]
    asked = payload(kind, messages=talk_after(response), config=AT.get(kind))
    recorded = json.loads(json.dumps(response.to_dict()["message"]))
    assert payload(kind, messages=talk_after(response, recorded), config=AT.get(kind)) == asked
    pickled = pickle.loads(pickle.dumps(response.message))  # noqa: S301  (our own)
    assert payload(kind, messages=talk_after(response, pickled), config=AT.get(kind)) == asked


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("kind", KINDS)
def test_other_providers_get_no_state(answer: Any, payload: Any, name: str, kind: str) -> None:
    """Text and calls only, whatever the dialects."""
    if kind == BODIES[name][0]:
        pytest.skip("its own dialect")
    sent = assistant_part(payload(kind, messages=talk_after(answer(name))))
    assert not [word for word in SECRETS if word in sent]
    assert "add" in sent


@pytest.mark.parametrize("name", BODIES)
def test_another_host_of_the_dialect_gets_no_state(answer: Any, payload: Any, name: str) -> None:
    """Signatures of one endpoint are invalid at another."""
    response = answer(name)
    sent = assistant_part(
        payload(BODIES[name][0], messages=talk_after(response), config={"base_url": "https://other.example/v1"})
    )
    assert not [word for word in SECRETS if word in sent]


@pytest.mark.parametrize("name", [name for name in BODIES if name != "reasoning_content"])
def test_another_model_of_the_endpoint_gets_no_signature(answer: Any, payload: Any, name: str) -> None:
    """A signature holds for the model that made it; reasoning without one goes to any model of its endpoint."""
    kind = BODIES[name][0]
    sent = assistant_part(payload(kind, messages=talk_after(answer(name)), model="other", config=AT.get(kind)))
    assert not [word for word in SECRETS if word in sent]


@pytest.mark.parametrize("name", ["thinking", "reasoning item", "text signature"])
def test_a_changed_turn_goes_without_its_state(answer: Any, payload: Any, name: str) -> None:
    """A signature holds for the turn as it was: an edited text is sent alone."""
    response = answer(name)
    edited = Message("assistant", "Edited", tool_calls=[*response.tool_calls], state=response.message.state)
    sent = payload(BODIES[name][0], messages=talk_after(response, edited))
    assert "Edited" in assistant_part(sent)
    assert not is_within(BACK[name], sent)


@pytest.mark.parametrize(
    ("host", "given", "sent"),
    [
        ("api.groq.com", {"reasoning": "hm"}, None),
        ("api.groq.com", {"reasoning_content": "hm"}, None),
        ("api.cerebras.ai", {"reasoning_content": "hm"}, None),
        ("api.cerebras.ai", {"reasoning": "hm"}, "reasoning"),
        ("api.openai.com", {"reasoning_content": "hm"}, None),
        ("api.deepseek.com", {"reasoning_content": "hm"}, "reasoning_content"),
        ("api.moonshot.ai", {"reasoning_content": "hm"}, "reasoning_content"),
        ("llm.example", {"reasoning_content": "hm"}, "reasoning_content"),
        ("llm.example", {"reasoning": "hm"}, None),
    ],
)
def test_the_host_decides_on_reasoning(provider: Any, reply: Any, host: str, given: dict[str, str], sent: str | None) -> None:
    """Some refuse a turn without its reasoning, others one with it."""
    made = provider("openai", reply(chat_body(tool_calls=[chat_call()], **given)), base_url=f"https://{host}/v1")
    talk = talk_after(made.generate_response(ModelRequest("go", "m")))
    made.generate_response(ModelRequest(messages=talk, model="m"))
    turn = made.web.sent[1].body["messages"][1]
    assert turn.keys() & {"reasoning", "reasoning_content"} == ({sent} if sent else set())


@pytest.mark.parametrize(
    ("option", "turn"),
    [("reasoning", {"reasoning": "hm"}), ("reasoning_content", {"reasoning_content": "hm"}), ("none", {})],
)
def test_reasoning_field_decides_for_any_host(provider: Any, reply: Any, option: str, turn: dict[str, str]) -> None:
    """A server that takes it under another name, or not at all."""
    made = provider("openai", reply(chat_body(tool_calls=[chat_call()], reasoning="hm")), reasoning_field=option)
    made.generate_response(ModelRequest(messages=talk_after(made.generate_response(ModelRequest("go", "m"))), model="m"))
    sent = made.web.sent[1].body["messages"][1]
    assert {name: sent[name] for name in ("reasoning", "reasoning_content") if name in sent} == turn


def test_deepseek_gets_empty_reasoning_for_a_call_of_another_model(answer: Any, payload: Any) -> None:
    """It refuses a turn with calls without the field, and accepts an empty one."""
    sent = payload("openai", messages=talk_after(answer("thinking")), config={"base_url": "https://api.deepseek.com"})
    assert sent["messages"][1]["reasoning_content"] == ""


def test_mistral_gets_its_thinking_in_the_content(provider: Any, reply: Any) -> None:
    """There the thoughts are parts of the content, before the text."""
    content = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Hi"}]
    made = provider("openai", reply(chat_body(content=content)), base_url="https://api.mistral.ai/v1")
    first = made.generate_response(ModelRequest("go", "magistral-small"))
    made.generate_response(ModelRequest(messages=[first.message, Message("user", "on")], model="magistral-small"))
    assert made.web.sent[1].body["messages"][0]["content"] == content


def test_a_response_without_state_has_no_message_in_its_record(provider: Any, reply: Any) -> None:
    """Records grow only where a turn cannot be made of what they have already."""
    response = provider("openai", reply(chat_body(tool_calls=[chat_call()]))).generate_response(ModelRequest("go", "m"))
    assert "message" not in response.to_dict()
    assert response.message == Message("assistant", None, tool_calls=response.tool_calls)


def test_thinking_is_not_asked_for_where_the_calls_have_none(adjustments: Any, payload: Any) -> None:
    """Anthropic refuses it, so that a conversation that comes from another model goes on without; the caller hears of it."""
    talk = [Message("user", "go"), Message("assistant", None, tool_calls=[ToolCall("c", "add", {})])]
    talk.append(Message("tool", "2", tool_call_id="c"))
    asked: Any = {"messages": talk, "provider_specific": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}
    assert "thinking" not in payload("anthropic", **asked)
    assert ("thinking", None) in adjustments("anthropic", prompt=None, **asked)


# Ids ---------------------------------------------------------------------------------------------------------------------


RULES = {
    "openai": r".{1,64}",
    "openrouter": r".{1,64}",
    "openai-responses": r".{1,64}",
    "anthropic": r"[a-zA-Z0-9_-]{1,64}",
    "gemini": r".{1,64}",
    "mistral": r"[a-zA-Z0-9]{9}",
}
ISSUED = [
    "call_1",
    "toolu_01YGzqpRE16Vricda3Aqcejo",
    "functions.add:0",
    "x" * 65,
    "a b/c",
    "ü",
    "abcDEF123",
    "call_9#signature=c2ln",
]


def sent_ids(sent: Any) -> tuple[list[str], list[str]]:
    """The ids of the calls and of the results, in the order of the payload."""
    text = json.dumps(sent)
    if "tool_use_id" in text:
        blocks = [block for turn in sent["messages"] if isinstance(turn["content"], list) for block in turn["content"]]
        return [b["id"] for b in blocks if b["type"] == "tool_use"], [b["tool_use_id"] for b in blocks if "tool_use_id" in b]
    if "contents" in sent:
        parts = [part for content in sent["contents"] for part in content["parts"]]
        calls = [part["functionCall"]["id"] for part in parts if "functionCall" in part]
        return calls, [part["functionResponse"]["id"] for part in parts if "functionResponse" in part]
    if "input" in sent:
        items = sent["input"]
        calls = [item["call_id"] for item in items if item.get("type") == "function_call"]
        return calls, [item["call_id"] for item in items if item.get("type") == "function_call_output"]
    calls = [call["id"] for turn in sent["messages"] for call in turn.get("tool_calls", ())]
    return calls, [turn["tool_call_id"] for turn in sent["messages"] if turn["role"] == "tool"]


@pytest.mark.parametrize("kind", RULES)
def test_ids_go_out_in_a_form_that_is_accepted(payload: Any, kind: str) -> None:
    """Those that fit as they are; the others mapped, calls and results alike, each to its own, the same every time."""
    talk = [
        Message("user", "go"),
        Message("assistant", None, tool_calls=[ToolCall(name, f"t{n}", {}) for n, name in enumerate(ISSUED)]),
        *(Message("tool", name, tool_call_id=name) for name in reversed(ISSUED)),
    ]
    asked: Any = {"messages": talk, "model": "mistral-large"} if kind == "mistral" else {"messages": talk}
    sent = payload("openai" if kind == "mistral" else kind, **asked)
    calls, results = sent_ids(sent)
    assert calls == results
    assert len(set(calls)) == len(ISSUED)
    assert all(re.fullmatch(RULES[kind], name) for name in calls)
    expected = [name if re.fullmatch(RULES[kind], name) and "#" not in name else None for name in ISSUED]
    if kind == "gemini":
        expected[-1] = "call_9"  # without the signature
    assert [name for name, keep in zip(calls, expected, strict=True) if keep] == [name for name in expected if name]
    assert payload("openai" if kind == "mistral" else kind, **asked) == sent


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_that_comes_again_is_sent_once(payload: Any, kind: str) -> None:
    """Bedrock Mantle and Gemini begin to count anew in each answer; Anthropic wants every id once."""
    turn = [Message("assistant", None, tool_calls=[ToolCall("call_0", "add", {})]), Message("tool", "2", tool_call_id="call_0")]
    calls, results = sent_ids(payload(kind, messages=[Message("user", "go"), *turn, *turn]))
    assert calls == results
    assert calls[0] == "call_0" != calls[1]


@pytest.mark.parametrize("ids", [("", ""), ("a", "a"), (None, None)])
def test_calls_of_an_answer_have_ids_of_their_own(provider: Any, reply: Any, ids: tuple[Any, Any]) -> None:
    """Some servers give an empty one, or one for all: their results could not be told apart."""
    body = chat_body(tool_calls=[chat_call(ids[0]), chat_call(ids[1])])
    response = provider("openai", reply(body)).generate_response(ModelRequest("go", "m"))
    first, second = (call.id for call in response.tool_calls)
    assert first
    assert second
    assert first != second


def test_a_signature_of_a_former_version_in_an_id_is_read(payload: Any) -> None:
    """Conversations that were kept before calls had a state; no other provider gets to see it."""
    old = "call_0#signature=c2ln"
    talk = [Message("user", "go"), Message("assistant", None, tool_calls=[ToolCall(old, "add", {})])]
    talk.append(Message("tool", "2", tool_call_id=old))
    part = payload("gemini", messages=talk, model="gemini-3-pro")["contents"][1]["parts"][0]
    assert part == {"functionCall": {"id": "call_0", "name": "add", "args": {}}, "thoughtSignature": "c2ln"}
    assert "c2ln" not in json.dumps([payload(kind, messages=talk) for kind in KINDS if kind != "gemini"])
