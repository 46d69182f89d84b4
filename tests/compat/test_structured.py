"""``parse``: structured output as the script's own model, over chat completions and the Responses API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_sync.compat import openai

HELLO = [{"role": "user", "content": "Where is it?"}]
MODEL = "gpt-4o-mini"


class City:
    """What pydantic gives of a model with one required and one optional field."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        """With what strict mode refuses: an open object, a default, keys beside $ref, oneOf."""
        return {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "country": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
                "place": {"$ref": "#/$defs/Place", "description": "where"},
            },
            "required": ["name"],
            "$defs": {"Place": {"oneOf": [{"type": "integer"}, {"type": "string"}]}},
        }

    @classmethod
    def model_validate_json(cls, text: str) -> City:
        """Raises ValueError for a misfit, as pydantic's ValidationError is one."""
        values = json.loads(text)
        if "name" not in values:
            raise ValueError("name is missing")
        return cls(**values)

    def model_dump(self, mode: str = "python") -> dict[str, Any]:
        """The values."""
        return self.values


STRICT = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "country": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "place": {"anyOf": [{"type": "integer"}, {"type": "string"}], "description": "where"},
    },
    "required": ["name", "country", "place"],
    "additionalProperties": False,
    "$defs": {"Place": {"anyOf": [{"type": "integer"}, {"type": "string"}]}},
}


@pytest.mark.parametrize("old", [False, True], ids=["chat.completions", "beta.chat.completions"])
def test_a_chat_completion_is_parsed(client: Any, upstream: Any, old: bool) -> None:
    """The model's schema is sent in strict form, the text comes back as the model, and dumps with it."""
    upstream.say('{"name": "Oslo"}')
    chat = client.beta.chat if old else client.chat
    completion = chat.completions.parse(model=MODEL, messages=HELLO, response_format=City)
    assert upstream.bodies[0]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "City", "strict": True, "schema": STRICT},
    }
    message = completion.choices[0].message
    assert isinstance(message.parsed, City)
    assert message.parsed.values == {"name": "Oslo"}
    assert completion.model_dump()["choices"][0]["message"]["content"] == '{"name": "Oslo"}'
    assert message.model_dump()["parsed"] == {"name": "Oslo"}


def test_what_cannot_be_parsed_is_an_error(client: Any, upstream: Any) -> None:
    """The model's own error for a misfit; for a cut or a filtered answer the original's; a refusal has none."""
    upstream.say("{}")
    with pytest.raises(ValueError, match="name is missing"):
        client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City)
    upstream.say('{"name": "Os', finish="length")
    with pytest.raises(openai.LengthFinishReasonError) as caught:
        client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City)
    assert caught.value.completion.choices[0].message.content == '{"name": "Os'
    upstream.say("half", finish="content_filter")
    with pytest.raises(openai.ContentFilterFinishReasonError):
        client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City)
    upstream.say(None, refusal="I will not.")
    refused = client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=City)
    assert refused.choices[0].message.parsed is None
    assert refused.choices[0].message.refusal == "I will not."


def test_a_response_is_parsed(client: Any, upstream: Any) -> None:
    """``text_format`` is sent as text.format; ``output_parsed`` is the model."""
    schema = City.model_json_schema

    class Simple(City):
        """A model whose instances the simulator can make."""

        @classmethod
        def model_json_schema(cls) -> dict[str, Any]:
            made = schema()
            return {"type": "object", "properties": {"name": made["properties"]["name"]}, "required": ["name"]}

    response = client.responses.parse(model=MODEL, input="Where?", text_format=Simple)
    assert upstream.bodies[0]["text"]["format"]["name"] == "Simple"
    assert set(response.output_parsed.values) == {"name"}
    with pytest.raises(TypeError, match="text_format"):
        client.responses.parse(model=MODEL, input="?", text_format=Simple, text={"format": {"type": "text"}})


@pytest.mark.parametrize("form", [int, 7, "json"])
def test_what_is_no_model_is_refused_before_anything_is_sent(client: Any, upstream: Any, form: Any) -> None:
    """By name, and with what to give instead."""
    with pytest.raises(openai.BadRequestError, match="response_format.*pydantic"):
        client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=form)
    assert upstream.bodies == []


def test_without_a_model_parse_is_create(client: Any, upstream: Any) -> None:
    """A dict is sent as it is; ``parsed`` is None."""
    asked = [{"role": "user", "content": "Say hello in JSON"}]
    completion = client.chat.completions.parse(model=MODEL, messages=asked, response_format={"type": "json_object"})
    assert completion.choices[0].message.parsed is None
    assert upstream.bodies[0]["response_format"] == {"type": "json_object"}
