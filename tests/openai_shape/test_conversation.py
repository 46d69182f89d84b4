"""Messages of files: in our form or OpenAI's, next to each other; what fits neither is refused in words about the file."""

from __future__ import annotations

from typing import Any

import pytest

from llm_sync import Message, ModelRequest, ToolCall
from llm_sync.errors import InvalidRequestError
from llm_sync.openai_shape import read_conversation

CALL = {"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}


def read(*items: Any) -> list[Message]:
    """The messages of a request."""
    return list(ModelRequest(messages=read_conversation(items)[0]).messages or ())


def test_a_tool_loop_in_openais_form() -> None:
    """As its SDK writes it, nulls and all."""
    talk = read(
        {"role": "developer", "content": "Be brief"},
        {"role": "user", "content": [{"type": "text", "text": "Add"}], "name": "eva"},
        {"role": "assistant", "content": None, "refusal": None, "audio": None, "annotations": [], "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "name": "add", "content": "2"},
    )
    assert talk == [
        Message("system", "Be brief"),
        Message("user", "Add", name="eva"),
        Message("assistant", None, tool_calls=[ToolCall("c", "add", {"a": 1}, '{"a": 1}')]),
        Message("tool", "2", tool_call_id="c"),
    ]


def test_our_form_stays_as_it_is() -> None:
    """Next to a message in OpenAI's."""
    ours = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "name": "add", "raw_arguments": "{}"}]}
    talk = read(
        {"role": "user", "content": "x", "images": ["a.png"]}, ours, {"role": "tool", "content": "2", "tool_call_id": "c"}
    )
    assert talk[0].images == ("a.png",)
    assert talk[1].tool_calls[0].name == "add"


def test_content_lists_become_parts() -> None:
    """Files and marks in them, too."""
    parts = [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    (message,) = read({"role": "user", "content": parts})
    assert [part.type for part in message.parts] == ["text", "image", "document", "audio"]
    assert (message.parts[0].cache, message.parts[0].cache_ttl) == (True, "1h")
    assert (message.parts[1].detail, message.parts[2].name) == ("low", "a.pdf")


def test_reasoning_of_a_chat_completion_is_state() -> None:
    """A saved message goes on as it came."""
    (_, answer) = read({"role": "user", "content": "x"}, {"role": "assistant", "content": "y", "reasoning_content": "hm"})
    assert answer.state is not None
    assert answer.state["data"] == {"reasoning_content": "hm"}


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (7, "messages holds an int"),
        ({"role": "user", "contnt": "x"}, "unknown field 'contnt'.*Did you mean content"),
        (
            {"role": "user", "content": [{"type": "video_url", "video_url": {}}]},
            r"messages\[0\].content\[0\] is of type 'video_url'",
        ),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "/etc/passwd"}]}, "has no URL"),
        ({"role": "user", "content": ["x"], "images": ["a.png"]}, r"messages\[0\] has images beside"),
        ({"role": "user", "content": {"text": "x"}}, "content is a dict"),
        ({"role": "assistant", "content": "x", "tool_calls": [{"id": "c"}]}, "a tool call has no name"),
        ({"role": "assistant", "content": "x", "tool_calls": 7}, "tool_calls is an int"),
        ({"role": "boss", "content": "x"}, "role 'boss'"),
        ({"role": ["user"], "content": "x"}, "role"),
        ({"content": "x"}, "a message has no role"),
        ({"role": "assistant", "content": "x", "audio": {"id": "a"}}, "holds audio"),
    ],
)
def test_what_fits_neither_form_is_refused(item: Any, words: str) -> None:
    """Never in Python's words."""
    with pytest.raises(InvalidRequestError, match=words) as caught:
        ModelRequest(messages=[*read_conversation([item])[0], Message("user", "x")])
    assert "__init__" not in str(caught.value)
    assert "keyword argument" not in str(caught.value)
