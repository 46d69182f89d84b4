"""Parts of a message's content: what may be given, what is refused, and what older code sees of them."""

from __future__ import annotations

import dataclasses
import json
import pickle
from typing import Any

import pytest

from llm_sync import Message, ModelRequest, Part
from llm_sync.errors import InvalidRequestError

PNG = b"\x89PNG\r\n\x1a\nx"


def test_parts_in_every_form() -> None:
    """Objects, mappings, plain texts; content and images are what is text and image among them."""
    message = Message("user", parts=["a", {"type": "image", "source": "x.png"}, Part("document", source=b"%PDF-"), "b"])
    assert [part.type for part in message.parts] == ["text", "image", "document", "text"]
    assert (message.content, message.images) == ("a\nb", ("x.png",))


def test_a_message_with_parts_survives_copies() -> None:
    """A record, a pickle and ``replace`` give an equal one."""
    message = Message("user", parts=["a", Part("image", source="x.png", detail="low", cache=True, cache_ttl="1h")], name="eva")
    assert Message(**json.loads(json.dumps(message.to_dict()))) == message
    assert pickle.loads(pickle.dumps(message)) == message  # noqa: S301  (our own)
    assert dataclasses.replace(message, name="eva") == message
    assert message.with_parts(["c"]).content == "c"


WRONG: list[tuple[Any, str]] = [
    ({"parts": [{"text": "x"}]}, "without a type"),
    ({"parts": [{"type": "video", "source": "x"}]}, "of type 'video'"),
    ({"parts": [{"type": "text", "source": "x"}]}, "needs text and no source"),
    ({"parts": [{"type": "image", "text": "x"}]}, "needs source and no text"),
    ({"parts": [{"type": "text", "text": ""}]}, "is empty"),
    ({"parts": [{"type": "text", "text": "x", "weight": 1}]}, "has the field 'weight'"),
    ({"parts": [{"type": "text", "text": "x", "detail": "low"}]}, "detail='low'"),
    ({"parts": [{"type": "image", "source": "x", "detail": "best"}]}, "detail='best'"),
    ({"parts": [{"type": "image", "source": 7}]}, "source holds an int"),
    ({"parts": [7]}, "is an int"),
    ({"parts": "x"}, "parts is a str"),
    ({"parts": [" "]}, "is empty"),
    ({"parts": ["x"], "content": "y"}, "other content or images"),
    ({"parts": ["x"], "images": ["a.png"]}, "other content or images"),
    ({"parts": [{"type": "text", "text": "x", "cache": "yes"}]}, "cache is a str"),
    ({"content": "x", "cache": True, "cache_ttl": "2h"}, "cache_ttl='2h'"),
    ({"content": "x", "cache_ttl": "1h"}, "without cache"),
    ({"content": "x", "cache": 1}, "cache is an int"),
    ({"content": "x", "name": 7}, "message name is an int"),
]


@pytest.mark.parametrize(("fields", "words"), WRONG)
def test_impossible_parts_are_refused(fields: Any, words: str) -> None:
    """As objects and as mappings, in words about them."""
    with pytest.raises(InvalidRequestError, match=words):
        Message("user", **fields)
    with pytest.raises(InvalidRequestError, match=words):
        ModelRequest(messages=[{"role": "user", **fields}])


@pytest.mark.parametrize("role", ["system", "assistant", "tool"])
def test_only_users_send_files(role: str) -> None:
    """Texts may be parts of any message."""
    more: dict[str, Any] = {"tool_call_id": "c"} if role == "tool" else {}
    assert Message(role, parts=["x"], **more).content == "x"
    with pytest.raises(InvalidRequestError, match="Only user messages carry files"):
        Message(role, parts=["x", Part("image", source=PNG)], **more)


def test_documents_go_with_a_prompt() -> None:
    """Alone, too; beside messages they have no clear place."""
    assert ModelRequest("", documents=[b"%PDF-"]).conversation()[0].parts[0].type == "document"
    with pytest.raises(InvalidRequestError, match="documents go only with a prompt"):
        ModelRequest(messages=[Message("user", "x")], documents=["a.pdf"])
    with pytest.raises(InvalidRequestError, match="documents is a str"):
        ModelRequest("x", documents="a.pdf")
