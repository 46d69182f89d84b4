"""OpenRouter's chat completions and model listing, and their differences from OpenAI."""

from __future__ import annotations

import json

import pytest

USER = {"role": "user", "content": "hi"}


def ask(wire, model="openai/gpt-4o-mini", **payload):
    """A request with the given fields changed."""
    return wire.ask("openrouter", {"messages": [USER], **payload}, model=model)


def test_body_begins_with_blanks(wire):
    """The body begins with white space, as nearly every recorded one does."""
    assert ask(wire).raw.startswith(b"\n         \n")


def test_answer_has_the_recorded_shape(wire):
    """An answer has provider, native finish reason, cost, and an id that is also a header."""
    got = ask(wire)
    body = got.body
    assert body["provider"] == "OpenAI"
    assert body["id"].startswith("gen-")
    assert got.headers["x-generation-id"] == body["id"]
    assert body["choices"][0]["native_finish_reason"] == "stop"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["cost"] > 0


@pytest.mark.parametrize(
    ("model", "native"), [("google/gemini-2.5-flash", "MAX_TOKENS"), ("anthropic/claude-haiku-4.5", "max_tokens")]
)
def test_native_finish_reason_is_the_upstreams(wire, model, native):
    """native_finish_reason is the upstream's, finish_reason is normalised."""
    choice = ask(wire, model, max_tokens=5).body["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("length", native)


def test_unknown_parameters_are_ignored(wire):
    """Unknown parameters are ignored, and both token limits are accepted."""
    assert ask(wire, banana=1, max_tokens=50, max_completion_tokens=50).status == 200


def test_reasoning_is_shown_unless_excluded(wire):
    """Reasoning models show their reasoning; ``exclude`` hides it but not its tokens."""
    shown = ask(wire, "openai/gpt-5-mini").body
    hidden = ask(wire, "openai/gpt-5-mini", reasoning={"exclude": True}).body
    assert shown["choices"][0]["message"]["reasoning"]
    assert hidden["choices"][0]["message"]["reasoning"] is None
    assert hidden["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0


@pytest.mark.parametrize(
    ("model", "change", "status"),
    [
        ("", {}, 400),
        ("x/no-such", {}, 404),
        ("openai/gpt-4o", {"temperature": 3}, 400),
        ("openai/gpt-4o", {"messages": []}, 400),
        ("openai/gpt-4o", {"max_tokens": 0}, 400),
        ("openai/gpt-4o", {"messages": [{"role": "user", "content": "x " * 400_000}]}, 400),
    ],
)
def test_error_code_is_the_status(wire, model, change, status):
    """The code in an error is the status, as a number."""
    got = ask(wire, model, **change)
    assert got.status == status
    assert got.body["error"]["code"] == status


def test_listing_asks_for_no_key_and_pages_on_request(wire):
    """The listing needs no key; it is whole by default, and paged with offset and limit."""
    whole = wire.send("GET", "/openrouter/api/v1/models").body
    assert whole["total_count"] == len(whole["data"]) > 5
    assert whole["links"] == {"next": None}
    assert isinstance(whole["data"][0]["pricing"]["prompt"], str)
    part = wire.send("GET", "/openrouter/api/v1/models?offset=1&limit=2").body
    assert part["data"] == whole["data"][1:3]
    assert part["links"]["next"]
    assert wire.send("GET", "/openrouter/api/v1/models?limit=0").status == 400


def test_keys(wire, shapes):
    """Missing and wrong keys have different messages; /key needs a key."""
    payload = shapes.question("openrouter")
    assert "Missing Authentication" in wire.ask("openrouter", payload, headers={}).body["error"]["message"]
    assert wire.send("GET", "/openrouter/api/v1/key").status == 401
    assert wire.send("GET", "/openrouter/api/v1/key", headers=shapes.headers["openrouter"]).status == 200
    assert wire.send("POST", "/openrouter/v1/chat/completions", payload, shapes.headers["openrouter"]).status == 404


def test_what_the_upstream_refuses_is_handed_on(wire):
    """An upstream error is passed on as text in metadata."""
    error = ask(wire, max_tokens=5).body["error"]
    assert (error["message"], error["metadata"]["provider_name"]) == ("Provider returned error", "OpenAI")
    assert json.loads(error["metadata"]["raw"])["error"]["code"] == "integer_below_min_value"


def test_the_first_model_there_is_answers(wire):
    """The first known model of ``models`` answers."""
    assert ask(wire, "x/no-such", models=["y/no-such", "openai/gpt-4o"]).body["model"] == "openai/gpt-4o"
    assert ask(wire, "", models=["openai/gpt-4o"]).body["model"] == "openai/gpt-4o"
    assert ask(wire, "x/no-such", models=["y/no-such", 5]).status == 404


def test_tools_of_its_own_and_other_parts_pass(wire):
    """Other types of tools and parts are accepted unchecked."""
    video = {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}
    assert ask(wire, tools=[{"type": "openrouter:web_search"}]).status == 200
    assert ask(wire, "google/gemini-2.5-flash", messages=[{"role": "user", "content": [video], "extra": 1}]).status == 200
