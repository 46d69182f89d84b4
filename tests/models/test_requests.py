"""Requests and messages: what they refuse, and what they keep."""

from __future__ import annotations

import copy
import dataclasses
import enum
import json
import math
import numbers
import pathlib
from datetime import datetime, timezone
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import pytest

from llm_sync import InvalidRequestError, Message, ModelRequest, ToolCall
from llm_sync.models import request_hash

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
CALL = ToolCall("c1", "look", {"where": ["here"]}, '{"where": ["here"]}')
NAN = math.nan


# ModelRequest


def test_the_fields_of_a_request_are_those_of_the_design() -> None:
    """Names, order and defaults are public: programs give prompt and model by position."""
    fields = dataclasses.fields(ModelRequest)
    assert [field.name for field in fields] == [
        *("prompt", "model", "messages", "system_prompt", "temperature", "max_tokens", "top_p", "stop_sequences", "seed"),
        *("response_schema", "images", "tools", "tool_choice", "provider_specific", "id"),
        *("documents", "cache_system", "cache_ttl", "service_tier", "completion_window"),
    ]
    empty = ModelRequest("x")
    assert (empty.images, empty.documents, empty.tools, empty.provider_specific) == ((), (), (), {})
    others = {field.name for field in fields} - {"prompt", "images", "documents", "tools", "provider_specific"}
    assert {name for name in others if getattr(empty, name) is not None} == set()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "exactly one of prompt and messages"),
    "both": ({"prompt": "x", "messages": [Message("user", "x")]}, "exactly one of prompt and messages"),
    "empty prompt": ({"prompt": ""}, "the prompt is empty"),
    "blank prompt": ({"prompt": " \t\n\u3000"}, "the prompt is empty"),
    "prompt of bytes": ({"prompt": b"x"}, "prompt is a bytes"),
    "prompt of a number": ({"prompt": 5}, "prompt is an int"),
    "prompt yes": ({"prompt": True}, "prompt is a boolean"),
    "prompt of a list": ({"prompt": ["x"]}, "prompt is a list"),
    "lone surrogate": ({"prompt": "ab\udc80"}, r"prompt holds a lone surrogate \(U\+DC80\) at character 3"),
    "surrogate in the system prompt": ({"prompt": "x", "system_prompt": "\ud800"}, "system_prompt holds a lone surrogate"),
    "surrogate in the model": ({"prompt": "x", "model": "\ud800"}, "model holds a lone surrogate"),
    "model of a number": ({"prompt": "x", "model": 4}, "model is an int"),
    "no messages": ({"messages": []}, "no turn to answer"),
    "system only": ({"messages": [Message("system", "x")]}, "no turn to answer"),
    "messages of a string": ({"messages": "hello"}, "messages is a str"),
    "messages of a mapping": ({"messages": {"role": "user", "content": "x"}}, "messages is a dict"),
    "messages of strings": ({"messages": ["hello"]}, "messages holds a str"),
    "a message with a typo": ({"messages": [{"role": "user", "contnt": "x"}]}, "messages: .*contnt"),
    "a message without content": ({"messages": [{"role": "user"}]}, "a user message is empty"),
    "a message without a role": ({"messages": [{"content": "x"}]}, "messages: a message has no role"),
    "images beside messages": ({"messages": [Message("user", "x")], "images": [b"x"]}, "images go only with a prompt"),
    "one image": ({"prompt": "x", "images": "a.png"}, "images is a str"),
    "one image's bytes": ({"prompt": "x", "images": b"x"}, "images is a bytes"),
    "an image of a number": ({"prompt": "x", "images": [5]}, "images holds an int"),
    "temperature NaN": ({"prompt": "x", "temperature": NAN}, "temperature=nan is out of range"),
    "temperature infinite": ({"prompt": "x", "temperature": math.inf}, "temperature=inf is out of range"),
    "temperature 3": ({"prompt": "x", "temperature": 3}, "temperature=3 is out of range. Give a number from 0 to 2"),
    "temperature below 0": ({"prompt": "x", "temperature": -0.1}, "temperature=-0.1 is out of range"),
    "temperature beyond floats": ({"prompt": "x", "temperature": 10**400}, "temperature=.* is out of range"),
    "temperature yes": ({"prompt": "x", "temperature": True}, "temperature is a boolean"),
    "temperature in words": ({"prompt": "x", "temperature": "0.5"}, "temperature is a str"),
    "top_p over 1": ({"prompt": "x", "top_p": 1.01}, "top_p=1.01 is out of range"),
    "top_p NaN": ({"prompt": "x", "top_p": NAN}, "top_p=nan is out of range"),
    "max_tokens 0": ({"prompt": "x", "max_tokens": 0}, "max_tokens=0 is too small"),
    "max_tokens far below": ({"prompt": "x", "max_tokens": -(10**5000)}, "max_tokens=.* is too small"),
    "max_tokens no": ({"prompt": "x", "max_tokens": False}, "max_tokens is a boolean"),
    "half a token": ({"prompt": "x", "max_tokens": 10.5}, "max_tokens is a float"),
    "no number of tokens": ({"prompt": "x", "max_tokens": NAN}, "max_tokens is a float"),
    "endless tokens": ({"prompt": "x", "max_tokens": math.inf}, "max_tokens is a float"),
    "a fraction of tokens": ({"prompt": "x", "max_tokens": Fraction(10)}, "max_tokens is a Fraction"),
    "seed of a float": ({"prompt": "x", "seed": 1.5}, "seed is a float"),
    "seed yes": ({"prompt": "x", "seed": True}, "seed is a boolean"),
    "an empty stop": ({"prompt": "x", "stop_sequences": ["a", ""]}, "stop_sequences holds an empty string"),
    "a stop of bytes": ({"prompt": "x", "stop_sequences": b"END"}, "stop_sequences is a bytes"),
    "a stop of a number": ({"prompt": "x", "stop_sequences": [1]}, "stop_sequences is an int"),
    "a stop with a surrogate": ({"prompt": "x", "stop_sequences": ["\udfff"]}, "stop_sequences holds a lone surrogate"),
    "tools of a mapping": ({"prompt": "x", "tools": {"name": "a"}}, "tools is a dict"),
    "tools of strings": ({"prompt": "x", "tools": ["a"]}, "tools holds a str"),
    "tools with a number for a key": ({"prompt": "x", "tools": [{1: 2}]}, "tools has the key 1"),
    "tool_choice of a list": ({"prompt": "x", "tool_choice": ["auto"]}, "tool_choice is a list"),
    "schema in words": ({"prompt": "x", "response_schema": "{}"}, "response_schema holds a str"),
    "provider_specific of a list": ({"prompt": "x", "provider_specific": [("a", 1)]}, "provider_specific holds a list"),
    "provider_specific with a number for a key": ({"prompt": "x", "provider_specific": {1: 2}}, "the key 1"),
    "id yes": ({"prompt": "x", "id": True}, "id is a boolean"),
    "id of a list": ({"prompt": "x", "id": [1]}, "id is a list"),
    "id of a float": ({"prompt": "x", "id": 1.5}, "id is a float"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_request_refuses_impossible_values(name: str) -> None:
    """Before anything is sent, naming the field and what to give instead."""
    fields, message = WRONG[name]
    with pytest.raises(InvalidRequestError, match=message) as raised:
        ModelRequest(**fields)
    assert raised.value.guidance is not None or "messages: " in message
    assert raised.value.retryable is False


def test_an_unknown_field_is_a_type_error_naming_it() -> None:
    """As for any function; it is the program that is wrong."""
    with pytest.raises(TypeError, match="temprature"):
        ModelRequest("x", temprature=1)  # type: ignore[call-arg]


RIGHT: dict[str, dict[str, Any]] = {
    "NUL": {"prompt": "a\0b"},
    "emoji": {"prompt": "👩‍👩‍👧‍👦"},
    "5 MB": {"prompt": "ü" * 2_500_000},
    "the ends of the ranges": {"prompt": "x", "temperature": 0, "top_p": 1, "max_tokens": 1},
    "the other ends": {"prompt": "x", "temperature": 2.0, "top_p": 0.0, "max_tokens": 10**9},
    "minus zero": {"prompt": "x", "temperature": -0.0},
    "a negative seed": {"prompt": "x", "seed": -5},
    "an empty system prompt": {"prompt": "x", "system_prompt": ""},
    "an image without a word": {"prompt": "", "images": ["https://a.test/x.png"]},
    "images of every kind": {"prompt": "x", "images": ["a.png", b"x", pathlib.Path("b.png")]},
    "a tool's name": {"prompt": "x", "tool_choice": "look"},
    "an id of 0": {"prompt": "x", "id": 0},
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_request_takes_all_that_is_possible(name: str) -> None:
    """What a provider might take is not refused here, and is kept as it is."""
    request = ModelRequest(**RIGHT[name])
    for field, value in RIGHT[name].items():
        kept = getattr(request, field)
        assert kept == (tuple(value) if isinstance(value, list) else value)


def test_none_stands_for_not_given_everywhere() -> None:
    """A program that passes its own optional arguments on gets the defaults."""
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(ModelRequest) if field.name != "prompt")
    assert ModelRequest("x", **nothing) == ModelRequest("x")
    assert Message("user", "x", None, None) == Message("user", "x")  # type: ignore[arg-type]


def test_lists_may_be_any_iterable() -> None:
    """A generator is taken whole, once; one stop sequence may stand alone."""
    request = ModelRequest(messages=(Message("user", word) for word in "ab"), stop_sequences="END")  # type: ignore[arg-type]
    assert [message.content for message in request.messages or ()] == ["a", "b"]
    assert request.stop_sequences == ("END",)
    assert ModelRequest("x", stop_sequences=(word for word in ["a"])).stop_sequences == ("a",)  # type: ignore[arg-type]


def test_messages_may_be_mappings() -> None:
    """What comes out of JSON need not be wrapped by hand, tool calls included."""
    call = {"id": "c1", "name": "look", "arguments": {}, "raw_arguments": "{}"}
    request = ModelRequest(
        messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": None, "tool_calls": [call]}]  # type: ignore[list-item]
    )
    assert request.messages == (Message("user", "a"), Message("assistant", None, tool_calls=[ToolCall(**call)]))  # type: ignore[arg-type]


def test_a_request_does_not_change() -> None:
    """Requests are shared between threads."""
    request = ModelRequest("x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.prompt = "y"  # type: ignore[misc]


def test_conversation_is_the_messages_whichever_way_they_came() -> None:
    """A prompt is one user message with its images."""
    assert ModelRequest("x", images=[b"i"]).conversation() == (Message("user", "x", images=[b"i"]),)
    messages = (Message("user", "x"), Message("assistant", "y"), Message("user", "z"))
    assert ModelRequest(messages=messages).conversation() == messages


# Detached copies


class Colour(str, enum.Enum):
    RED = "red"


def full_request() -> tuple[ModelRequest, list[Any]]:
    """A request with every mutable part, and those parts."""
    parts: list[Any] = [
        {"type": "object", "properties": {"a": {"enum": ["x"]}}},
        {"name": "look", "parameters": {"required": ["where"]}},
        {"type": "function", "function": {"name": "look"}},
        {"metadata": {"tags": ["a"]}},
        {"where": ["here"]},
    ]
    schema, tool, choice, extra, arguments = parts
    messages = [Message("user", "x"), Message("assistant", "", tool_calls=[ToolCall("c", "look", arguments, "{}")])]
    return ModelRequest(
        messages=messages, response_schema=schema, tools=[tool], tool_choice=choice, provider_specific=extra
    ), parts


def test_a_detached_copy_is_equal_and_shares_nothing_mutable() -> None:
    """What the caller still holds may change without changing the copy."""
    request, parts = full_request()
    detached = request.detached()
    assert detached == request
    before = copy.deepcopy(detached)
    for part in parts:
        for value in part.values():
            if isinstance(value, dict):
                value["late"] = 1
            elif isinstance(value, list):
                value.append("late")
        part["late"] = 1
    assert detached == before
    assert "late" not in str(detached)


@pytest.mark.parametrize("field", ["provider_specific", "response_schema", "tool_choice"])
def test_an_empty_mapping_is_detached_too(field: str) -> None:
    """What is empty now may be filled later by the caller."""
    given: dict[str, Any] = {}
    detached = ModelRequest("x", **{field: given}).detached()
    given["late"] = 1
    assert getattr(detached, field) == {}


def test_any_mapping_and_sequence_will_do() -> None:
    """Read-only views, tuples and enumerations become what JSON can hold; numeric keys stay (OpenAI's logit_bias)."""
    given = MappingProxyType({"a": (1, MappingProxyType({"b": Colour.RED})), "logit_bias": {50256: -100}})
    tool = MappingProxyType({"name": "look"})
    detached = ModelRequest("x", provider_specific=given, tools=(tool,), response_schema=given).detached()
    assert detached.provider_specific == {"a": [1, {"b": "red"}], "logit_bias": {50256: -100}}
    assert detached.tools == ({"name": "look"},)
    sent = json.dumps([detached.provider_specific, detached.tools, detached.response_schema], allow_nan=False)
    assert '"50256": -100' in sent


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1}, "a set"),
        (b"x", "a bytes"),
        (bytearray(b"x"), "a bytearray"),
        ((item for item in ()), "a generator"),
        (object(), "an object"),
        (AT, "a datetime"),
        (NAN, "nan"),
        (-math.inf, "-inf"),
        (1j, "a complex"),
        (print, "a builtin_function_or_method"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("field", ["provider_specific", "response_schema", "tool_choice", "tools", "messages"])
def test_a_detached_copy_refuses_what_json_cannot_hold(field: str, value: Any, message: str) -> None:
    """The error is raised in the caller's thread, however deep the value is nested."""
    deep: dict[str, Any] = {"a": [{"b": value}]}
    fields: dict[str, Any] = {"prompt": "x", field: deep}
    if field == "tools":
        fields[field] = [deep]
    elif field == "messages":
        fields = {"messages": [Message("user", "x"), Message("assistant", "", tool_calls=[ToolCall("c", "f", deep, "{}")])]}
    request = ModelRequest(**fields)
    with pytest.raises(InvalidRequestError, match=f"holds {message}, which JSON cannot"):
        request.detached()


@pytest.mark.parametrize("key", [None, 1.5, (1, 2), b"x"])
def test_a_detached_copy_refuses_keys_that_are_no_names(key: Any) -> None:
    """JSON would turn some of them into strings in silence, and fail on others."""
    with pytest.raises(InvalidRequestError, match="for a key"):
        ModelRequest("x", provider_specific={"a": {key: 1}}).detached()


@pytest.mark.parametrize("deep", ["\ud800", {"\ud800": 1}])
def test_a_detached_copy_refuses_lone_surrogates(deep: Any) -> None:
    """They cannot be encoded, as a value or as a key."""
    with pytest.raises(InvalidRequestError, match="provider_specific holds a lone surrogate"):
        ModelRequest("x", provider_specific={"a": [deep]}).detached()


def test_a_detached_copy_refuses_what_is_nested_too_deeply() -> None:
    """A depth that no parser accepts is an error of its own."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidRequestError, match="nested too deeply"):
        ModelRequest("x", provider_specific={"a": deep}).detached()
    while deep:  # let go of it piece by piece: older interpreters free nested lists recursively
        deep = deep[0]


# Message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"role": "developer", "content": "x"}, "role 'developer' is unknown. Use one of user, assistant, system, tool"),
        ({"role": None, "content": "x"}, "role None is unknown"),
        ({"role": ["user"], "content": "x"}, r"role \['user'\] is unknown"),
        ({"role": "user", "content": ""}, "a user message is empty"),
        ({"role": "user", "content": " \n"}, "a user message is empty"),
        ({"role": "assistant", "content": None}, "a assistant message is empty"),
        ({"role": "user", "content": 5}, "message content is an int"),
        ({"role": "user", "content": [{"type": "text"}]}, "message content is a list"),
        ({"role": "user", "content": "\udc00"}, "message content holds a lone surrogate"),
        ({"role": "user", "content": "x", "images": "a.png"}, "images is a str"),
        ({"role": "tool", "content": "x"}, "has no tool_call_id"),
        ({"role": "tool", "content": "x", "tool_call_id": ""}, "has no tool_call_id"),
        ({"role": "tool", "content": "x", "tool_call_id": 5}, "tool_call_id is an int"),
        ({"role": "assistant", "content": "x", "images": ["a.png"]}, "a assistant message has images. Only user messages"),
        ({"role": "user", "content": "x", "tool_calls": [CALL]}, "a user message has tool_calls. Only assistant messages"),
        ({"role": "user", "content": "x", "tool_call_id": "c"}, "a user message has tool_call_id. Only tool messages"),
        ({"role": "assistant", "content": "", "tool_calls": CALL}, "tool_calls is a ToolCall"),
        ({"role": "assistant", "content": "", "tool_calls": ["look"]}, "tool_calls holds a str"),
        ({"role": "assistant", "content": "", "tool_calls": [{"type": "function"}]}, "tool_calls: .*type"),
        ({"role": "assistant", "content": "", "tool_calls": [ToolCall(None, "f", {}, "{}")]}, "tool_calls.id is a NoneType"),  # type: ignore[arg-type]
        ({"role": "assistant", "content": "", "tool_calls": [ToolCall("c", 5, {}, "{}")]}, "tool_calls.name is an int"),  # type: ignore[arg-type]
        ({"role": "assistant", "content": "", "tool_calls": [ToolCall("c", "f", {}, {})]}, "raw_arguments is a dict"),  # type: ignore[arg-type]
        ({"role": "assistant", "content": "", "tool_calls": [ToolCall("c", "f", "{}", "{}")]}, "arguments holds a str"),  # type: ignore[arg-type]
        ({"role": "assistant", "content": "", "tool_calls": [ToolCall("c", "f", {}, "\ud800")]}, "lone surrogate"),
    ],
)
def test_a_message_refuses_impossible_values(fields: dict[str, Any], message: str) -> None:
    """Each names what is wrong with which part."""
    with pytest.raises(InvalidRequestError, match=message):
        Message(**fields)


@pytest.mark.parametrize(
    "message",
    [
        Message("assistant", None, tool_calls=[CALL]),
        Message("assistant", None, tool_calls=[ToolCall("c", "f", None, "{broken")]),
        Message("assistant", None, tool_calls=[ToolCall("c", "f", {"a": 1})]),
        Message("user", "", images=["a.png"]),
        Message("tool", "", tool_call_id="c"),
        Message("tool", None, tool_call_id="c"),
    ],
)
def test_a_message_may_be_without_text_where_something_else_speaks(message: Message) -> None:
    """Tool calls, images and tool results need no words."""
    talk = [Message("user", "x"), message]
    if message.tool_call_id:
        talk.insert(1, Message("assistant", None, tool_calls=[ToolCall("c", "f", {})]))
    talk += [Message("tool", "", tool_call_id=call.id) for call in message.tool_calls]
    assert message in ModelRequest(messages=talk).conversation()


# The hash of a question


def test_the_hash_of_a_question_is_the_same_however_a_dialect_carries_it() -> None:
    """System texts first and together, neighbours of a role as one turn, silent turns left out."""
    plain = request_hash("m", [("system", "Be brief."), ("system", "Be kind."), ("user", "Hi"), ("user", "there")])
    assert plain == request_hash("m", [("user", "Hi\n\nthere"), ("assistant", None), ("system", "Be brief.\n\nBe kind.")])
    assert len(plain) == 32


@pytest.mark.parametrize(("model", "turns"), [("n", [("user", "Hi")]), ("m", [("user", "Ho")]), ("m", [("assistant", "Hi")])])
def test_another_model_text_or_role_is_another_question(model: str, turns: list[tuple[str, str]]) -> None:
    """No two of them share a hash."""
    assert request_hash(model, turns) != request_hash("m", [("user", "Hi")])


def test_a_question_with_a_lone_surrogate_has_a_hash() -> None:
    """UTF-8 could not write it."""
    assert request_hash("m", [("user", "\ud800")]) != request_hash("m", [("user", "\ud801")])


# Numbers of other libraries


class Int64:
    """Like numpy's int64: no int, but registered as Integral."""

    def __int__(self) -> int:
        return 10


class Float32:
    """Like numpy's float32: no float, but registered as Real."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return self.value


numbers.Integral.register(Int64)
numbers.Real.register(Float32)


@pytest.mark.parametrize("value", [10, 10.0, Int64(), Float32(10.0)])
@pytest.mark.parametrize("name", ["max_tokens", "seed", "id"])
def test_a_whole_number_is_one_whatever_wrote_it(name: str, value: Any) -> None:
    """10.0 in JSON, as pandas writes it, and numpy's numbers become ints, which JSON can hold."""
    kept = getattr(ModelRequest("x", **{name: value}), name)
    assert (type(kept), kept) == (int, 10)


def test_other_numbers_become_pythons_own() -> None:
    """In settings and in provider_specific: JSON could not hold them otherwise."""
    request = ModelRequest("x", temperature=Float32(0.5), top_p=1, provider_specific={"top_k": Int64(), "deep": [Float32(0.25)]})
    assert (type(request.temperature), request.temperature, type(request.top_p)) == (float, 0.5, int)
    assert json.dumps(request.detached().provider_specific) == '{"top_k": 10, "deep": [0.25]}'


def test_a_number_that_is_not_whole_is_not_rounded() -> None:
    """Half a token is a mistake."""
    with pytest.raises(InvalidRequestError, match="max_tokens is a float"):
        ModelRequest("x", max_tokens=Float32(10.5))  # type: ignore[arg-type]
