"""Exact payloads as sent, per dialect and per field of ModelRequest, against the providers' published rules."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.config.models import GOOGLE_CLOUD, Auth
from llm_sync.config.secrets import Secret
from llm_sync.models import Message, ModelRequest, ToolCall

PNG = b"\x89PNG\r\n\x1a\n" + b"rest"
JPEG = b"\xff\xd8\xff" + b"rest"
PNG64 = base64.b64encode(PNG).decode()
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
TOOL = {"name": "get_weather", "description": "Tells it", "parameters": CITY}
WRAPPED = {"type": "function", "function": TOOL}
BERN = ToolCall("call_1", "get_weather", {"city": "Bern"}, '{"city": "Bern"}')
TALK = (
    Message("user", "Hi"),
    Message("assistant", "Ho", tool_calls=[BERN]),
    Message("tool", "rain", tool_call_id="call_1"),
    Message("user", "Thanks"),
)
CHATS = ("openai", "openrouter")

# Prompt and messages -----------------------------------------------------------------------------------------------------


def test_prompts(payload: Any) -> None:
    """The least request of each dialect, whole."""
    assert payload("openai") == {"model": "some-model", "messages": [{"role": "user", "content": "ping"}], "stream": False}
    assert payload("openrouter") == payload("openai")
    assert payload("openai-responses") == {"model": "some-model", "input": "ping", "store": False, "stream": False}
    assert payload("anthropic") == {
        "model": "some-model",
        "messages": [{"role": "user", "content": "ping"}],
        "max_tokens": 4096,
        "stream": False,
    }
    assert payload("gemini") == {"contents": [{"role": "user", "parts": [{"text": "ping"}]}]}


@pytest.mark.parametrize("kind", CHATS)
def test_a_conversation_as_chat(payload: Any, kind: str) -> None:
    """Roles, tool calls with arguments as text, and tool results of a multi-turn conversation."""
    assert payload(kind, messages=[Message("system", "Be brief"), *TALK], system_prompt="You are")["messages"] == [
        {"role": "system", "content": "You are"},
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": "Ho",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Bern"}'}}
            ],
        },
        {"role": "tool", "content": "rain", "tool_call_id": "call_1"},
        {"role": "user", "content": "Thanks"},
    ]


def test_a_conversation_as_responses(payload: Any) -> None:
    """The Responses API has items: messages with typed parts, calls and their outputs."""
    sent = payload("openai-responses", messages=[Message("system", "Be brief"), *TALK], system_prompt="You are")
    assert sent["instructions"] == "You are"
    assert sent["input"] == [
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be brief"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "message", "role": "assistant", "content": "Ho"},
        {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Bern"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Thanks"}]},
    ]


def test_a_conversation_as_messages(payload: Any) -> None:
    """Anthropic: system at the top, input objects, results in one user message."""
    second = ToolCall("call_2", "get_weather", {"city": "Basel"})
    talk = [
        Message("system", "Be brief"),
        TALK[0],
        Message("assistant", "Ho", tool_calls=[BERN, second]),
        TALK[2],
        Message("tool", "", tool_call_id="call_2"),
        TALK[3],
    ]
    sent = payload("anthropic", messages=talk, system_prompt="You are")
    assert sent["system"] == "You are\n\nBe brief"
    assert sent["messages"] == [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Ho"},
                {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Bern"}},
                {"type": "tool_use", "id": "call_2", "name": "get_weather", "input": {"city": "Basel"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "rain"},
                {"type": "tool_result", "tool_use_id": "call_2", "content": ""},
            ],
        },
        {"role": "user", "content": "Thanks"},
    ]


def test_a_conversation_as_contents(payload: Any) -> None:
    """Gemini: roles user and model, calls and results by name, objects as they are and other results wrapped."""
    second = ToolCall("call_2", "get_time", {})
    talk = [
        Message("system", "Be brief"),
        TALK[0],
        Message("assistant", "Ho", tool_calls=[BERN, second]),
        TALK[2],
        Message("tool", '{"hour": 3}', tool_call_id="call_2"),
    ]
    sent = payload("gemini", messages=talk, system_prompt="You are")
    assert sent["systemInstruction"] == {"parts": [{"text": "You are"}, {"text": "Be brief"}]}
    assert sent["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {
            "role": "model",
            "parts": [
                {"text": "Ho"},
                {"functionCall": {"id": "call_1", "name": "get_weather", "args": {"city": "Bern"}}},
                {"functionCall": {"id": "call_2", "name": "get_time", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "call_1", "name": "get_weather", "response": {"result": "rain"}}},
                {"functionResponse": {"id": "call_2", "name": "get_time", "response": {"hour": 3}}},
            ],
        },
    ]


def test_gemini_answers_the_call_of_its_own_turn(payload: Any) -> None:
    """Gemini's calls may have the same id in every turn: a result goes by the latest call before it."""
    talk = []
    for name in ("first", "second"):
        talk += [
            Message("user", "go"),
            Message("assistant", None, tool_calls=[ToolCall("call_0", name, {})]),
            Message("tool", "x", tool_call_id="call_0"),
        ]
    parts = [part for content in payload("gemini", messages=talk)["contents"] for part in content["parts"]]
    assert [part["functionResponse"]["name"] for part in parts if "functionResponse" in part] == ["first", "second"]


def test_gemini_refuses_a_result_without_its_call(payload: Any, provider: Any, reply: Any) -> None:
    """A result that answers no call has no name to go by."""
    with pytest.raises(errors.InvalidRequestError, match="call_9"):
        provider("gemini", reply()).generate_response(
            ModelRequest(model="m", messages=[Message("user", "x"), Message("tool", "rain", tool_call_id="call_9")])
        )


@pytest.mark.parametrize("model", ["gemini-3-pro", "models/gemini-3-flash", "gemini-2.5-pro"])
def test_gemini_thought_signatures_travel_with_their_calls(provider: Any, reply: Any, payload: Any, model: str) -> None:
    """A call comes back with the signature it came with; only a call of Gemini 3 without one says that it has none."""
    parts = [
        {"functionCall": {"id": "fc_a", "name": "a", "args": {"x": 1}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"id": "fc_b", "name": "b", "args": {}}},
    ]
    body = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    response = provider("gemini", reply(body)).generate_response(ModelRequest("go", model))
    talk = [
        Message("user", "go"),
        Message("assistant", None, tool_calls=response.tool_calls),
        *(Message("tool", call.name, tool_call_id=call.id) for call in response.tool_calls),
    ]
    sent = payload("gemini", messages=talk, model=model)["contents"]
    assert sent[1]["parts"] == parts
    assert [part["functionResponse"]["name"] for part in sent[2]["parts"]] == ["a", "b"]
    unsigned = [Message("user", "go"), Message("assistant", None, tool_calls=[BERN, ToolCall("2", "b", {})])]
    unsigned += [Message("tool", "x", tool_call_id=call_id) for call_id in ("2", BERN.id)]
    first, second = payload("gemini", messages=unsigned, model=model)["contents"][1]["parts"]
    assert ("thoughtSignature" in first) == ("gemini-3" in model)
    assert "thoughtSignature" not in second


@pytest.mark.parametrize("kind", [*CHATS, "openai-responses"])
def test_arguments_from_either_field(payload: Any, kind: str) -> None:
    """A hand-made ToolCall may carry its arguments as a dict alone, or as text alone."""
    talk = [
        Message("user", "x"),
        Message("assistant", None, tool_calls=[ToolCall("1", "f", {"a": "ü"}), ToolCall("2", "g", None, "{bad")]),
        Message("tool", "x", tool_call_id="1"),
        Message("tool", "x", tool_call_id="2"),
    ]
    sent = str(payload(kind, messages=talk))
    assert '{"a": "ü"}' in sent
    assert "{bad" in sent


@pytest.mark.parametrize("kind", ["anthropic", "gemini"])
def test_arguments_that_are_no_object_are_told(adjustments: Any, kind: str) -> None:
    """APIs that take objects only get an empty one, and the caller hears of it."""
    talk = [Message("user", "x"), Message("assistant", None, tool_calls=[ToolCall("2", "g", None, "{bad")])]
    talk.append(Message("tool", "x", tool_call_id="2"))
    assert ("messages", {}) in adjustments(kind, messages=talk, prompt=None)


@pytest.mark.parametrize("kind", ["anthropic", "gemini"])
def test_a_system_message_that_moves_is_told(adjustments: Any, kind: str) -> None:
    """A system message between turns is heard of when it is sent before them; a leading one is where it belongs."""
    talk = [Message("user", "x"), Message("system", "Be brief"), Message("user", "y")]
    assert "messages" in dict(adjustments(kind, messages=talk, prompt=None))
    assert "messages" not in dict(adjustments(kind, messages=[talk[1], talk[0]], prompt=None))


@pytest.mark.parametrize(
    "bad",
    [
        {"role": "assistant", "content": "x", "images": [PNG]},
        {"role": "system", "content": "x", "images": [PNG]},
        {"role": "tool", "content": "x", "images": [PNG], "tool_call_id": "1"},
        {"role": "user", "content": "x", "tool_calls": [BERN]},
        {"role": "user", "content": "x", "tool_call_id": "1"},
    ],
)
def test_parts_on_the_wrong_role_are_refused(bad: dict[str, Any]) -> None:
    """What some dialect would drop in silence is refused for all."""
    with pytest.raises(errors.InvalidRequestError):
        Message(**bad)


# System prompt -----------------------------------------------------------------------------------------------------------


def test_system_prompts(payload: Any) -> None:
    """Where each dialect has it."""
    assert payload("openai", system_prompt="Be")["messages"][0] == {"role": "system", "content": "Be"}
    assert payload("openai-responses", system_prompt="Be")["instructions"] == "Be"
    assert payload("anthropic", system_prompt="Be")["system"] == "Be"
    assert payload("gemini", system_prompt="Be")["systemInstruction"] == {"parts": [{"text": "Be"}]}


@pytest.mark.parametrize("kind", ["anthropic", "gemini"])
def test_an_empty_system_prompt_is_none(payload: Any, kind: str) -> None:
    """An empty text block is refused by these APIs."""
    assert not {"system", "systemInstruction"} & set(payload(kind, system_prompt=""))


@pytest.mark.parametrize("model", ["o1-mini", "o1-preview-2024-09-12"])
def test_models_without_a_system_role(payload: Any, adjustments: Any, model: str) -> None:
    """o1-mini and o1-preview take only user messages."""
    talk = {"system_prompt": "Be", "messages": [Message("system", "brief"), Message("user", "x")]}
    assert [message["role"] for message in payload("openai", model=model, **talk)["messages"]] == ["user"] * 3
    assert len(adjustments("openai", model=model, prompt=None, **talk)) == 2


# Sampling ----------------------------------------------------------------------------------------------------------------


def test_sampling_fields(payload: Any) -> None:
    """temperature, top_p, stop and seed under each dialect's names."""
    asked = {"temperature": 0.5, "top_p": 0.25, "stop_sequences": ["a", "b"], "seed": 7}
    for kind in CHATS:
        sent = payload(kind, **asked)
        assert [sent[name] for name in ("temperature", "top_p", "stop", "seed")] == [0.5, 0.25, ["a", "b"], 7]
    sent = payload("openai-responses", **asked)
    assert (sent["temperature"], sent["top_p"]) == (0.5, 0.25)
    assert not {"stop", "seed"} & set(sent)
    sent = payload("anthropic", **asked)
    assert [sent[name] for name in ("temperature", "top_p", "stop_sequences")] == [0.5, 0.25, ["a", "b"]]
    assert "seed" not in sent
    assert payload("gemini", **asked)["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.25,
        "stopSequences": ["a", "b"],
        "seed": 7,
    }


@pytest.mark.parametrize("kind", ["openai", "openai-responses", "anthropic", "gemini", "openrouter"])
def test_nothing_is_sent_unasked(payload: Any, kind: str) -> None:
    """None is not sent; zero is a value."""
    sent = str(payload(kind))
    assert not any(name in sent for name in ("temperature", "top_p", "topP", "seed", "stop_seq", "tool", "format", "Config"))
    assert "'temperature': 0" in str(payload(kind, temperature=0))


REASONING = [
    # (model, effort): whether temperature and top_p may be sent
    ("gpt-4o-mini", None, True),
    ("gpt-3.5-turbo", None, True),
    ("gpt-4.1", None, True),
    ("gpt-5-chat-latest", None, True),
    ("gpt-5", None, False),
    ("gpt-5-mini", None, False),
    ("gpt-5-nano-2025-08-07", None, False),
    ("gpt-5-pro", "none", False),
    ("gpt-5-codex", "none", False),
    ("gpt-5", "minimal", False),
    ("gpt-5.1", None, True),
    ("gpt-5.1", "none", True),
    ("gpt-5.1", "low", False),
    ("gpt-5.2", None, True),
    ("gpt-5.3", None, True),
    ("gpt-5.4", "high", False),
    ("gpt-5.5", None, False),
    ("gpt-5.5", "none", True),
    ("gpt-5.6-mini", None, False),
    ("gpt-5.6-mini", "none", True),
    ("gpt-5.5-pro", "none", False),
    ("gpt-5.4-pro", None, False),
    ("gpt-5.2-pro", "none", False),
    ("gpt-5.1-chat-latest", None, False),
    ("gpt-5.3-chat", "none", False),
    ("gpt-5.1-codex-max", "none", False),
    ("o1", None, False),
    ("o3-mini", None, False),
    ("o4-mini-2025-04-16", "none", False),
    ("ft:o4-mini:me::id", None, False),
    ("ft:gpt-4o:me::id", None, True),
    ("openai/gpt-5-mini", None, False),
    ("O3", None, False),
    ("olmo-2", None, True),
]


@pytest.mark.parametrize(("model", "effort", "taken"), REASONING)
def test_the_reasoning_matrix(payload: Any, adjustments: Any, model: str, effort: str | None, taken: bool) -> None:
    """OpenAI takes sampling parameters only while the model does not reason."""
    asked = {"temperature": 0.5, "top_p": 0.25}
    for kind, extra in (
        ("openai", {"reasoning_effort": effort}),
        ("openrouter", {"reasoning_effort": effort}),
        ("openai-responses", {"reasoning": {"effort": effort}}),
    ):
        fields = {**asked, "provider_specific": extra if effort else {}}
        sent = payload(kind, model=model, **fields)
        assert {name: sent[name] for name in asked if name in sent} == (asked if taken else {})
        dropped = [name for name, value in adjustments(kind, model=model, **fields) if value is None]
        assert dropped == ([] if taken else ["temperature", "top_p"])


@pytest.mark.parametrize(
    ("model", "taken"),
    [("gpt-4o", True), ("o1", True), ("gpt-5-chat-latest", True), ("o3", False), ("o4-mini", False), ("gpt-5-mini", False)],
)
def test_stop_sequences_of_reasoning_models(payload: Any, model: str, taken: bool) -> None:
    """o3, o4-mini and GPT-5 take no stop sequences."""
    assert ("stop" in payload("openai", model=model, stop_sequences="x")) is taken


ANTHROPIC = [
    # (model): which of temperature and top_p are sent when both are asked for
    ("claude-3-5-sonnet-20241022", {"temperature", "top_p"}),
    ("claude-3-haiku-20240307", {"temperature", "top_p"}),
    ("claude-sonnet-4-20250514", {"temperature", "top_p"}),
    ("claude-opus-4-20250514", {"temperature", "top_p"}),
    ("claude-opus-4-1-20250805", {"temperature"}),
    ("claude-sonnet-4-5", {"temperature"}),
    ("claude-haiku-4-5@20251001", {"temperature"}),
    ("claude-sonnet-4-6", {"temperature"}),
    ("claude-opus-4-6", {"temperature"}),
    ("claude-opus-4.6", {"temperature"}),
    ("claude-opus-4-7", set()),
    ("claude-opus-4-8-20260601", set()),
    ("claude-opus-5", set()),
    ("claude-sonnet-5", set()),
    ("claude-fable-5", set()),
    ("claude-mythos-5-20260501", set()),
    ("some-gateway-model", {"temperature", "top_p"}),
]


@pytest.mark.parametrize(("model", "taken"), ANTHROPIC)
def test_sampling_by_anthropic_version(payload: Any, adjustments: Any, model: str, taken: set[str]) -> None:
    """Newer models take one of temperature and top_p, the newest neither; what is dropped is told."""
    asked = {"temperature": 0.5, "top_p": 0.25}
    assert asked.keys() & payload("anthropic", model=model, **asked).keys() == taken
    told = {name for name, value in adjustments("anthropic", model=model, **asked) if value is None}
    assert told == asked.keys() - taken


def test_one_of_two_is_sent_where_only_one_is_taken(payload: Any) -> None:
    """top_p alone is sent to models that take only one."""
    assert payload("anthropic", model="claude-sonnet-4-5", top_p=0.25)["top_p"] == 0.25


def test_the_range_of_anthropics_temperature(payload: Any, adjustments: Any) -> None:
    """It ends at 1."""
    assert payload("anthropic", temperature=1.7)["temperature"] == 1.0
    assert ("temperature", 1.0) in adjustments("anthropic", temperature=1.7)
    assert payload("anthropic", temperature=1)["temperature"] == 1
    assert adjustments("anthropic", temperature=1, max_tokens=9) == []


def test_geminis_bounds(payload: Any, adjustments: Any) -> None:
    """Five stop sequences and 32 bits of seed."""
    sent = payload("gemini", stop_sequences=list("abcdefg"), seed=2**31 + 5)["generationConfig"]
    assert sent == {"stopSequences": list("abcde"), "seed": 5}
    assert dict(adjustments("gemini", stop_sequences=list("abcdefg"), seed=2**31 + 5)) == {
        "stop_sequences": list("abcde"),
        "seed": 5,
    }
    assert payload("gemini", seed=-(2**31))["generationConfig"]["seed"] == -(2**31)


def test_mistrals_seed(payload: Any) -> None:
    """Mistral calls it random_seed."""
    sent = payload("openai", seed=7, config={"base_url": "https://api.mistral.ai/v1"})
    assert (sent.get("random_seed"), sent.get("seed")) == (7, None)


# max_tokens --------------------------------------------------------------------------------------------------------------

FIELDS = [
    ("https://api.openai.com/v1", "gpt-4o", "max_completion_tokens"),
    ("https://api.openai.com/v1", "o3", "max_completion_tokens"),
    ("https://r.openai.azure.com/openai/v1", "gpt-5", "max_completion_tokens"),
    ("https://api.groq.com/openai/v1", "llama", "max_completion_tokens"),
    ("https://mygroq.com/v1", "llama", "max_tokens"),  # a host of its own
    ("https://openrouter.ai/api/v1", "x/y", "max_completion_tokens"),
    ("https://gateway.example/v1", "o4-mini", "max_completion_tokens"),
    ("https://gateway.example/v1", "openai/gpt-5-nano", "max_completion_tokens"),
    ("https://gateway.example/v1", "gpt-4o", "max_tokens"),
    ("https://api.mistral.ai/v1", "mistral-small", "max_tokens"),
    ("http://localhost:11434/v1", "llama3", "max_tokens"),
    ("http://localhost:8000/v1", "qwen", "max_tokens"),
    ("https://api.deepseek.com", "deepseek-chat", "max_tokens"),
    ("https://api.together.xyz/v1", "x", "max_tokens"),
    ("https://api.z.ai/api/paas/v4", "glm-5", "max_tokens"),
]
BOTH = {"max_tokens", "max_completion_tokens"}


@pytest.mark.parametrize(("base_url", "model", "field"), FIELDS)
def test_the_field_of_max_tokens(payload: Any, adjustments: Any, base_url: str, model: str, field: str) -> None:
    """One of the two names, by host and model, never both; another name than the caller's is told."""
    config = {"base_url": base_url}
    assert {
        name: value for name, value in payload("openai", model=model, max_tokens=99, config=config).items() if name in BOTH
    } == {field: 99}
    told = adjustments("openai", model=model, max_tokens=99, config=config)
    assert told == ([] if field == "max_tokens" else [("max_tokens", {field: 99})])


@pytest.mark.parametrize("field", sorted(BOTH))
@pytest.mark.parametrize("kind", CHATS)
def test_the_configured_field_wins(payload: Any, kind: str, field: str) -> None:
    """max_tokens_field overrides what host and model tell."""
    sent = payload(kind, model="o3", max_tokens=99, config={"max_tokens_field": field})
    assert BOTH & sent.keys() == {field}


@pytest.mark.parametrize("field", sorted(BOTH))
@pytest.mark.parametrize("kind", CHATS)
def test_by_hand_replaces_and_never_doubles(payload: Any, adjustments: Any, kind: str, field: str) -> None:
    """A limit in provider_specific replaces the request's, whichever name it has."""
    fields = {"max_tokens": 99, "provider_specific": {field: 50}}
    assert {name: value for name, value in payload(kind, **fields).items() if name in BOTH} == {field: 50}
    assert adjustments(kind, **fields) == [("max_tokens", {field: 50})]


def test_least_and_required_max_tokens(payload: Any, adjustments: Any) -> None:
    """Responses and OpenRouter take no less than 16; Anthropic needs a number, above the thinking budget."""
    assert payload("openai-responses", max_tokens=5)["max_output_tokens"] == 16
    assert payload("openai-responses", max_tokens=17)["max_output_tokens"] == 17
    assert payload("openrouter", max_tokens=5)["max_completion_tokens"] == 16
    assert payload("openrouter", max_tokens=5, config={"max_tokens_field": "max_tokens"})["max_tokens"] == 5
    assert payload("gemini", max_tokens=5)["generationConfig"] == {"maxOutputTokens": 5}
    assert payload("anthropic", max_tokens=5)["max_tokens"] == 5
    assert adjustments("anthropic") == [("max_tokens", 4096)]
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 2048}}
    assert payload("anthropic", provider_specific=thinking)["max_tokens"] == 4096 + 2048
    assert payload("anthropic", provider_specific={"max_tokens": 7})["max_tokens"] == 7


# Tools -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", [TOOL, WRAPPED, {"name": "get_weather", "description": "Tells it", "input_schema": CITY}])
def test_tools_in_any_spelling(payload: Any, tool: Any) -> None:
    """The plain, OpenAI's and Anthropic's form of a tool all mean the same."""
    chat = {"type": "function", "function": {"name": "get_weather", "description": "Tells it", "parameters": CITY}}
    for kind in CHATS:
        assert payload(kind, tools=[tool])["tools"] == [chat]
    flat = {"type": "function", "name": "get_weather", "description": "Tells it", "parameters": CITY, "strict": False}
    assert payload("openai-responses", tools=[tool])["tools"] == [flat]
    assert payload("anthropic", tools=[tool])["tools"] == [
        {"name": "get_weather", "description": "Tells it", "input_schema": CITY}
    ]
    declared = {"name": "get_weather", "description": "Tells it", "parametersJsonSchema": CITY}
    assert payload("gemini", tools=[tool])["tools"] == [{"functionDeclarations": [declared]}]


def test_a_tool_without_parameters(payload: Any) -> None:
    """It takes an empty object."""
    empty = {"type": "object", "properties": {}}
    assert payload("openai", tools=[{"name": "f"}])["tools"][0]["function"] == {"name": "f", "parameters": empty}
    assert payload("anthropic", tools=[{"name": "f"}])["tools"] == [{"name": "f", "input_schema": empty}]


def test_tools_of_the_providers_own(payload: Any) -> None:
    """Server tools pass as they are, beside functions."""
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    assert payload("anthropic", tools=[search, TOOL])["tools"][0] == search
    assert payload("openai-responses", tools=[{"type": "web_search_preview"}])["tools"] == [{"type": "web_search_preview"}]
    sent = payload("gemini", tools=[{"googleSearch": {}}, TOOL])["tools"]
    assert sent[0] == {"googleSearch": {}}
    assert sent[1]["functionDeclarations"][0]["name"] == "get_weather"


def test_strict_tools(payload: Any, adjustments: Any) -> None:
    """OpenAI's strict travels where it is known, and is told where it is not."""
    strict = {"type": "function", "function": {**TOOL, "strict": True}}
    assert payload("openai", tools=[strict])["tools"][0]["function"]["strict"] is True
    assert payload("openai-responses", tools=[strict])["tools"][0]["strict"] is True
    for kind in ("anthropic", "gemini"):
        assert "strict" not in str(payload(kind, tools=[strict]))
        assert ("tools.get_weather.strict", None) in adjustments(kind, tools=[strict])


@pytest.mark.parametrize("tool", [{}, {"name": ""}, {"name": 5}, {"function": {}}, {"name": "f", "parameters": "x"}])
@pytest.mark.parametrize("kind", ["openai", "openai-responses", "anthropic"])
def test_broken_tools_are_refused(provider: Any, reply: Any, kind: str, tool: Any) -> None:
    """A tool without a name or with impossible parameters is refused before anything is sent."""
    made = provider(kind, reply())
    with pytest.raises(errors.InvalidRequestError):
        made.generate_response(ModelRequest("x", "m", tools=[tool]))
    assert made.web.sent == []


CHOICES: list[tuple[Any, Any, Any, Any, Any]] = [
    ("auto", "auto", "auto", {"type": "auto"}, {"mode": "AUTO"}),
    ("none", "none", "none", {"type": "none"}, {"mode": "NONE"}),
    ("required", "required", "required", {"type": "any"}, {"mode": "ANY"}),
    ("any", "required", "required", {"type": "any"}, {"mode": "ANY"}),
    ({"type": "any"}, "required", "required", {"type": "any"}, {"mode": "ANY"}),
    *(
        (
            named,
            {"type": "function", "function": {"name": "get_weather"}},
            {"type": "function", "name": "get_weather"},
            {"type": "tool", "name": "get_weather"},
            {"mode": "ANY", "allowedFunctionNames": ["get_weather"]},
        )
        for named in (
            "get_weather",
            {"type": "function", "function": {"name": "get_weather"}},
            {"type": "tool", "name": "get_weather"},
        )
    ),
]


@pytest.mark.parametrize(("choice", "chat", "responses", "anthropic", "gemini"), CHOICES)
def test_tool_choice(payload: Any, choice: Any, chat: Any, responses: Any, anthropic: Any, gemini: Any) -> None:
    """Every choice in every dialect's words."""
    asked = {"tools": [TOOL], "tool_choice": choice}
    assert payload("openai", **asked)["tool_choice"] == chat
    assert payload("openrouter", **asked)["tool_choice"] == chat
    assert payload("openai-responses", **asked)["tool_choice"] == responses
    assert payload("anthropic", **asked)["tool_choice"] == anthropic
    assert payload("gemini", **asked)["toolConfig"] == {"functionCallingConfig": gemini}


@pytest.mark.parametrize("choice", ["get_wether", "", {}, {"type": "sometimes"}])
def test_an_unknown_tool_choice(provider: Any, reply: Any, choice: Any) -> None:
    """It is refused with the names there are."""
    with pytest.raises(errors.InvalidRequestError, match="get_weather"):
        provider("openai", reply()).generate_response(ModelRequest("x", "m", tools=[TOOL], tool_choice=choice))


@pytest.mark.parametrize(
    ("model", "thinking", "sent"),
    [
        ("claude-sonnet-4-5", {"type": "enabled", "budget_tokens": 1024}, "auto"),
        ("claude-sonnet-4-6", {"type": "adaptive"}, "auto"),
        ("claude-sonnet-4-5", {"type": "disabled"}, "any"),
        ("claude-sonnet-4-5", None, "any"),
        ("claude-fable-5", None, "auto"),
        ("claude-mythos-5", None, "auto"),
    ],
)
def test_forced_tools_while_anthropic_thinks(payload: Any, adjustments: Any, model: str, thinking: Any, sent: str) -> None:
    """The API refuses a forced tool_choice together with thinking, and Fable and Mythos always think."""
    asked = {"model": model, "tools": [TOOL], "tool_choice": "required", "max_tokens": 9000}
    asked["provider_specific"] = {"thinking": thinking} if thinking else {}
    assert payload("anthropic", **asked)["tool_choice"] == {"type": sent}
    assert (("tool_choice", "auto") in adjustments("anthropic", **asked)) == (sent == "auto")


# response_schema ---------------------------------------------------------------------------------------------------------

OPEN = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}


def test_response_schemas(payload: Any) -> None:
    """Each dialect's structured output; strict only where OpenAI takes the schema so."""
    for kind in CHATS:
        assert payload(kind, response_schema=CITY)["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": CITY, "strict": True},
        }
        assert payload(kind, response_schema=OPEN)["response_format"]["json_schema"]["strict"] is False
    assert payload("openai-responses", response_schema=CITY)["text"] == {
        "format": {"type": "json_schema", "name": "answer", "schema": CITY, "strict": True}
    }
    assert payload("gemini", response_schema=OPEN)["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": OPEN,
    }
    assert payload("anthropic", response_schema=CITY)["output_config"] == {"format": {"type": "json_schema", "schema": CITY}}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CITY, True),
        ({**CITY, "required": []}, False),
        ({**CITY, "additionalProperties": True}, False),
        ({**CITY, "properties": {"city": {"type": "object"}}}, False),
        ({**CITY, "properties": {"city": {"type": ["object", "null"]}}}, False),
        ({**CITY, "properties": {"city": {"anyOf": [{"type": "null"}, OPEN]}}}, False),
        ({**CITY, "$defs": {"x": OPEN}}, False),
        ({**CITY, "required": None}, False),
        ({**CITY, "required": [["city"]]}, False),
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "string"}, False),
        ({**CITY, "anyOf": [CITY]}, False),
        ({**CITY, "properties": {"city": {"$ref": "#/$defs/c"}}, "$defs": {"c": {"type": "string"}}}, True),
        ({**CITY, "properties": {"city": {"$ref": "#/$defs/c", "description": "d"}}, "$defs": {"c": {"type": "string"}}}, False),
        ({**CITY, "properties": {"city": {"allOf": [{"type": "string"}]}}}, False),
        ({**CITY, "properties": {"city": {"oneOf": [{"type": "string"}, {"type": "null"}]}}}, False),
        ({**CITY, "properties": {"city": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}, True),
        ({**CITY, "properties": {"city": {"not": {"type": "null"}}}}, False),
        ({**CITY, "properties": {"city": {"description": "anything"}}}, False),
        ({**CITY, "properties": {"city": True}}, False),
        ({**CITY, "properties": {"city": {"type": "array"}}}, False),
        ({**CITY, "properties": {"city": {"type": ["array", "null"]}}}, False),
        ({**CITY, "properties": {"city": {"type": "array", "items": {}}}}, False),
        ({**CITY, "properties": {"city": {"type": "array", "items": {"type": "string"}, "maxItems": 3}}}, True),
        ({**CITY, "properties": {"city": {"type": "string", "format": "uri"}}}, False),
        ({**CITY, "properties": {"city": {"type": "string", "default": "Bern"}}}, False),
        ({**CITY, "properties": {"city": {"type": "string", "enum": ["oneOf", "not"]}}}, True),
        ({**CITY, "properties": {"oneOf": {"type": "string"}}, "required": ["oneOf"]}, True),
        ({**CITY, "required": ["city", "land"]}, False),
        ({**CITY, "patternProperties": {"^x": {"type": "string"}}}, False),
    ],
)
def test_which_schemas_are_strict(payload: Any, schema: Any, strict: bool) -> None:
    """OpenAI's strict mode needs closed objects, all properties required, a type everywhere, and no keyword beyond its own."""
    assert payload("openai", response_schema=schema)["response_format"]["json_schema"]["strict"] is strict


def test_keywords_that_anthropic_refuses(payload: Any, adjustments: Any) -> None:
    """They are left out and told, objects are closed, and nothing called like a keyword is touched."""
    schema = {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer", "minimum": 1, "multipleOf": 2},
            "tags": {"type": "array", "minItems": 3, "maxItems": 9, "items": {"type": "object", "additionalProperties": True}},
            "kind": {"enum": [{"minimum": 1}]},
        },
        "required": ["minimum"],
    }
    assert payload("anthropic", response_schema=schema)["output_config"]["format"]["schema"] == {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "object", "additionalProperties": False}},
            "kind": {"enum": [{"minimum": 1}]},
        },
        "required": ["minimum"],
        "additionalProperties": False,
    }
    told = [change for change in adjustments("anthropic", response_schema=schema) if change[0] == "response_schema"]
    assert len(told) == 1
    closed = {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}
    assert "response_schema" in dict(adjustments("anthropic", response_schema=closed))
    assert adjustments("anthropic", response_schema=CITY, max_tokens=9) == []


# Images ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def image_file(tmp_path: Path) -> Path:
    """A PNG by its bytes, whatever its name says."""
    path = tmp_path / "picture.jpg"
    path.write_bytes(PNG)
    return path


@pytest.mark.parametrize("form", ["path", "name", "bytes", "data URL", "mislabelled data URL"])
def test_images_with_bytes(payload: Any, image_file: Path, form: str) -> None:
    """Path, bytes and data URL become base64 with the media type that the bytes have."""
    image = {
        "path": image_file,
        "name": str(image_file),
        "bytes": PNG,
        "data URL": f"data:image/png;base64,{PNG64}",
        "mislabelled data URL": f"DATA:image/jpeg;base64,{PNG64}",
    }[form]
    url = f"data:image/png;base64,{PNG64}"
    asked = {"prompt": "See", "images": [image]}
    text = {"type": "text", "text": "See"}
    for kind in CHATS:
        assert payload(kind, **asked)["messages"][0]["content"] == [text, {"type": "image_url", "image_url": {"url": url}}]
    parts = [{"type": "input_text", "text": "See"}, {"type": "input_image", "image_url": url, "detail": "auto"}]
    assert payload("openai-responses", **asked)["input"] == [{"type": "message", "role": "user", "content": parts}]
    source = {"type": "base64", "media_type": "image/png", "data": PNG64}
    assert payload("anthropic", **asked)["messages"][0]["content"] == [{"type": "image", "source": source}, text]
    inline = {"inlineData": {"mimeType": "image/png", "data": PNG64}}
    assert payload("gemini", **asked)["contents"][0]["parts"] == [inline, {"text": "See"}]


def test_images_by_url(payload: Any) -> None:
    """A URL travels as such."""
    url = "https://example.org/a.png?x=1"
    asked = {"messages": [Message("user", None, images=[url])]}
    assert payload("openai", **asked)["messages"][0]["content"] == [{"type": "image_url", "image_url": {"url": url}}]
    part = {"type": "input_image", "image_url": url, "detail": "auto"}
    assert payload("openai-responses", **asked)["input"][0]["content"] == [part]
    assert payload("anthropic", **asked)["messages"][0]["content"] == [{"type": "image", "source": {"type": "url", "url": url}}]
    assert payload("gemini", **asked)["contents"][0]["parts"] == [{"fileData": {"mimeType": "image/png", "fileUri": url}}]


@pytest.mark.parametrize("content", [JPEG, b"GIF89arest", b"RIFF\x00\x00\x00\x00WEBPrest"])
def test_media_types(payload: Any, content: bytes) -> None:
    """The four formats are told by their first bytes."""
    source = payload("anthropic", images=[content], prompt="x")["messages"][0]["content"][0]["source"]
    assert source["media_type"] == {JPEG: "image/jpeg", b"GIF89arest": "image/gif"}.get(content, "image/webp")
    assert base64.b64decode(source["data"]) == content


@pytest.mark.parametrize(
    "image",
    [
        "/no/such/file.png",
        b"",
        b"<svg/>",
        "data:image/png;base64,%%%",
        "data:text/plain;base64,eA==",
        "data:image/png;base64,",
        "\x00",
    ],
)
def test_broken_images_are_refused(provider: Any, reply: Any, image: Any) -> None:
    """They never reach the wire."""
    made = provider("openai", reply())
    with pytest.raises(errors.InvalidRequestError):
        made.generate_response(ModelRequest("x", "m", images=[image]))
    assert made.web.sent == []


# provider_specific -------------------------------------------------------------------------------------------------------


def test_merging_is_key_by_key(payload: Any, adjustments: Any) -> None:
    """Mappings are merged to any depth, other values replace; what replaces a mapped field is told."""
    fields = {"response_schema": CITY, "provider_specific": {"output_config": {"effort": "low"}}, "max_tokens": 9}
    assert payload("anthropic", **fields)["output_config"] == {"format": {"type": "json_schema", "schema": CITY}, "effort": "low"}
    assert adjustments("anthropic", **fields) == []
    fields = {"temperature": 0.5, "provider_specific": {"temperature": 0.6}}
    assert payload("openai", **fields)["temperature"] == 0.6
    assert adjustments("openai", **fields) == [("temperature", 0.6)]
    assert adjustments("openai", temperature=0.5, provider_specific={"temperature": 0.5}) == []


def test_merging_leaves_the_callers_objects_alone(payload: Any) -> None:
    """A key merged into the payload's schema is not merged into the caller's."""
    schema = {"type": "object", "properties": {}}
    extra = {"response_format": {"json_schema": {"schema": {"title": "T"}}}}
    assert (
        payload("openai", response_schema=schema, provider_specific=extra)["response_format"]["json_schema"]["schema"]["title"]
        == "T"
    )
    assert schema == {"type": "object", "properties": {}}
    assert extra == {"response_format": {"json_schema": {"schema": {"title": "T"}}}}


def test_geminis_two_spellings(payload: Any, provider: Any, reply: Any) -> None:
    """snake_case and lowerCamel are the same field: it is sent once, and twice asked for is refused."""
    extra = {"generation_config": {"top_p": 0.9, "thinking_config": {"thinkingBudget": 0}}, "safety_settings": []}
    sent = payload("gemini", top_p=0.5, provider_specific=extra)
    assert sent["generationConfig"] == {"topP": 0.9, "thinkingConfig": {"thinkingBudget": 0}}
    assert sent["safetySettings"] == []
    for twice in ({"safety_settings": [], "safetySettings": []}, {"generationConfig": {"top_k": 1, "topK": 2}}):
        with pytest.raises(errors.InvalidRequestError, match="two spellings"):
            provider("gemini", reply()).generate_response(ModelRequest("x", "m", provider_specific=twice))
    with pytest.raises(errors.InvalidRequestError, match="systemInstruction"):
        provider("gemini", reply()).generate_response(ModelRequest("x", "m", provider_specific={"system_instruction": {}}))


# URLs, headers, query ----------------------------------------------------------------------------------------------------


@pytest.fixture
def asked_of(provider: Any, reply: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a provider asks for, once: the exchange as sent."""

    def asking(kind: str, model: str = "m", listing: bool = False, **config: Any) -> Any:
        made = provider(kind, reply({"error": {"message": "no"}}, 400), **config)
        ask = made.list_models if listing else lambda: made.generate_response(ModelRequest("x", model))
        with pytest.raises(errors.LLMConnectorError):
            ask()
        return made.web.sent[0]

    return asking


URLS = [
    ("openai", None, "https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1/models"),
    ("openai", "http://localhost:11434/v1/", "http://localhost:11434/v1/chat/completions", "http://localhost:11434/v1/models"),
    ("openai", "https://h.example/v1/chat/completions", "https://h.example/v1/chat/completions", "https://h.example/v1/models"),
    ("openai-responses", None, "https://api.openai.com/v1/responses", "https://api.openai.com/v1/models"),
    ("openrouter", None, "https://openrouter.ai/api/v1/chat/completions", "https://openrouter.ai/api/v1/models"),
    ("anthropic", None, "https://api.anthropic.com/v1/messages", "https://api.anthropic.com/v1/models?limit=1000"),
    (
        "gemini",
        None,
        "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent",
        "https://generativelanguage.googleapis.com/v1beta/models?pageSize=1000",
    ),
    (
        "openai",
        "https://r.openai.azure.com/openai/deployments/{model}?api-version=2024-10-21",
        "https://r.openai.azure.com/openai/deployments/m/chat/completions?api-version=2024-10-21",
        None,
    ),
    (
        "openai",
        "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
        "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
        None,
    ),
]


@pytest.mark.parametrize(("kind", "base_url", "url", "listing"), URLS)
def test_urls(asked_of: Any, kind: str, base_url: str | None, url: str, listing: str | None) -> None:
    """Each base URL as its ecosystem writes it, or as it was pasted with the endpoint on it."""
    assert asked_of(kind, base_url=base_url).url == url
    if listing:
        assert asked_of(kind, base_url=base_url, listing=True).url == listing


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:generateContent"),
        ("models/gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:generateContent"),
        ("tunedModels/mine", "/v1beta/tunedModels/mine:generateContent"),
        ("a b?c#d", "/v1beta/models/a%20b%3Fc%23d:generateContent"),
    ],
)
def test_geminis_models_in_the_path(asked_of: Any, model: str, path: str) -> None:
    """With or without models/, and quoted."""
    assert asked_of("gemini", model).url == f"https://generativelanguage.googleapis.com{path}"


def test_azure(asked_of: Any, key: str) -> None:
    """Key in api-key, version in the query, the deployment in the path."""
    sent = asked_of(
        "openai",
        "my gpt/4",
        base_url="https://r.openai.azure.com/openai/deployments/{model}",
        query={"api-version": "2024-10-21"},
        auth=Auth("api-key"),
    )
    assert sent.url == "https://r.openai.azure.com/openai/deployments/my%20gpt%2F4/chat/completions?api-version=2024-10-21"
    assert sent.headers["api-key"] == key
    assert "Authorization" not in sent.headers


def test_headers(asked_of: Any, key: str) -> None:
    """The key's header of each dialect, Anthropic's version, and configured headers, which win."""
    assert asked_of("openai").headers["Authorization"] == f"Bearer {key}"
    assert asked_of("openrouter").headers["Authorization"] == f"Bearer {key}"
    anthropic = asked_of("anthropic", headers={"anthropic-version": "2099-01-01", "anthropic-beta": "a,b"}).headers
    assert (anthropic["x-api-key"], anthropic["anthropic-version"], anthropic["anthropic-beta"]) == (key, "2099-01-01", "a,b")
    assert asked_of("anthropic").headers["anthropic-version"] == "2023-06-01"
    gemini = asked_of("gemini").headers
    assert gemini["x-goog-api-key"] == key
    assert "Authorization" not in gemini
    assert asked_of("openai", auth=Auth("X-Key", "Token")).headers["X-Key"] == f"Token {key}"


def test_no_key_for_other_hosts(asked_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dialect's usual variable counts on its own host only: local servers and strangers never see it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    assert "sk-from" in asked_of("openai", key=None).headers["Authorization"]
    for base_url in ("http://localhost:11434/v1", "https://api.openai.com.evil.example/v1", "https://api.groq.com/openai/v1"):
        assert "sk-from" not in str(asked_of("openai", key=None, base_url=base_url))


@pytest.mark.parametrize("kind", ["gemini", "anthropic", "openai"])
def test_a_configured_authorization_is_the_only_one(asked_of: Any, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Beside an Authorization of the configuration the usual variable is not read: Gemini refuses two credentials."""
    for name in ("GOOGLE_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "sk-from-the-environment")
    assert "sk-from" not in str(asked_of(kind, key=None, headers={"authorization": "Bearer mine"}).headers)


def test_gemini_reads_googles_name_first(asked_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """GOOGLE_API_KEY beats GEMINI_API_KEY."""
    monkeypatch.setenv("GEMINI_API_KEY", "gemini-key-1")
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    assert asked_of("gemini", key=None).headers["x-goog-api-key"] == "gemini-key-1"
    monkeypatch.setenv("GOOGLE_API_KEY", "google-key-1")
    assert asked_of("gemini", key=None).headers["x-goog-api-key"] == "google-key-1"


VERTEX = {"auth": GOOGLE_CLOUD, "project": "proj", "key": Secret.literal("ya29.token"), "base_url": None}


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        (None, "aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_google_cloud_urls(asked_of: Any, location: str | None, host: str) -> None:
    """Project and location make the URL; the token is a bearer token."""
    sent = asked_of("gemini", "gemini-2.5-pro", location=location, **VERTEX)
    place = f"projects/proj/locations/{location or 'global'}"
    assert sent.url == f"https://{host}/v1/{place}/publishers/google/models/gemini-2.5-pro:generateContent"
    assert sent.headers["Authorization"] == "Bearer ya29.token"
    assert "x-goog-api-key" not in sent.headers
    listing = asked_of("gemini", listing=True, location=location, **VERTEX).url
    assert listing.partition("?")[0] == f"https://{host}/v1beta1/publishers/google/models"


def test_anthropic_on_google_cloud(asked_of: Any, provider: Any, reply: Any) -> None:
    """The model moves into the URL and the version into the body; there is no listing."""
    sent = asked_of("anthropic", "claude-sonnet-4-5@20250929", location="us-east5", **VERTEX)
    assert sent.url == (
        "https://us-east5-aiplatform.googleapis.com/v1/projects/proj/locations/us-east5"
        "/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict"
    )
    assert sent.body == {
        "messages": [{"role": "user", "content": "x"}],
        "max_tokens": 4096,
        "stream": False,
        "anthropic_version": "vertex-2023-10-16",
    }
    assert "x-api-key" not in sent.headers
    with pytest.raises(errors.InvalidRequestError, match="lists no Anthropic models"):
        provider("anthropic", reply(), location="us-east5", **VERTEX).list_models()


def test_google_cloud_needs_a_project(provider: Any, reply: Any) -> None:
    """Without one there is no URL."""
    with pytest.raises(errors.ConfigurationError, match="no project"):
        provider("gemini", reply(), **{**VERTEX, "project": None}).generate_response(ModelRequest("x", "m"))


def test_switches_in_the_url_are_refused(provider: Any, reply: Any) -> None:
    """A path or query that streams never leaves."""
    for config in ({"query": {"alt": "sse"}}, {"base_url": "https://h.example/v1beta/models/m:streamGenerateContent"}):
        made = provider("gemini", reply(), **config)
        with pytest.raises(errors.StreamingNotSupportedError):
            made.generate_response(ModelRequest("x", "m"))
        assert made.web.sent == []
