"""What is special about Bedrock's Converse: messages, tools, documents, cache points, schemas, guardrails, ids of models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models import Message, ModelRequest, Part, ToolCall

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
CALL = ToolCall("call_1", "f", {"a": 1}, '{"a": 1}')
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}
PNG = b"\x89PNG\r\n\x1a\n0000"


def test_messages_of_one_role_become_one(payload: Any) -> None:
    """The roles must alternate; results come first, and all results of a turn stand in one message."""
    turns = [
        Message("user", "go"),
        Message("assistant", "", tool_calls=[CALL, ToolCall("call_2", "f", {}, "{}")]),
        Message("tool", "one", tool_call_id="call_1"),
        Message("tool", "two", tool_call_id="call_2"),
        Message("user", "and?"),
    ]
    sent = payload("bedrock", messages=turns)["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert [list(block) for block in sent[1]["content"]] == [["toolUse"], ["toolUse"]]
    assert [list(block) for block in sent[2]["content"]] == [["toolResult"], ["toolResult"], ["text"]]


def test_an_empty_result_gets_words(adjustments: Any) -> None:
    """Converse refuses blank texts; the adjustment says what is sent."""
    turns = [Message("user", "go"), Message("assistant", "", tool_calls=[CALL]), Message("tool", "", tool_call_id="call_1")]
    assert ("messages", "(no output)") in adjustments("bedrock", messages=turns, prompt=None)


def test_tools_of_earlier_calls_are_declared(payload: Any, adjustments: Any) -> None:
    """Converse wants them whenever a call stands in the conversation."""
    turns = [Message("user", "go"), Message("assistant", "", tool_calls=[CALL]), Message("tool", "1", tool_call_id="call_1")]
    spec = {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}}
    assert payload("bedrock", messages=turns)["toolConfig"] == {"tools": [{"toolSpec": spec}]}
    assert ("tools", ["f"]) in adjustments("bedrock", messages=turns, prompt=None)


@pytest.mark.parametrize(
    ("choice", "sent"), [("auto", {"auto": {}}), ("required", {"any": {}}), ("f", {"tool": {"name": "f"}}), ("none", None)]
)
def test_choices_of_tools(payload: Any, choice: str, sent: Any) -> None:
    """``none`` leaves the tools out: there is no such choice."""
    config = payload("bedrock", tools=[{"name": "f", "parameters": SCHEMA}], tool_choice=choice).get("toolConfig")
    assert (config and config["toolChoice"]) == sent


def test_no_tool_is_forced_while_the_model_thinks(adjustments: Any) -> None:
    """The choice becomes auto."""
    more = {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}
    tools = [{"name": "f", "parameters": SCHEMA}]
    assert ("tool_choice", "auto") in adjustments("bedrock", tools=tools, tool_choice="f", provider_specific=more, model=CLAUDE)


def test_thinking_is_left_out_after_calls_that_were_made_without_it(payload: Any) -> None:
    """The model refuses results of calls without its reasoning."""
    turns = [Message("user", "go"), Message("assistant", "", tool_calls=[CALL]), Message("tool", "1", tool_call_id="call_1")]
    more = {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "top_k": 5}}
    sent = payload("bedrock", messages=turns, provider_specific=more, model=CLAUDE)
    assert sent["additionalModelRequestFields"] == {"top_k": 5}


def test_cache_points_follow_their_parts(payload: Any) -> None:
    """In the system prompt, the messages and the tools, with their times; of more than four, the last ones."""
    tool = {"name": "f", "parameters": SCHEMA, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    parts = [
        Part("text", text="a", cache=True),
        Part("text", text="b", cache=True, cache_ttl="1h"),
        Part("text", text="c", cache=True),
    ]
    sent = payload(
        "bedrock", messages=[Message("user", parts=parts)], system_prompt="s", cache_system=True, tools=[tool], cache_ttl="5m"
    )
    five, hour = {"cachePoint": {"type": "default", "ttl": "5m"}}, {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert sent["messages"][0]["content"] == [{"text": "a"}, five, {"text": "b"}, hour, {"text": "c"}, five]
    assert sent["system"] == [{"text": "s"}, five]
    assert len(sent["toolConfig"]["tools"]) == 1


def test_documents_get_names_that_converse_takes(payload: Any) -> None:
    """Letters, digits, single blanks and brackets; each once; the format by the file's ending."""
    parts = [
        Part("document", source=b"a,b\n", name="my.report_2026!.csv"),
        Part("document", source=b"# x\n", name="notes.md"),
        Part("document", source=b"y\n", name="notes.txt"),
        Part("document", source=b"%PDF-1.4 x", name="???.pdf"),
        Part("text", text="Read"),
    ]
    content = payload("bedrock", messages=[Message("user", parts=parts)])["messages"][0]["content"]
    named = [(block["document"]["name"], block["document"]["format"]) for block in content if "document" in block]
    assert named == [("my report 2026", "csv"), ("notes", "md"), ("notes 2", "txt"), ("document", "pdf")]


def test_images_are_sent_as_bytes(payload: Any, provider: Any, reply: Any) -> None:
    """Converse takes none by URL: that is refused before anything is sent."""
    content = payload("bedrock", images=[PNG])["messages"][0]["content"]
    assert content[0]["image"]["format"] == "png"
    with pytest.raises(errors.InvalidRequestError, match="by their URL"):
        provider("bedrock", reply({})).prepare(ModelRequest("x", "m", images=["https://e.example/a.png"]))


@pytest.mark.parametrize(
    ("model", "form"),
    [
        (CLAUDE, "json_schema"),
        ("openai.gpt-oss-120b-1:0", "json_schema"),
        ("us.amazon.nova-2-lite-v1:0", "tool"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "tool"),
        ("amazon.titan-text-express-v1", "prompt"),
        ("us.meta.llama3-3-70b-instruct-v1:0", "prompt"),
    ],
)
def test_structured_output_in_the_form_that_a_model_takes(payload: Any, model: str, form: str) -> None:
    """Nova has tools but no schemas, Titan has neither; the schema is sent as a text."""
    sent = payload("bedrock", response_schema=SCHEMA, model=model)
    written = json.dumps(sent)
    assert ("outputConfig" in sent, "toolChoice" in sent.get("toolConfig", {}), "JSON Schema" in written) == (
        form == "json_schema",
        form == "tool",
        form == "prompt",
    )
    if model == CLAUDE:
        schema = json.loads(sent["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"])
        assert schema["additionalProperties"] is False
        assert "minimum" not in schema["properties"]["a"]


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (CLAUDE, "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/a", "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fa"),
        ("a/../../b?c#d%2F", "a%2F..%2F..%2Fb%3Fc%23d%252F"),
        ("é \n", "%C3%A9%20%0A"),
    ],
)
def test_an_id_is_one_segment_of_the_path(provider: Any, reply: Any, model: str, path: str) -> None:
    """Whatever is in it: no slash, query or fragment gets out."""
    prepared = provider("bedrock", reply({})).prepare(ModelRequest("x", model))
    assert prepared.url == f"https://bedrock-runtime.us-east-1.amazonaws.com/model/{path}/converse"


@pytest.mark.parametrize("model", [".", "..", " ", "..."])
def test_dots_are_no_id(provider: Any, reply: Any, model: str) -> None:
    """They would change the path."""
    with pytest.raises(errors.InvalidRequestError, match="is not the id of a model"):
        provider("bedrock", reply({})).prepare(ModelRequest("x", model))


def guarded(*findings: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """An answer that a guardrail has changed."""
    assessment = {"sensitiveInformationPolicy": {"piiEntities": list(findings)}}
    trace = {"guardrail": {"outputAssessments": {"g": [assessment]}, "modelOutput": ["Ann"], **rest}}
    content = [{"text": "{NAME} is here"}]
    return {"output": {"message": {"content": content}}, "stopReason": "guardrail_intervened", "trace": trace}


MASKED = {"action": "ANONYMIZED", "match": "Ann", "type": "NAME"}
BLOCKED = {"action": "BLOCKED", "match": "4711", "type": "PIN"}


@pytest.mark.parametrize(
    "body", [guarded(MASKED), guarded(actionReason="No action.\nGuardrail masked."), guarded(MASKED, MASKED)]
)
def test_a_masked_answer_is_an_answer(provider: Any, reply: Any, body: Any) -> None:
    """It is whole; what was masked is not kept."""
    response = provider("bedrock", reply(body)).generate_response(ModelRequest("x", "m"))
    assert (response.text, response.finish_reason) == ("{NAME} is here", "stop")
    assert response.metadata["finish_reason_raw"] == "guardrail_intervened"
    assert "modelOutput" not in json.dumps(response.metadata["raw"])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (guarded(MASKED, BLOCKED), "sensitiveInformationPolicy PIN"),
        (guarded(), "guardrail_intervened"),
        ({**guarded(MASKED), "trace": None}, "trace: enabled"),
        ({**guarded(MASKED), "trace": {"guardrail": "x"}}, "trace: enabled"),
    ],
)
def test_a_blocked_answer_is_an_error(provider: Any, reply: Any, body: Any, reason: str) -> None:
    """It names the policy and never what matched; without a trace it cannot be told from a masked one."""
    with pytest.raises(errors.ContentBlockedError) as caught:
        provider("bedrock", reply(body)).generate_response(ModelRequest("x", "m"))
    assert reason in (caught.value.reason or "")
    assert "4711" not in (caught.value.reason or "")
    assert caught.value.partial_text == "{NAME} is here"


def test_tools_that_bedrock_runs_are_not_ours(provider: Any, reply: Any) -> None:
    """Their calls are answered within the turn; it goes back whole."""
    use = {"toolUse": {"toolUseId": "s", "name": "search", "input": {}, "type": "server_tool_use"}}
    result = {"toolResult": {"toolUseId": "s", "content": [{"text": "found"}]}}
    body = {"output": {"message": {"content": [use, result, {"text": "So"}]}}, "stopReason": "end_turn"}
    made = provider("bedrock", reply(body))
    answer = made.generate_response(ModelRequest("x", "m"))
    assert (answer.text, answer.tool_calls) == ("So", ())
    made.generate_response(ModelRequest(messages=[Message("user", "x"), answer.message, Message("user", "y")], model="m"))
    assert made.web.sent[1].body["messages"][1]["content"] == [use, result, {"text": "So"}]


def test_a_wrong_path_is_about_the_address(provider: Any, reply: Any) -> None:
    """AWS's word for an unknown operation: base_url is wrong, not the model."""
    body = {"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"}
    with pytest.raises(errors.InvalidRequestError) as caught:
        provider("bedrock", reply(body, 404, x_amzn_errortype="UnknownOperationException")).generate_response(
            ModelRequest("x", "m")
        )
    assert "base_url" in (caught.value.guidance or "")
