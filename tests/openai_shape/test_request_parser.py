"""What a chat-completion body asks for arrives in the request, or is told, or is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_sync.errors import InvalidRequestError
from llm_sync.openai_shape import PARAMETERS, chat_request, speaks_chat

USER = [{"role": "user", "content": "hi"}]


def read(native: bool = False, strict: bool = False, **body: Any) -> Any:
    """A body with one user message and ``body``."""
    return chat_request({"model": "m", "messages": USER, **body}, native=native, strict=strict)


def adjustments(read: Any) -> list[str]:
    """The names of what is sent otherwise than asked."""
    return [adjustment.parameter for adjustment in read.adjustments]


def test_the_plain_fields_arrive() -> None:
    """Those with a field of ours, under its name."""
    found = read(temperature=0.5, top_p=0.9, seed=7, max_tokens=5, stop="x", tool_choice="auto", user=None, n=1)
    request = found.request
    assert (request.model, request.temperature, request.top_p, request.seed) == ("m", 0.5, 0.9, 7)
    assert (request.max_tokens, request.stop_sequences, request.tool_choice) == (5, ("x",), "auto")
    assert (found.choices, found.adjustments, found.legacy) == (1, (), False)


def test_a_model_given_beside_the_body_replaces_its_own() -> None:
    """An existing batch file runs against any provider."""
    assert chat_request({"model": "gpt-4o", "messages": USER}, native=False, model="other/m").request.model == "other/m"


def test_the_new_name_of_max_tokens_counts_and_both_are_refused() -> None:
    """OpenAI refuses both too."""
    assert read(max_completion_tokens=9).request.max_tokens == 9
    with pytest.raises(InvalidRequestError, match="both given"):
        read(max_completion_tokens=9, max_tokens=9)


def test_a_conversation_with_tools_and_images_arrives() -> None:
    """Every role and part that our messages carry."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"x": 1}'}}
    messages = [
        {"role": "developer", "content": "be short"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what?"},
                {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
            ],
        },
        {"role": "assistant", "content": None, "refusal": None, "annotations": [], "audio": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "found"}]},
    ]
    found = chat_request({"messages": messages}, native=False)
    system, user, assistant, tool = found.request.messages
    assert (system.role, system.content) == ("system", "be short")
    assert (user.content, user.images) == ("what?", ("https://x.example/a.png",))
    assert (assistant.tool_calls[0].name, assistant.tool_calls[0].arguments) == ("look", {"x": 1})
    assert (tool.tool_call_id, tool.content) == ("c1", "found")
    assert found.adjustments == ()


def test_what_messages_cannot_carry_is_told() -> None:
    """A field that messages or parts do not have; names, details and the order of parts are kept."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}}
    parts = [{"type": "text", "text": "a"}, image, {"type": "text", "text": "b"}]
    found = chat_request({"messages": [{"role": "user", "name": "eva", "content": parts}]}, native=True)
    assert found.request.messages[0].content == "a\nb"
    assert [(part.type, part.text, part.detail) for part in found.request.messages[0].parts] == [
        *(("text", "a", None), ("image", None, "low"), ("text", "b", None)),
    ]
    assert (found.request.messages[0].name, adjustments(found)) == ("eva", [])
    odd = {"messages": [{"role": "user", "weight": 1, "content": [{"type": "text", "text": "x", "citations": [1]}]}]}
    assert adjustments(chat_request(odd, native=True)) == ["messages[0].content[0].citations", "messages[0].weight"]
    with pytest.raises(InvalidRequestError, match="citations cannot be sent"):
        chat_request(odd, native=True, strict=True)


@pytest.mark.parametrize(
    ("messages", "named"),
    [
        (None, "messages is missing"),
        ([], "messages is an empty list"),
        ("hi", "messages is a str"),
        ([7], r"messages\[0\] is an int"),
        ([{"role": "user", "content": 7}], r"messages\[0\].content is an int"),
        ([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}], "has no data"),
        ([{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}], "uploaded file"),
        ([{"role": "user", "content": [{"type": "video_url", "video_url": {}}]}], "of type 'video_url'"),
        ([{"role": "user", "content": [7]}], r"content\[0\] is an int"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "/etc/passwd"}}]}], "has no URL"),
        ([{"role": "assistant", "audio": {"id": "a"}, "content": "x"}], "holds audio"),
        ([{"role": "assistant", "tool_calls": 7}], "tool_calls is an int"),
        ([{"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {}}]}], "not a function call"),
        ([{"role": "assistant", "tool_calls": [{"id": "c", "function": {"arguments": "{}"}}]}], "has no name"),
        ([{"role": "boss", "content": "x"}], "role 'boss'"),
        ([{"role": "system", "content": ""}], "no turn to answer"),
        ([{"role": "user", "content": ""}], "is empty"),
    ],
)
def test_messages_that_cannot_be_sent_are_refused_by_name(messages: Any, named: str) -> None:
    """The error says which message and what about it."""
    with pytest.raises(InvalidRequestError, match=named):
        chat_request({"model": "m", "messages": messages}, native=True)


def test_a_system_message_alone_is_the_question() -> None:
    """Many a script asks so, and OpenAI answers; the last one is sent as the user's, which is told."""
    found = chat_request(
        {"model": "m", "messages": [{"role": "system", "content": "a"}, {"role": "developer", "content": "b"}]},
        native=True,
        strict=True,
    )
    assert [(turn.role, turn.content) for turn in found.request.messages or ()] == [("system", "a"), ("user", "b")]
    assert [(each.parameter, each.sent) for each in found.adjustments] == [("messages[1].role", "user")]


def test_empty_system_and_assistant_messages_are_not_sent() -> None:
    """OpenAI takes them; nothing is lost, and it is told. An assistant's call of a tool is no empty message."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": ""},
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": " "},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": ""},
    ]
    found = chat_request({"model": "m", "messages": messages}, native=True, strict=True)
    assert [turn.role for turn in found.request.messages or ()] == ["user", "assistant", "tool"]
    assert [each.parameter for each in found.adjustments] == ["messages[0]", "messages[2]"]


def test_a_file_of_the_reader_is_never_read() -> None:
    """A body may come from anyone: a path in it is no image."""
    for url in ("file:///etc/passwd", "etc", "", "datax", "https"):
        with pytest.raises(InvalidRequestError):
            read(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])


def test_functions_become_tools() -> None:
    """The shape of 2023: its answers go back into function_call."""
    turns = [
        *USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "7"},
    ]
    found = read(functions=[{"name": "f", "parameters": {}}], function_call={"name": "f"}, messages=turns)
    assert found.legacy
    assert found.request.tools == ({"type": "function", "function": {"name": "f", "parameters": {}}},)
    assert found.request.tool_choice == {"name": "f"}
    _, asked, answered = found.request.messages
    assert asked.tool_calls[0].id == answered.tool_call_id == "call_f"
    assert adjustments(found) == ["functions"]
    with pytest.raises(InvalidRequestError, match="both given"):
        read(functions=[{"name": "f"}], tools=[{"type": "function", "function": {"name": "f"}}])


def test_tools_that_are_no_functions_are_refused() -> None:
    """Nobody but OpenAI runs them."""
    with pytest.raises(InvalidRequestError, match=r"tools\[0\] is of type 'custom'"):
        read(tools=[{"type": "custom", "custom": {"name": "x"}}])
    with pytest.raises(InvalidRequestError, match="tools is a str"):
        read(tools="x")
    with pytest.raises(InvalidRequestError, match="'allowed_tools' cannot be sent"):
        read(tool_choice={"type": "allowed_tools", "allowed_tools": {}})
    assert read(native=True, tool_choice={"type": "allowed_tools"}).request.provider_specific["tool_choice"]


def test_a_schema_arrives_with_its_name_where_the_name_can_travel() -> None:
    """Everyone gets the schema; OpenAI's shape keeps name and strictness."""
    form = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": {"type": "object"}}}
    assert read(response_format=form).request.response_schema == {"type": "object"}
    assert read(response_format=form).request.provider_specific == {}
    assert read(native=True, response_format=form).request.provider_specific == {"response_format": form}
    assert read(native=True, response_format={"type": "json_object"}).request.provider_specific != {}
    assert read(response_format={"type": "text"}).request.response_schema is None
    for bad in ({"type": "json_object"}, {"type": "json_schema"}, "json", {}):
        with pytest.raises(InvalidRequestError, match="response_format"):
            read(response_format=bad)


def test_parameters_without_a_field_travel_on_to_who_knows_them() -> None:
    """A compatible server's own parameters too."""
    found = read(native=True, frequency_penalty=1, logprobs=True, top_k=5)
    assert found.request.provider_specific == {"frequency_penalty": 1, "logprobs": True, "top_k": 5}
    assert found.adjustments == ()


def test_others_are_told_what_is_left_out_and_refuse_what_changes_the_answer() -> None:
    """A penalty may be lost; a recording instead of text may not."""
    found = read(frequency_penalty=1, user="u", logprobs=False, modalities=["text"])
    assert (adjustments(found), found.request.provider_specific) == (["frequency_penalty", "user"], {})
    for name, value in (("logprobs", True), ("audio", {"voice": "x"}), ("modalities", ["audio"]), ("web_search_options", {})):
        with pytest.raises(InvalidRequestError, match=f"'{name}'"):
            read(**{name: value})
    with pytest.raises(InvalidRequestError, match="frequency_penalty cannot be sent"):
        read(strict=True, frequency_penalty=1)


def test_a_misspelt_parameter_is_refused_with_the_right_one() -> None:
    """None is dropped in silence."""
    with pytest.raises(InvalidRequestError, match="'temprature' is unknown. Did you mean temperature?"):
        read(temprature=0)


def test_streaming_switches_go_where_the_client_finds_them() -> None:
    """Its own rule strips or refuses them, for every provider alike."""
    assert read(stream=True).request.provider_specific == {"stream": True}


@pytest.mark.parametrize("count", [0, 129, 1.5, True, "3"])
def test_an_impossible_count_of_answers_is_refused(count: Any) -> None:
    """A number the caller has to act on."""
    with pytest.raises(InvalidRequestError, match="n="):
        read(n=count)
    assert read(n=3).choices == 3


def test_who_speaks_the_shape() -> None:
    """OpenRouter and compatible servers do; the Responses API is another shape."""
    assert [speaks_chat(kind) for kind in ("openai", "openrouter", "openai-responses", "anthropic", "gemini")] == [
        True,
        True,
        False,
        False,
        False,
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "type", "text"]), inner),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(PARAMETERS)) | st.text(max_size=5), JSON, max_size=6), st.booleans())
def test_any_json_is_a_request_or_refused(body: dict[str, Any], native: bool) -> None:
    """Never another exception, whatever someone's file holds; the body stays as it was."""
    before = json.dumps(body)
    try:
        chat_request({"messages": USER, **body}, native=native)
    except InvalidRequestError as error:
        assert error.guidance  # noqa: PT017  (either end is right; this one has to help)
    assert json.dumps(body) == before
