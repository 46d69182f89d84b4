"""What is special about Google's Interactions: input, steps that go back, agents, settings by version, failures and deferral."""

from __future__ import annotations

from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models import Message, ModelRequest, Part, ToolCall

KIND = "gemini-interactions"
THOUGHT = {"type": "thought", "signature": "c2ln"}
CALL = {"type": "function_call", "id": "zggxzq8r", "name": "f", "arguments": {"a": 1}}
PNG = b"\x89PNG\r\n\x1a\n0000"


def answer(*steps: Any, status: str = "completed", **rest: Any) -> dict[str, Any]:
    """An interaction."""
    return {"id": "v1_x", "status": status, "steps": list(steps), **rest}


def said(text: str) -> dict[str, Any]:
    """A step of the model's."""
    return {"type": "model_output", "content": [{"type": "text", "text": text}]}


def test_a_prompt_is_a_text_and_nothing_is_kept_there(payload: Any) -> None:
    """The plain request; ``store`` is on at Google unless it is said otherwise."""
    assert payload(KIND, prompt="Hi", model="models/gemini-2.5-flash") == {
        "model": "gemini-2.5-flash",
        "input": "Hi",
        "store": False,
    }


def test_what_provider_specific_says_of_storing_comes_last(payload: Any) -> None:
    """A chain that Google keeps: its id, and the new interaction stored, too."""
    extras = {"store": True, "previous_interaction_id": "v1_x", "generation_config": {"thinking_level": "low"}}
    sent = payload(KIND, provider_specific=extras, max_tokens=5)
    assert (sent["store"], sent["previous_interaction_id"]) == (True, "v1_x")
    assert sent["generation_config"] == {"max_output_tokens": 5, "thinking_level": "low"}


def test_the_steps_of_a_tool_loop_go_back_unchanged(provider: Any, reply: Any) -> None:
    """Thought, call and result, in order; the signature stays where it was."""
    made = provider(KIND, reply(answer(THOUGHT, said("Let me see."), CALL, status="requires_action")))
    first = made.generate_response(ModelRequest("go", "m"))
    turns = [Message("user", "go"), first.message, Message("tool", '{"sum": 18}', tool_call_id="zggxzq8r")]
    made.generate_response(ModelRequest(messages=turns, model="m"))
    result = {"type": "function_result", "call_id": "zggxzq8r", "name": "f", "result": {"sum": 18}}
    go = {"type": "user_input", "content": [{"type": "text", "text": "go"}]}
    assert made.web.sent[1].body["input"] == [go, THOUGHT, said("Let me see."), CALL, result]


def test_a_thought_without_a_signature_stays_behind(provider: Any, reply: Any) -> None:
    """Google refuses it, with a text that says nothing."""
    unsigned = {"type": "thought", "signature": "", "summary": [{"type": "text", "text": "hmm"}]}
    made = provider(KIND, reply(answer(unsigned, CALL, status="requires_action")))
    first = made.generate_response(ModelRequest("go", "m"))
    assert first.metadata["thinking"] == "hmm"
    turns = [Message("user", "go"), first.message, Message("tool", "done", tool_call_id="zggxzq8r")]
    made.generate_response(ModelRequest(messages=turns, model="m"))
    assert [step["type"] for step in made.web.sent[1].body["input"]] == ["user_input", "function_call", "function_result"]


def test_a_turn_from_elsewhere_is_written_as_steps(payload: Any) -> None:
    """Text, calls and results of another provider, without signatures."""
    turns = [
        Message("system", "Be brief."),
        Message("user", "go"),
        Message("assistant", "Wait", tool_calls=[ToolCall("c1", "f", {"a": 1}, '{"a": 1}')]),
        Message("tool", "[1, 2]", tool_call_id="c1"),
    ]
    sent = payload(KIND, messages=turns)
    assert sent["system_instruction"] == "Be brief."
    assert [step["type"] for step in sent["input"]] == ["user_input", "model_output", "function_call", "function_result"]
    assert sent["input"][3]["result"] == "[1, 2]"


def test_files_are_contents(payload: Any) -> None:
    """With their types; an image says how closely it is looked at."""
    parts = [
        Part("image", source=PNG, detail="low"),
        Part("image", source="https://e.example/a.webp"),
        Part("document", source=b"%PDF-1.4 x"),
        Part("text", text="What is it?"),
    ]
    content = payload(KIND, messages=[Message("user", parts=parts)])["input"][0]["content"]
    assert [part["type"] for part in content] == ["image", "image", "document", "text"]
    assert (content[0]["mime_type"], content[0]["resolution"]) == ("image/png", "low")
    assert content[1] == {"type": "image", "uri": "https://e.example/a.webp", "mime_type": "image/webp"}
    assert content[2]["mime_type"] == "application/pdf"


@pytest.mark.parametrize(
    ("choice", "sent"),
    [("auto", "auto"), ("none", "none"), ("required", "any"), ("f", {"allowed_tools": {"mode": "any", "tools": ["f"]}})],
)
def test_choices_of_tools(payload: Any, choice: str, sent: Any) -> None:
    """A named tool is the only one allowed."""
    got = payload(KIND, tools=[{"name": "f", "parameters": {"type": "object"}}, {"googleSearch": {}}], tool_choice=choice)
    assert got["generation_config"]["tool_choice"] == sent
    assert [tool["type"] for tool in got["tools"]] == ["function", "google_search"]


@pytest.mark.parametrize(
    ("model", "sent"),
    [("gemini-2.5-flash", True), ("gemini-3.5-flash", True), ("gemini-3.6-flash", False), ("gemini-4-argon", False), ("x", True)],
)
def test_sampling_by_version(payload: Any, adjustments: Any, model: str, sent: bool) -> None:
    """From 3.6 on the models take no temperature: it is left out, and the answer says so."""
    assert ("temperature" in payload(KIND, temperature=0.5, model=model).get("generation_config", {})) is sent
    assert (("temperature", None) in adjustments(KIND, temperature=0.5, model=model)) is not sent


def test_an_agent_is_named_as_one(payload: Any, adjustments: Any) -> None:
    """Agents have a field of their own, and take no settings of a model."""
    sent = payload(KIND, model="deep-research-preview-04-2026", max_tokens=5)
    assert sent == {"agent": "deep-research-preview-04-2026", "input": "ping", "store": False}
    assert ("generation_config", None) in adjustments(KIND, model="agents/mine", max_tokens=5)
    assert payload(KIND, model="agents/mine")["agent"] == "mine"


def test_a_schema_is_a_response_format(payload: Any) -> None:
    """Of JSON, with the schema as it is."""
    schema = {"type": "object"}
    sent = payload(KIND, response_schema=schema)["response_format"]
    assert sent == {"type": "text", "mime_type": "application/json", "schema": schema}


def test_service_tiers(provider: Any, reply: Any) -> None:
    """In the payload; the default is called standard."""
    made = provider(KIND, reply(answer(said("x"))))
    for tier in ("flex", "default"):
        made.generate_response(ModelRequest("ping", "m", service_tier=tier))
    assert [sent.body["service_tier"] for sent in made.web.sent] == ["flex", "standard"]


def test_google_cloud_has_another_version(provider: Any, reply: Any) -> None:
    """v1beta1, with project and location."""
    made = provider(KIND, reply(answer(said("x"))), base_url=None, auth="google-cloud", project="p")
    assert made.prepare(ModelRequest("x", "m")).url == (
        "https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global/interactions"
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (answer(status="failed", errors=[{"code": "resource_exhausted", "message": "slow down"}]), errors.RateLimitError),
        (answer(status="failed", errors=[{"code": 8, "message": "?"}]), errors.RateLimitError),
        (answer(status="failed", errors=[{"code": 99, "message": "?"}]), errors.ProviderError),
        (answer(status="failed", errors="x"), errors.ProviderUnavailableError),
        (answer({**said("pa"), "error": {"code": 13, "message": "broke"}}), errors.ProviderUnavailableError),
        (answer(said("pa"), status="budget_exceeded"), None),
        (answer(status="budget_exceeded"), errors.TruncatedResponseError),
        (answer({"type": "google_search_call", "id": "s", "arguments": {}}), errors.EmptyResponseError),
        ({"id": None, "status": "in_progress"}, errors.StreamingNotSupportedError),
    ],
)
def test_what_an_interaction_came_to(provider: Any, reply: Any, body: Any, kind: type[Exception] | None) -> None:
    """Failed, broken off, over its budget, empty, or not there yet."""
    made = provider(KIND, reply(body))
    if kind is None:
        assert made.generate_response(ModelRequest("x", "m")).truncated
        return
    with pytest.raises(errors.LLMConnectorError) as caught:
        made.generate_response(ModelRequest("x", "m"))
    assert type(caught.value) is kind


def test_an_unknown_interaction_is_no_unknown_model(provider: Any, reply: Any) -> None:
    """A 404 about the id of an earlier one."""
    gone = reply({"error": {"code": "not_found", "message": "Interaction v1_x not found."}}, 404)
    with pytest.raises(errors.InvalidRequestError):
        provider(KIND, gone).generate_response(ModelRequest("x", "m", provider_specific={"previous_interaction_id": "v1_x"}))


@pytest.mark.parametrize("name", ["agent", "system_instruction", "input", "model"])
def test_fields_of_the_request_are_its_own(provider: Any, reply: Any, name: str) -> None:
    """They are refused in provider_specific."""
    with pytest.raises(errors.InvalidRequestError, match=name):
        provider(KIND, reply({})).prepare(ModelRequest("x", "m", provider_specific={name: "y"}))
