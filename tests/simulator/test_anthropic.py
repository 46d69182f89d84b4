"""Anthropic's door: messages, paging, and what it refuses (nearly everything it does not know)."""

from __future__ import annotations

import pytest

from llm_sync.simulator import Simulator

USER = {"role": "user", "content": "hi"}
SONNET = "claude-sonnet-4-5"


def ask(wire, model="claude-haiku-4-5", **payload):
    """One question, with anything changed."""
    return wire.ask("anthropic", {"max_tokens": 500, "messages": [USER], **payload}, model=model)


def error_of(got):
    """Type and message, once the envelope is checked."""
    assert got.body["type"] == "error"
    assert got.body["request_id"] == got.headers["request-id"]
    return got.body["error"]["type"], got.body["error"]["message"]


def test_message_has_the_recorded_shape(wire):
    """Every key that was on all recorded messages, and no total in usage."""
    body = ask(wire).body
    assert (body["type"], body["role"]) == ("message", "assistant")
    assert body["id"].startswith("msg_01")
    assert body["model"] == "claude-haiku-4-5-20251001"
    assert body["content"][0]["type"] == "text"
    assert (body["stop_reason"], body["stop_sequence"]) == ("end_turn", None)
    assert body["usage"]["input_tokens"] > 0
    assert "total_tokens" not in body["usage"]


def test_good_answers_carry_limits_and_a_meaningless_retry_after(wire):
    """retry-after is on 200s too: a client may read it on errors only."""
    headers = ask(wire).headers
    assert headers["request-id"].startswith("req_")
    assert headers["anthropic-ratelimit-tokens-reset"].endswith("Z")
    assert int(headers["anthropic-ratelimit-requests-remaining"]) < int(headers["anthropic-ratelimit-requests-limit"])
    assert headers["retry-after"]


def test_cached_tokens_stand_beside_input_tokens(wire):
    """With a cache mark, input_tokens alone is not the input."""
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
    """Its own stop_reason, and the sequence that matched."""
    whole = ask(wire).body["content"][0]["text"]
    stop = whole[12:16]
    body = ask(wire, stop_sequences=["@@", stop]).body
    assert (body["stop_reason"], body["stop_sequence"]) == ("stop_sequence", stop)
    assert body["content"][0]["text"] == whole[: whole.index(stop)]


def test_no_tokens_give_no_content(wire):
    """max_tokens 0 is legal and answers with an empty list."""
    body = ask(wire, max_tokens=0).body
    assert (body["content"], body["stop_reason"]) == ([], "max_tokens")


def test_thinking_comes_first_and_is_billed(wire):
    """A thinking block with a signature; omitted on request, still billed."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    plain = ask(wire, SONNET, max_tokens=2000).body
    body = ask(wire, SONNET, max_tokens=2000, thinking=thinking).body
    assert [block["type"] for block in body["content"]] == ["thinking", "text"]
    assert body["content"][0]["signature"]
    assert body["usage"]["output_tokens"] > plain["usage"]["output_tokens"]
    hidden = ask(wire, SONNET, max_tokens=2000, thinking={**thinking, "display": "omitted"}).body
    assert hidden["content"][0]["thinking"] == ""


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
        (SONNET, {"messages": [{"role": "user", "content": "x " * 500_000}]}, "prompt is too long: "),
    ],
)
def test_messages_refuses_what_anthropic_refuses(wire, model, change, said):
    """400 invalid_request_error, and the message names the field."""
    got = ask(wire, model, **change)
    assert got.status == 400
    kind, message = error_of(got)
    assert kind == "invalid_request_error"
    assert said in message


@pytest.mark.parametrize("missing", ["model", "max_tokens", "messages"])
def test_required_fields(wire, shapes, missing):
    """Each missing field is named."""
    payload = {"model": SONNET, "max_tokens": 5, "messages": [USER]}
    del payload[missing]
    got = wire.send("POST", "/anthropic/v1/messages", payload, shapes.headers["anthropic"])
    assert error_of(got) == ("invalid_request_error", f"{missing}: Field required")


@pytest.mark.parametrize("version", [None, "2024-01-01"])
def test_version_header_is_required(wire, version):
    """Without a known anthropic-version nothing is answered."""
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
    ],
)
def test_schemas_are_a_subset(wire, schema, said):
    """Bounds are not supported and every object has to be closed."""
    got = ask(wire, SONNET, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert got.status == 400
    assert said in error_of(got)[1]


def test_tool_results_follow_their_calls(wire):
    """A result answers the turn before; a call left open, or a result of nothing, is refused."""
    call = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}]}
    done = ask(wire, messages=[USER, call, result])
    assert "sunny" in done.body["content"][0]["text"]
    assert "without `tool_result`" in error_of(ask(wire, messages=[USER, call, USER]))[1]
    assert "answers no `tool_use`" in error_of(ask(wire, messages=[result]))[1]


def test_error_kinds(wire, shapes):
    """401, 404 and 405 have their own types; final errors say they should not be retried."""
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
    """20 a page unless asked; after_id and before_id move; has_more says whether to go on."""
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
    """Limits out of range and unknown cursors."""
    assert page(wire, shapes, query).status == status
