"""The answer objects by themselves: attributes, items, dumps, copies."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from llm_sync.compat.anthropic.response_objects import Message, TextBlock, ToolUseBlock
from llm_sync.compat.openai.response_objects import (
    ChatCompletion,
    ChatCompletionMessage,
    Choice,
    CompletionUsage,
    OpenAIObject,
    Response,
    SyncPage,
)
from llm_sync.compat.shim.response_objects import AnswerObject

BODY: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "said"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    "extra": {"kept": [1]},
}


@pytest.fixture
def completion() -> ChatCompletion:
    """A chat completion."""
    return ChatCompletion.read(BODY)


def test_attributes_items_and_get_are_the_same(completion: ChatCompletion) -> None:
    """Both generations' ways to read an answer work on every answer, at every depth."""
    assert completion.choices[0].message.content == "said"
    assert completion["choices"][0]["message"]["content"] == "said"
    assert completion.get("choices")[0].get("message").get("content") == "said"
    assert completion.extra["kept"] == [1]
    assert completion.get("nothing") is None
    assert completion.get("nothing", 7) == 7


def test_inner_objects_have_their_classes(completion: ChatCompletion) -> None:
    """isinstance works as with the original's types."""
    assert isinstance(completion.choices[0], Choice)
    assert isinstance(completion.choices[0].message, ChatCompletionMessage)
    assert isinstance(completion.usage, CompletionUsage)


def test_what_the_provider_left_out_is_none_where_the_original_has_it(completion: ChatCompletion) -> None:
    """``message.tool_calls`` of an answer without any is None, not an error."""
    assert completion.choices[0].message.tool_calls is None
    assert completion.choices[0].message["tool_calls"] is None
    assert completion.service_tier is None


def test_a_name_that_nobody_has_is_an_attribute_error(completion: ChatCompletion) -> None:
    """hasattr tells, as with the original; an item is a KeyError."""
    assert not hasattr(completion, "nothing")
    with pytest.raises(AttributeError, match="'ChatCompletion' object has no attribute 'nothing'"):
        _ = completion.nothing
    with pytest.raises(KeyError):
        _ = completion["nothing"]


def test_model_dump_has_what_was_left_out_and_to_dict_has_not(completion: ChatCompletion) -> None:
    """As pydantic's models: unset fields are in the one, and not in the other; both are plain."""
    dumped = completion.model_dump()
    assert dumped["choices"][0]["message"]["tool_calls"] is None
    assert completion.to_dict() == BODY
    assert completion.model_dump(exclude_none=True) == BODY
    assert completion.model_dump(exclude_unset=True) == BODY
    assert type(completion.to_dict()["choices"][0]) is dict
    assert set(completion.model_dump(include={"id", "model"})) == {"id", "model"}
    assert "id" not in completion.model_dump(exclude=["id"])
    assert completion.dict() == dumped


def test_iterating_gives_pairs_and_dict_all_fields(completion: ChatCompletion) -> None:
    """As of pydantic's models; of 0.28's objects, as of dicts."""
    pairs = list(completion.choices[0])
    assert pairs == [("index", 0), ("message", completion.choices[0].message), ("finish_reason", "stop"), ("logprobs", None)]
    assert dict(completion.choices[0]) == dict(pairs) == {**completion.choices[0]}
    assert completion.choices[0].model_fields_set == {"index", "message", "finish_reason"}
    old = OpenAIObject.read(BODY)
    assert list(old) == list(BODY) == list(old.keys())
    assert dict(old) == BODY


def test_scripts_make_answers_themselves(completion: ChatCompletion) -> None:
    """Their tests do: of fields, of dumps and of JSON; what is inside has its class."""
    message = ChatCompletionMessage(role="assistant", content="said")
    assert (message.content, message.tool_calls) == ("said", None)
    for made in (
        ChatCompletion(**BODY),
        ChatCompletion.model_validate(completion.model_dump(exclude_unset=True)),
        ChatCompletion.model_validate(completion),
        ChatCompletion.model_validate_json(completion.to_json()),
        ChatCompletion.construct(**BODY),
    ):
        assert made == completion
        assert isinstance(made.choices[0].message, ChatCompletionMessage)


def test_json_comes_from_every_name_for_it(completion: ChatCompletion) -> None:
    """model_dump_json, to_json, json and json.dumps."""
    assert json.loads(completion.model_dump_json()) == completion.model_dump()
    assert json.loads(completion.to_json()) == BODY
    assert json.loads(completion.json()) == completion.model_dump()
    assert json.loads(json.dumps(completion)) == BODY
    assert completion.model_dump_json(indent=2).startswith('{\n  "id"')


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])  # noqa: S301
def test_copies_are_of_the_same_class_and_content(completion: ChatCompletion, again: Any) -> None:
    """What was put on the outermost object goes along."""
    completion._request_id = "req_1"
    made = again(completion)
    assert type(made) is ChatCompletion
    assert made == completion
    assert made._request_id == "req_1"
    assert isinstance(made.choices[0].message, ChatCompletionMessage)


def test_a_deep_copy_shares_nothing(completion: ChatCompletion) -> None:
    """model_copy(deep=True) too; update replaces items."""
    made = completion.model_copy(update={"id": "other"}, deep=True)
    made.choices[0].message.content = "changed"
    assert completion.choices[0].message.content == "said"
    assert (made.id, completion.id) == ("other", "chatcmpl-1")
    assert type(completion.copy()) is ChatCompletion


def test_reading_leaves_the_body_as_it_was() -> None:
    """The ModelResponse behind an answer keeps the provider's body."""
    before = copy.deepcopy(BODY)
    ChatCompletion.read(BODY).choices[0].message.content = "changed"
    assert before == BODY


def test_setting_and_deleting_attributes_are_items(completion: ChatCompletion) -> None:
    """Scripts of 2023 set what they like."""
    completion.note = "mine"
    assert completion["note"] == "mine"
    del completion.note
    assert "note" not in completion


def test_a_page_iterates_over_what_it_lists() -> None:
    """Not over its keys, unlike every other answer."""
    page = SyncPage.read({"object": "list", "data": [{"id": "a"}, {"id": "b"}]})
    assert [model.id for model in page] == ["a", "b"]
    assert [page.to_dict() for page in page.iter_pages()] == [{"object": "list", "data": [{"id": "a"}, {"id": "b"}]}]
    assert not page.has_next_page()
    assert pickle.loads(pickle.dumps(page)).data[1].id == "b"  # noqa: S301


def test_the_object_of_2023_prints_as_json() -> None:
    """str() of it was JSON; all that is in it is such an object."""
    answer = OpenAIObject.read(BODY)
    assert json.loads(str(answer)) == BODY
    assert isinstance(answer.choices[0].message, OpenAIObject)
    assert answer.to_dict_recursive() == BODY
    assert isinstance(answer, dict)


def test_blocks_of_a_message_are_of_the_class_for_their_type() -> None:
    """``input`` stays a plain dict, whatever its keys are called."""
    made = Message.read(
        {
            "content": [
                {"type": "text", "text": "a"},
                {"type": "tool_use", "id": "t", "name": "n", "input": {"items": 1}},
                {"type": "new"},
            ]
        }
    )
    assert [type(block).__name__ for block in made.content] == ["TextBlock", "ToolUseBlock", "ContentBlock"]
    assert isinstance(made.content[0], TextBlock)
    assert isinstance(made.content[1], ToolUseBlock)
    assert type(made.content[1].input) is dict
    assert made.content[0].citations is None


def test_output_text_joins_the_texts_of_messages() -> None:
    """Other items, refusals and messages without content say nothing."""
    made = Response.read(
        {
            "output": [
                {"type": "reasoning", "summary": []},
                {"type": "message", "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}]},
                {"type": "message", "content": None},
                {"type": "message", "content": [{"type": "output_text", "text": "b"}]},
            ]
        }
    )
    assert made.output_text == "ab"


@pytest.mark.parametrize("name", ["items", "keys", "values", "get", "update", "pop", "copy"])
def test_a_field_with_the_name_of_a_method_is_had_as_an_item(name: str) -> None:
    """The method stays the attribute, so that nothing of a dict's breaks."""
    made = AnswerObject.read({name: "field"})
    assert made[name] == "field"
    assert callable(getattr(made, name))
    assert made.to_dict() == {name: "field"}
