"""Anthropic's Messages and model listing, and the requests that they refuse."""

from __future__ import annotations

import pytest

from llm_sync.simulator import Simulator

USER = {"role": "user", "content": "hi"}
SONNET = "claude-sonnet-4-5"
THINK = {"type": "enabled", "budget_tokens": 1024}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
FORMAT = {"type": "json_schema", "schema": {"type": "object", "properties": {}, "additionalProperties": False}}
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
CACHED = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
CALLED = [
    USER,
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}]},
]


def ask(wire, model="claude-haiku-4-5", **payload):
    """A request with the given fields changed."""
    return wire.ask("anthropic", {"max_tokens": 500, "messages": [USER], **payload}, model=model)


def error_of(got):
    """Type and message of an error, after a check of its envelope."""
    assert got.body["type"] == "error"
    assert got.body["request_id"] == got.headers["request-id"]
    return got.body["error"]["type"], got.body["error"]["message"]


def test_message_has_the_recorded_shape(wire):
    """A message has every key that all recorded messages have, and no total in usage."""
    body = ask(wire).body
    assert (body["type"], body["role"]) == ("message", "assistant")
    assert body["id"].startswith("msg_01")
    assert body["model"] == "claude-haiku-4-5-20251001"
    assert body["content"][0]["type"] == "text"
    assert (body["stop_reason"], body["stop_sequence"]) == ("end_turn", None)
    assert body["usage"]["input_tokens"] > 0
    assert "total_tokens" not in body["usage"]


def test_good_answers_carry_limits_and_a_meaningless_retry_after(wire):
    """Successful answers have a retry-after, too: a client must read it on errors only."""
    headers = ask(wire).headers
    assert headers["request-id"].startswith("req_")
    assert headers["anthropic-ratelimit-tokens-reset"].endswith("Z")
    assert int(headers["anthropic-ratelimit-requests-remaining"]) < int(headers["anthropic-ratelimit-requests-limit"])
    assert headers["retry-after"]


def test_cached_tokens_stand_beside_input_tokens(wire):
    """With a cache_control, input_tokens does not include the cached tokens."""
    block = {"type": "text", "text": "word " * 3000, "cache_control": {"type": "ephemeral"}}
    plain = {"type": "text", "text": block["text"]}
    total = ask(wire, system=[plain]).body["usage"]["input_tokens"]
    usages = [ask(wire, system=[block], messages=[{"role": "user", "content": f"q{n}"}]).body["usage"] for n in range(8)]
    for usage in usages:
        parts = usage["input_tokens"], usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]
        assert parts[0] < total
        assert abs(sum(parts) - total) < 3
    assert any(usage["cache_read_input_tokens"] for usage in usages)
    assert any(usage["cache_creation_input_tokens"] for usage in usages)


def test_stop_sequence_is_named(wire):
    """A stop sequence has its own stop_reason and is named."""
    whole = ask(wire).body["content"][0]["text"]
    stop = whole[12:16]
    body = ask(wire, stop_sequences=["@@", stop]).body
    assert (body["stop_reason"], body["stop_sequence"]) == ("stop_sequence", stop)
    assert body["content"][0]["text"] == whole[: whole.index(stop)]


def test_no_tokens_give_no_content(wire):
    """max_tokens 0 is valid, and the content is an empty list."""
    body = ask(wire, max_tokens=0).body
    assert (body["content"], body["stop_reason"]) == ([], "max_tokens")


def test_thinking_comes_first_and_is_billed(wire):
    """A thinking block comes first; if its text is omitted on request, it is still billed."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    plain = ask(wire, SONNET, max_tokens=2000).body
    body = ask(wire, SONNET, max_tokens=2000, thinking=thinking).body
    assert [block["type"] for block in body["content"]] == ["thinking", "text"]
    assert body["content"][0]["signature"]
    assert body["usage"]["output_tokens"] > plain["usage"]["output_tokens"]
    hidden = ask(wire, SONNET, max_tokens=2000, thinking={**thinking, "display": "omitted"}).body
    assert hidden["content"][0]["thinking"] == ""


def picture(data):
    """An image block with these data as PNG."""
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


@pytest.mark.parametrize(
    ("model", "change", "said"),
    [
        (SONNET, {"frequency_penalty": 1}, "frequency_penalty: Extra inputs are not permitted"),
        (SONNET, {"n": 1}, "n: Extra inputs are not permitted"),
        (SONNET, {"seed": 1}, "seed: Extra inputs are not permitted"),
        (SONNET, {"max_tokens": -1}, "max_tokens: "),
        (SONNET, {"max_tokens": "5"}, "max_tokens: "),
        (SONNET, {"max_tokens": 10**6}, "max_tokens: 1000000 > 64000"),
        (SONNET, {"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
        (SONNET, {"temperature": 0.5, "top_p": 0.5}, "cannot both be specified"),
        ("claude-opus-4-7", {"temperature": 1}, "`temperature` is deprecated"),
        (SONNET, {"messages": []}, "at least one message"),
        (SONNET, {"messages": [{"role": "system", "content": "x"}]}, 'Unexpected role "system"'),
        (SONNET, {"messages": [{"role": "user", "content": ""}]}, "non-empty"),
        (SONNET, {"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]}, "non-whitespace"),
        (SONNET, {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "Input tag 'image_url'"),
        (SONNET, {"messages": [{"role": "user", "content": "x", "name": "y"}]}, "messages.0.name: Extra inputs"),
        ("claude-sonnet-5", {"messages": [USER, {"role": "assistant", "content": "So"}]}, "prefill"),
        (SONNET, {"tools": [{"type": "function", "function": {"name": "f"}}]}, "Input tag 'function'"),
        (SONNET, {"tools": [{"name": "f", "parameters": {}}]}, "tools.0.custom.parameters: Extra inputs"),
        (SONNET, {"tools": [{"name": "f"}]}, "input_schema: Field required"),
        (SONNET, {"tool_choice": {"type": "any"}}, "only be specified while providing tools"),
        (SONNET, {"thinking": {"type": "enabled", "budget_tokens": 100}}, "1024"),
        (SONNET, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "must be greater than"),
        (SONNET, {"thinking": {"type": "adaptive"}}, "adaptive thinking"),
        ("claude-opus-4-8", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "not supported"),
        ("claude-haiku-4-5", {"output_config": {"effort": "low"}}, "effort"),
        ("claude-opus-4-6", {"output_config": {"effort": "xhigh"}}, "Supported levels: high, low, max, medium."),
        ("claude-opus-4-6", {"output_config": {"effort": "most"}}, "output_config.effort"),
        ("claude-sonnet-4-6", {"messages": [USER, {"role": "assistant", "content": "So"}]}, "prefill"),
        (SONNET, {"messages": [USER, {"role": "assistant", "content": "So "}]}, "trailing whitespace"),
        (SONNET, {"messages": [{"role": "user", "content": [CACHED | {"cache_control": {"type": "forever"}}]}]}, "ephemeral"),
        (SONNET, {"messages": [{"role": "assistant", "content": [IMAGE]}, USER]}, "not permitted within assistant turns"),
        (
            SONNET,
            {"messages": [{"role": "user", "content": [IMAGE | {"source": IMAGE["source"] | {"detail": 1}}]}]},
            "Extra inputs",
        ),
        (SONNET, {"metadata": {"user": "x"}}, "metadata.user: Extra inputs"),
        (SONNET, {"service_tier": "fast"}, "service_tier"),
        (SONNET, {"tools": [TOOL, TOOL]}, "Tool names must be unique"),
        (SONNET, {"tools": [TOOL], "tool_choice": {"type": "auto", "name": "f"}}, "tool_choice.auto.name: Extra inputs"),
        (SONNET, {"max_tokens": 3000, "thinking": THINK, "temperature": 0.5}, "may only be set to 1"),
        (SONNET, {"max_tokens": 3000, "thinking": THINK, "top_p": 0.5}, "`top_p` must be"),
        (SONNET, {"max_tokens": 3000, "thinking": THINK, "top_k": 5}, "`top_k` must be unset"),
        (SONNET, {"max_tokens": 3000, "thinking": THINK | {"effort": "low"}}, "thinking.enabled.effort: Extra inputs"),
        (SONNET, {"max_tokens": 3000, "thinking": THINK | {"display": "all"}}, "thinking.enabled.display"),
        (SONNET, {"max_tokens": 3000, "thinking": THINK, "messages": CALLED}, "Expected `thinking` or `redacted_thinking`"),
        ("claude-3-5-haiku-20241022", {"max_tokens": 3000, "thinking": THINK}, "thinking is not supported"),
        ("claude-3-5-haiku-20241022", {"output_config": {"format": FORMAT}}, "does not support output format"),
        (SONNET, {"messages": [{"role": "user", "content": "x " * 500_000}]}, "prompt is too long: "),
        (SONNET, {"messages": [{"role": "user", "content": " "}]}, "non-whitespace"),
        (SONNET, {"messages": [{"role": "user", "content": [picture("!!!")]}]}, "invalid base64 data"),
        (SONNET, {"messages": [{"role": "user", "content": [picture("data:image/png;base64,iVBO")]}]}, "invalid base64 data"),
        (SONNET, {"messages": [{"role": "user", "content": [picture("")]}]}, "image cannot be empty"),
        (SONNET, {"messages": [{"role": "user", "content": [picture("aGVsbG8=")]}]}, "Could not process image"),
        (SONNET, {"messages": [{"role": "user", "content": [picture("/9j/4AAQ")]}]}, "does not match the provided media type"),
        (SONNET, {"tools": [TOOL | {"input_schema": {"type": "object", "properties": []}}]}, "JSON schema is invalid"),
        (SONNET, {"tools": [TOOL | {"input_schema": {"type": "object", "required": "a"}}]}, "JSON schema is invalid"),
        (SONNET, {"tools": {}}, "tools: Input should be a valid list"),
        (SONNET, {"metadata": {"user_id": 5}}, "metadata.user_id"),
    ],
)
def test_messages_refuses_what_anthropic_refuses(wire, model, change, said):
    """An invalid request gets a 400 invalid_request_error that names the field."""
    got = ask(wire, model, **change)
    assert got.status == 400
    kind, message = error_of(got)
    assert kind == "invalid_request_error"
    assert said in message


@pytest.mark.parametrize("missing", ["model", "max_tokens", "messages"])
def test_required_fields(wire, shapes, missing):
    """A missing required field is named."""
    payload = {"model": SONNET, "max_tokens": 5, "messages": [USER]}
    del payload[missing]
    got = wire.send("POST", "/anthropic/v1/messages", payload, shapes.headers["anthropic"])
    assert error_of(got) == ("invalid_request_error", f"{missing}: Field required")


@pytest.mark.parametrize("version", [None, "2024-01-01"])
def test_version_header_is_required(wire, version):
    """A missing or unknown anthropic-version is refused."""
    headers = {"x-api-key": "k"} | ({"anthropic-version": version} if version else {})
    got = wire.ask("anthropic", {"max_tokens": 5, "messages": [USER]}, headers=headers)
    assert got.status == 400
    assert "anthropic-version" in error_of(got)[1]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "additionalProperties": False}, "'minimum'"),
        ({"type": "object", "properties": {}}, "'additionalProperties'"),
        ({"type": "array", "items": {"type": "object"}}, "'additionalProperties'"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, "'minItems'"),
        ({"oneOf": [{"type": "string"}]}, "'oneOf'"),
        ({"type": "int"}, "'int'"),
    ],
)
def test_schemas_are_a_subset(wire, schema, said):
    """Schemas with bounds or open objects are refused."""
    got = ask(wire, SONNET, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert got.status == 400
    assert said in error_of(got)[1]


def test_tool_results_follow_their_calls(wire):
    """A tool result must answer a call in the turn before, and every call needs a result."""
    call = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}]}
    done = ask(wire, messages=[USER, call, result])
    assert "sunny" in done.body["content"][0]["text"]
    assert "without `tool_result`" in error_of(ask(wire, messages=[USER, call, USER]))[1]
    assert "answers no `tool_use`" in error_of(ask(wire, messages=[result]))[1]


def test_error_kinds(wire, shapes):
    """401, 404 and 405 have their own error types, and x-should-retry is false."""
    unknown = ask(wire, "claude-no-such")
    assert error_of(unknown) == ("not_found_error", "model: claude-no-such")
    assert unknown.headers["x-should-retry"] == "false"
    assert error_of(wire.ask("anthropic", {}, headers={}))[0] == "authentication_error"
    assert wire.send("POST", "/anthropic/messages", {}, shapes.headers["anthropic"]).status == 404
    assert wire.send("GET", "/anthropic/v1/messages", headers=shapes.headers["anthropic"]).status == 405


def page(wire, shapes, query=""):
    """One page of the listing."""
    return wire.send("GET", f"/anthropic/v1/models{query}", headers=shapes.headers["anthropic"])


def test_listing_is_paged_forward_and_back(connect, shapes):
    """Pages have 20 models by default; after_id and before_id move, has_more tells whether to continue."""
    names = [f"claude-{n}" for n in range(25)]
    with Simulator(models={"anthropic": names}) as simulator:
        wire = connect(simulator)
        first = page(wire, shapes).body
        assert ([item["id"] for item in first["data"]], first["has_more"]) == (names[:20], True)
        assert (first["first_id"], first["last_id"]) == (names[0], names[19])
        last = page(wire, shapes, f"?after_id={first['last_id']}&limit=20").body
        assert ([item["id"] for item in last["data"]], last["has_more"]) == (names[20:], False)
        back = page(wire, shapes, f"?before_id={names[20]}&limit=5").body
        assert ([item["id"] for item in back["data"]], back["has_more"]) == (names[15:20], True)
        assert page(wire, shapes, "?limit=1000").body["has_more"] is False


@pytest.mark.parametrize(
    ("query", "status"), [("?limit=0", 400), ("?limit=1001", 400), ("?limit=x", 400), ("?after_id=nope", 404)]
)
def test_listing_refuses_bad_pages(wire, shapes, query, status):
    """Limits out of range and unknown cursors are refused."""
    assert page(wire, shapes, query).status == status


def test_thoughts_go_back_with_the_calls_they_led_to(wire):
    """With thinking, an assistant turn with tool calls must begin with its thinking block."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "x"}
    blocks = [thought, *CALLED[1]["content"]]
    talk = [CALLED[0], {"role": "assistant", "content": blocks}, CALLED[2]]
    assert ask(wire, SONNET, max_tokens=3000, thinking=THINK, messages=talk).status == 200


def test_newer_models_hide_what_they_thought(wire):
    """Newer models omit the thinking text unless a summary is requested; the block with its signature stays."""
    hidden = ask(wire, "claude-sonnet-5", thinking={"type": "adaptive"}).body["content"][0]
    assert (hidden["type"], hidden["thinking"]) == ("thinking", "")
    assert hidden["signature"]
    assert ask(wire, "claude-sonnet-5", thinking={"type": "adaptive", "display": "summarized"}).body["content"][0]["thinking"]


def test_a_name_misspelt_is_no_model(wire):
    """A listed model name with one misspelt word is unknown."""
    assert error_of(ask(wire, "claude-sonet-4-5")) == ("not_found_error", "model: claude-sonet-4-5")
    assert ask(wire, "claude-nova-6").status == 200


def test_system_messages_between_turns_are_a_beta(wire, shapes):
    """System messages between turns are accepted with their beta header only."""
    talk = [USER, {"role": "system", "content": "Be brief."}]
    payload = {"max_tokens": 50, "messages": talk}
    assert ask(wire, messages=talk).status == 400
    headers = {**shapes.headers["anthropic"], "anthropic-beta": "mid-conversation-system-1"}
    assert wire.ask("anthropic", payload, headers=headers).status == 200
