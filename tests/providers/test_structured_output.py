"""A response_schema goes out in the best form that the endpoint takes, and is checked whatever the form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_sync import InvalidRequestError, Message, ModelRequest, ResponseValidationError, TruncatedResponseError
from llm_sync.providers.structured_output import TOOL_NAME
from llm_sync.validation.json_schema import check_schema

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
KINDS = ["openai", "openrouter", "openai-responses", "anthropic", "gemini"]
JSON_MODE = {
    "openai": {"response_format": {"type": "json_object"}},
    "openrouter": {"response_format": {"type": "json_object"}},
    "openai-responses": {"text": {"format": {"type": "json_object"}}},
    "gemini": {"generationConfig": {"responseMimeType": "application/json"}},
}
OWN = ("response_format", "text", "output_config", "generationConfig")
TEXTS: dict[str, Any] = {
    "openai": lambda text: {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]},
    "openai-responses": lambda text: {
        "output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}],
        "status": "completed",
    },
    "anthropic": lambda text: {"content": [{"type": "text", "text": text}], "stop_reason": "end_turn"},
    "gemini": lambda text: {"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]},
}
TEXTS["openrouter"] = TEXTS["openai"]
CALLS: dict[str, Any] = {
    "openai": lambda given: {
        "choices": [
            {
                "message": {"tool_calls": [{"id": "c", "function": {"name": TOOL_NAME, "arguments": json.dumps(given)}}]},
                "finish_reason": "tool_calls",
            }
        ]
    },
    "openai-responses": lambda given: {
        "output": [{"type": "function_call", "call_id": "c", "name": TOOL_NAME, "arguments": json.dumps(given)}],
        "status": "completed",
    },
    "anthropic": lambda given: {
        "content": [{"type": "tool_use", "id": "t", "name": TOOL_NAME, "input": given}],
        "stop_reason": "tool_use",
    },
    "gemini": lambda given: {
        "candidates": [
            {
                "content": {"parts": [{"functionCall": {"name": TOOL_NAME, "args": given}, "thoughtSignature": "c2ln"}]},
                "finishReason": "STOP",
            }
        ]
    },
}
CALLS["openrouter"] = CALLS["openai"]


@pytest.fixture
def ask(provider: Any, reply: Any) -> Any:
    """Ask a provider of a type; the response, and what was sent."""

    def asking(kind: str, body: Any, schema: Any = SCHEMA, *, request: Any = None, **options: Any) -> tuple[Any, Any]:
        made = provider(kind, reply(body), **options)
        asked = {"prompt": "q", "model": "m", "response_schema": check_schema(schema), **(request or {})}
        return made.generate_response(ModelRequest(**asked)), made.web.sent[-1].body

    return asking


@pytest.mark.parametrize("kind", KINDS)
def test_json_mode_has_the_schema_in_words(ask: Any, kind: str) -> None:
    """The answer is parsed and checked; the adjustment says what was sent."""
    response, sent = ask(kind, TEXTS[kind]('{"n": 1}'), structured_output="json_object")
    assert response.metadata["parsed"] == {"n": 1}
    assert {name: sent[name] for name in OWN if name in sent} == JSON_MODE.get(kind, {})
    assert "JSON Schema" in json.dumps(sent)
    assert json.dumps(json.dumps(SCHEMA))[1:-1] in json.dumps(sent)
    form = "json_object" if kind in JSON_MODE else "prompt"  # Anthropic has no JSON mode
    assert [made.sent for made in response.adjustments if made.parameter == "response_schema"] == [form]


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_needs_nothing_of_the_server(ask: Any, kind: str) -> None:
    """Not a field more than a plain request; a code fence around the answer is taken off."""
    response, sent = ask(kind, TEXTS[kind]('```json\n{"n": 1}\n```'), structured_output="prompt")
    assert (response.text, response.metadata["parsed"]) == ('{"n": 1}', {"n": 1})
    assert not any(name in sent for name in (*OWN, "tools"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_tool_that_must_be_called_gives_the_answer(ask: Any, kind: str) -> None:
    """Its arguments are the text; no call is left, and the turn has no state of one."""
    response, sent = ask(kind, CALLS[kind]({"n": 1}), structured_output="tool")
    assert (json.loads(response.text), response.metadata["parsed"]) == ({"n": 1}, {"n": 1})
    assert (response.tool_calls, response.finish_reason) == ((), "stop")
    assert response.message == Message("assistant", response.text)
    assert TOOL_NAME in json.dumps(sent["tools"])
    assert TOOL_NAME in json.dumps(sent.get("tool_choice", sent.get("toolConfig")))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["json_object", "tool", "prompt"])
def test_whatever_the_form_the_answer_is_checked(ask: Any, kind: str, form: str) -> None:
    """The error carries the text that was paid for."""
    body = CALLS[kind]({"m": 1}) if form == "tool" else TEXTS[kind]('{"m": 1}')
    with pytest.raises(ResponseValidationError, match="response_schema") as caught:
        ask(kind, body, structured_output=form)
    assert json.loads(caught.value.response.text) == {"m": 1}  # type: ignore[union-attr]


def test_a_model_that_writes_instead_of_calling_is_read_too(ask: Any) -> None:
    """Servers that ignore tool_choice give the object as text."""
    response, _ = ask("openai", TEXTS["openai"]('{"n": 1}'), structured_output="tool")
    assert response.metadata["parsed"] == {"n": 1}


def test_a_call_that_was_cut_is_a_truncated_answer(ask: Any) -> None:
    """With what came of its arguments."""
    body = CALLS["openai"]({"n": 1})
    body["choices"][0]["finish_reason"] = "length"
    body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = '{"n'
    with pytest.raises(TruncatedResponseError) as caught:
        ask("openai", body, structured_output="tool")
    assert caught.value.partial_text == '{"n'


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("https://api.openai.com/v1", "json_schema"),
        ("https://api.deepseek.com/v1", "json_object"),
        ("https://api.moonshot.cn/v1", "json_object"),
        ("https://open.bigmodel.cn/api/paas/v4", "json_object"),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "json_object"),
        ("https://ark.cn-beijing.volces.com/api/v3", "json_object"),
        ("https://api.siliconflow.cn/v1", "json_object"),
        ("https://api.minimax.io/v1", "prompt"),
        ("https://api.anthropic.com/v1", "tool"),
        ("https://notdeepseek.com/v1", "json_schema"),
        ("http://localhost:8000/v1", "json_schema"),
    ],
)
def test_the_host_decides(ask: Any, url: str, form: str) -> None:
    """Unless the option does."""
    response, sent = ask("openai", TEXTS["openai"]('{"n": 1}'), base_url=url)
    used = "tool" if "tools" in sent else sent.get("response_format", {"type": "prompt"})["type"]
    assert used == form
    assert bool(response.adjustments) == (form != "json_schema")
    _, sent = ask("openai", TEXTS["openai"]('{"n": 1}'), base_url=url, structured_output="json_schema")
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA


@pytest.mark.parametrize("form", ["json_object", "tool"])
def test_forms_that_give_objects_only_are_not_used_for_others(ask: Any, form: str) -> None:
    """A list is asked for in words."""
    listing = {"type": "array", "items": {"type": "integer"}}
    response, sent = ask("openai", TEXTS["openai"]("[1]"), listing, structured_output=form)
    assert response.metadata["parsed"] == [1]
    assert not {"response_format", "tools"} & sent.keys()


def test_a_request_with_tools_of_its_own_keeps_them(ask: Any) -> None:
    """A tool that must be called would stand against them."""
    tool = {"name": "add", "parameters": {"type": "object"}}
    _, sent = ask("openai", TEXTS["openai"]('{"n": 1}'), request={"tools": [tool]}, structured_output="tool")
    assert [each["function"]["name"] for each in sent["tools"]] == ["add"]
    assert "tool_choice" not in sent


@pytest.mark.parametrize("extra", [{"tools": [{"type": "web_search"}]}, {"tool_choice": "none"}])
def test_tools_of_provider_specific_are_tools_of_its_own(ask: Any, extra: Any) -> None:
    """They would replace the one that gives the answer."""
    _, sent = ask("openai", TEXTS["openai"]('{"n": 1}'), request={"provider_specific": extra}, structured_output="tool")
    assert {name: sent[name] for name in ("tools", "tool_choice") if name in sent} == extra


@pytest.mark.parametrize("form", ["json_object", "prompt"])
def test_a_schema_that_allows_everything_asks_for_json_too(ask: Any, form: str) -> None:
    """``{}`` is any JSON, on purpose."""
    response, sent = ask("openai", TEXTS["openai"]("[1]"), {}, structured_output=form)
    assert response.metadata["parsed"] == [1]
    assert "JSON Schema" in sent["messages"][0]["content"]


@pytest.mark.parametrize(
    ("request_fields", "system"),
    [
        ({"system_prompt": "Be brief."}, "Be brief."),
        ({"prompt": None, "messages": [Message("system", "Be brief."), Message("user", "q")]}, "Be brief."),
        ({"prompt": None, "messages": [Message("system", parts=["Be brief."]), Message("user", "q")]}, "Be brief."),
        ({}, None),
    ],
)
def test_the_schema_joins_the_system_prompt_that_is_there(ask: Any, request_fields: Any, system: Any) -> None:
    """Several servers take one system message only."""
    _, sent = ask("openai", TEXTS["openai"]('{"n": 1}'), request=request_fields, structured_output="prompt")
    systems = [message["content"] for message in sent["messages"] if message["role"] == "system"]
    assert len(systems) == 1
    assert systems[0].startswith(f"{system}\n\nAnswer with JSON" if system else "Answer with JSON")


def test_one_of_becomes_any_of_where_strict_mode_is_asked_for(ask: Any) -> None:
    """In OpenAI's wrapping; the answer is held against oneOf. Without strict the schema goes as it is."""
    part = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
    other = {**part, "properties": {"b": {"type": "integer"}}, "required": ["b"]}
    schema = {"type": "object", "properties": {"k": {"oneOf": [part, other]}}, "required": ["k"], "additionalProperties": False}
    body = TEXTS["openai"]('{"k": {"a": 1}}')
    response, sent = ask("openai", body, {"name": "x", "strict": True, "schema": schema})
    wrapped = sent["response_format"]["json_schema"]
    assert (wrapped["strict"], wrapped["schema"]["properties"]["k"]) == (True, {"anyOf": [part, other]})
    assert [(made.asked, made.sent) for made in response.adjustments] == [("oneOf", "anyOf")]
    for plain in (schema, {"name": "x", "schema": schema}):
        response, sent = ask("openai", body, plain)
        assert sent["response_format"]["json_schema"]["strict"] is False
        assert (sent["response_format"]["json_schema"]["schema"], response.adjustments) == (schema, ())
    open_schema = {"name": "x", "strict": True, "schema": SCHEMA}
    response, sent = ask("openai", TEXTS["openai"]('{"n": 1}'), open_schema)
    assert sent["response_format"]["json_schema"]["strict"] is False
    assert [(made.parameter, made.sent) for made in response.adjustments] == [("response_schema.strict", False)]


def test_one_of_becomes_any_of_for_anthropic(ask: Any) -> None:
    """It knows no oneOf; a property of that name stays."""
    schema = {"type": "object", "properties": {"oneOf": {"oneOf": [{"type": "integer"}, {"type": "string"}]}}}
    response, sent = ask("anthropic", TEXTS["anthropic"]('{"oneOf": 1}'), schema)
    asked = sent["output_config"]["format"]["schema"]
    assert asked["properties"] == {"oneOf": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}
    assert any(made.parameter == "response_schema" and "oneOf" in made.asked for made in response.adjustments)


@pytest.mark.parametrize("schema", [{"name": "x"}, {"fields": {"a": "int"}}, {"name": "x", "strict": True}])
def test_a_mapping_without_any_keyword_is_refused(ask: Any, schema: Any) -> None:
    """Every answer would fit it."""
    with pytest.raises(InvalidRequestError, match="no keyword of JSON Schema"):
        ask("openai", TEXTS["openai"]("{}"), schema)


@pytest.mark.parametrize(
    "message",
    [
        "This response_format type is unavailable now",
        "Failed to deserialize the JSON body into the target type: response_format.type `json_schema` is unavailable now",
        "This model does not support response format `json_schema`.",
        "'response_format.type' must be one of ['text', 'json_object']",
        "body.response_format.type: Input should be 'text' or 'json_object'",
    ],
)
def test_a_server_without_the_form_is_answered_by_the_option(provider: Any, reply: Any, message: str) -> None:
    """The guidance names it."""
    made = provider("openai", reply({"error": {"message": message, "type": "invalid_request_error"}}, 400))
    with pytest.raises(InvalidRequestError, match="set structured_output"):
        made.generate_response(ModelRequest("q", "m", response_schema=SCHEMA))
