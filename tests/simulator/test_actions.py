"""The response of each action in each dialect, in the provider's own form."""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime

import pytest

from llm_sync.simulator import Simulator
from llm_sync.simulator.faults.error_table import ERROR_KINDS, ERRORS
from llm_sync.simulator.faults.retry_after import DEFAULT_FORMS, RETRY_AFTER_FORMS, LimitState, decimal, go_duration

DIALECTS = ("openai", "openai-responses", "anthropic", "gemini", "openrouter", "bedrock", "gemini-interactions")
STATUSES_AND_WORDS = {
    "auth": {
        "openai": (401, "invalid_api_key"),
        "openai-responses": (401, "invalid_api_key"),
        "anthropic": (401, "authentication_error"),
        "gemini": (400, "INVALID_ARGUMENT"),
        "openrouter": (401, "authentication"),
        "bedrock": (403, "UnrecognizedClientException"),
        "gemini-interactions": (400, "invalid_request"),
    },
    "quota": {
        "openai": (429, "insufficient_quota"),
        "openai-responses": (429, "insufficient_quota"),
        "anthropic": (400, "invalid_request_error"),
        "gemini": (429, "RESOURCE_EXHAUSTED"),
        "openrouter": (402, "payment_required"),
        "bedrock": (400, "ServiceQuotaExceededException"),
        "gemini-interactions": (429, "resource_exhausted"),
    },
    "rate_limit": {
        "openai": (429, "rate_limit_exceeded"),
        "openai-responses": (429, "rate_limit_exceeded"),
        "anthropic": (429, "rate_limit_error"),
        "gemini": (429, "RESOURCE_EXHAUSTED"),
        "openrouter": (429, "rate_limit_exceeded"),
        "bedrock": (429, "ThrottlingException"),
        "gemini-interactions": (429, "resource_exhausted"),
    },
    "not_found": {
        "openai": (404, "model_not_found"),
        "openai-responses": (400, "model_not_found"),
        "anthropic": (404, "not_found_error"),
        "gemini": (404, "NOT_FOUND"),
        "openrouter": (404, "not_found"),
        "bedrock": (400, "ValidationException"),
        "gemini-interactions": (404, "not_found"),
    },
    "overloaded": {
        "openai": (503, "server_is_overloaded"),
        "openai-responses": (503, "server_is_overloaded"),
        "anthropic": (529, "overloaded_error"),
        "gemini": (503, "UNAVAILABLE"),
        "openrouter": (503, "provider_overloaded"),
        "bedrock": (503, "ServiceUnavailableException"),
        "gemini-interactions": (503, "unavailable"),
    },
}


@pytest.fixture
def act(connect):
    """``act(dialect, **action)`` returns the response to a request if every rule has this action."""
    started = []

    def start(dialect, **action):
        started.append(Simulator(script={"rules": [action]}).start())
        return connect(started[-1]).prompt(dialect, "Say hello to all of them, please")

    yield start
    for each in started:
        each.stop()
        assert each.faults == []


def word_of(dialect, got, error):
    """The value by which a dialect distinguishes its errors."""
    if dialect == "bedrock":
        return got.headers["x-amzn-errortype"].partition(":")[0]
    if dialect == "anthropic":
        return error["type"]
    if dialect == "gemini":
        return error["status"]
    return error["metadata"]["error_type"] if dialect == "openrouter" else error["code"]


@pytest.mark.parametrize("kind", sorted(STATUSES_AND_WORDS))
def test_errors_are_the_providers_own(act, shapes, dialect, kind):
    """An error has the provider's status, type, envelope and headers."""
    got = act(dialect, error=kind)
    error = shapes.error_of(dialect, got.body)
    assert (got.status, word_of(dialect, got, error)) == STATUSES_AND_WORDS[kind][dialect]
    assert error["message"]
    if dialect == "anthropic":
        assert got.body["type"] == "error"
        assert got.body["request_id"] == got.headers["request-id"]
        assert got.headers["x-should-retry"] == ("true" if kind in ("rate_limit", "overloaded") else "false")
    if dialect in ("gemini", "openrouter"):
        assert got.body["error"]["code"] == got.status


@pytest.mark.parametrize("word", ERROR_KINDS)
def test_every_kind_of_error_is_an_error_in_every_dialect(act, dialect, word):
    """Every kind of error is an error response in every dialect, unless the provider reports it with 200."""
    got = act(dialect, error=word)
    blocked = word == "content_policy" and dialect in ("anthropic", "gemini")
    assert (got.status == 200) is blocked
    assert "{model}" not in got.raw.decode()
    assert dialect in ERRORS[word].spellings or "openai" in ERRORS[word].spellings


def test_a_message_of_the_scripts_own(act):
    """A message in the script is sent unchanged, braces included."""
    assert act("openai", error={"kind": "server", "message": "{model} {x}"}).body["error"]["message"] == "{model} {x}"


@pytest.mark.parametrize("form", RETRY_AFTER_FORMS)
def test_every_hint_can_be_had_in_every_dialect(act, shapes, dialect, form):
    """Every form of the time to wait can be sent by every dialect, and is no shorter than requested."""
    got = act(dialect, error={"kind": "rate_limit", "retry_after": 2.345, "hint": form})
    error, headers = shapes.error_of(dialect, got.body), got.headers
    assert got.status == 429
    soon = time.time() + 2.345
    if form == "seconds":
        assert headers["retry-after"] == "2.345"
    elif form == "date":
        assert soon - 1 <= parsedate_to_datetime(headers["retry-after"]).timestamp() <= soon + 2
    elif form == "milliseconds":
        assert headers["retry-after-ms"] == "2345"
    elif form == "durations":
        assert headers["x-ratelimit-reset-requests"] == "2.345s"
        assert headers["x-ratelimit-remaining-requests"] == "0"
    elif form == "reset_seconds":
        assert headers["x-ratelimit-reset-requests"] == "3"
    elif form == "reset_floats":
        assert float(headers["x-ratelimit-reset-requests-day"]) == 2.345
    elif form == "reset":
        assert headers["x-ratelimit-reset"] == "3"
    elif form == "by_size":
        assert headers["ratelimitbysize-reset"] == "3"
    elif form == "timestamps":
        assert headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    elif form == "epoch_milliseconds":
        assert soon - 5 < int(headers["x-ratelimit-reset"]) / 1000 < soon + 5
        assert error["metadata"]["headers"]["X-RateLimit-Remaining"] == "0"
    elif form == "retry_info":
        assert error["details"][-1]["retryDelay"] == "2s"  # rounded down, as Google does
    elif form == "availability":
        assert error["availability"]["retry_after"] == 2.345
    elif form == "message":
        assert error["message"].endswith("Please try again in 2.345s.")
    else:
        assert form == "none"
        assert "2.3" not in got.raw.decode()
    if dialect == "gemini" and form == "retry_info":
        assert error["details"][0]["violations"][0]["quotaId"].startswith("GenerateRequestsPerMinute")


def test_usual_hints_are_known_ones():
    """Every dialect has default forms, and all of them exist."""
    assert set(DEFAULT_FORMS) == set(DIALECTS)
    assert {form for forms in DEFAULT_FORMS.values() for form in forms} <= set(RETRY_AFTER_FORMS)


def test_several_hints_at_once(act):
    """A list of forms sends all of them."""
    got = act("openai", error={"kind": "rate_limit", "retry_after": 1, "hint": ["seconds", "milliseconds", "message"]})
    assert (got.headers["retry-after"], got.headers["retry-after-ms"]) == ("1", "1000")
    assert got.body["error"]["message"].endswith("in 1s.")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.0061, "7ms"), (8.64, "8.64s"), (17.4, "17.4s"), (360, "6m0s"), (179.56, "2m59.56s"), (3661.5, "1h1m1.5s")],
)
def test_durations_as_go_writes_them(seconds, text):
    """Durations are written as in Go, rounded up to milliseconds."""
    assert go_duration(seconds) == text
    assert float(decimal(seconds)) >= seconds


def test_header_names_contain_the_kind_of_limit():
    """The header names contain the kind of limit, requests or tokens."""
    headers = RETRY_AFTER_FORMS["durations"].headers(1.0, LimitState("tokens", 5, 0, 1.0))
    assert headers == {"x-ratelimit-limit-tokens": "5", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1s"}


def test_any_status_with_the_dialects_own_error(act, shapes, dialect):
    """A status without a body is sent with an error in the dialect's form."""
    got = act(dialect, status=451)
    assert got.status == 451
    assert "The script answers 451." in shapes.error_of(dialect, got.body)["message"]


def test_any_status_with_any_body_and_headers(act, dialect):
    """A text body is sent unchanged, other bodies as JSON."""
    got = act(dialect, status={"code": 200, "body": "née", "headers": {"X-Odd": 3, "content-type": "text/odd"}})
    assert (got.status, got.raw.decode(), got.headers["x-odd"], got.headers["content-type"]) == (200, "née", "3", "text/odd")
    assert act(dialect, status={"code": 500, "body": [1, {"a": None}]}).body == [1, {"a": None}]
    assert act(dialect, status=204).raw == b""


def finish_of(dialect, body):
    """The finish reason as the provider names it."""
    if dialect == "anthropic":
        return body["stop_reason"]
    if dialect == "gemini":
        return body["candidates"][0]["finishReason"]
    if dialect == "bedrock":
        return body["stopReason"]
    if dialect == "gemini-interactions":
        return body["status"]
    if dialect == "openai-responses":
        return (body["incomplete_details"] or {}).get("reason") or body["status"]
    return body["choices"][0]["finish_reason"]


def output_tokens(dialect, body):
    """The output tokens in the answer's usage, reasoning included."""
    if dialect == "gemini":
        usage = body["usageMetadata"]
        assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage.get("candidatesTokenCount", 0) + usage.get(
            "thoughtsTokenCount", 0
        )
        return usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
    usage = body["usage"]
    if dialect == "gemini-interactions":
        found = usage["total_output_tokens"] + usage["total_thought_tokens"]
        assert usage["total_tokens"] == usage["total_input_tokens"] + found
        return found
    if dialect == "bedrock":
        assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
        return usage["outputTokens"]
    found = usage.get("output_tokens", usage.get("completion_tokens"))
    if "total_tokens" in usage:
        assert usage["total_tokens"] == found + usage.get("input_tokens", usage.get("prompt_tokens", 0))
    return found


CUT = {
    "openai": "length",
    "openai-responses": "max_output_tokens",
    "anthropic": "max_tokens",
    "gemini": "MAX_TOKENS",
    "openrouter": "length",
    "bedrock": "max_tokens",
    "gemini-interactions": "incomplete",
}


@pytest.mark.parametrize("tokens", [0, 4])
def test_truncated(act, shapes, dialect, tokens):
    """``truncated`` leaves the beginning of the answer, sets the finish reason, and bills what is left; 0 leaves no text."""
    whole = shapes.text_of(dialect, act(dialect, latency=0).body)
    body = act(dialect, truncated=tokens).body
    text = shapes.text_of(dialect, body)
    assert whole.startswith(text)
    assert len(text) < len(whole)
    assert bool(text) is bool(tokens)
    assert finish_of(dialect, body) == CUT[dialect]
    assert output_tokens(dialect, body) == tokens
    if dialect == "gemini" and not tokens:
        assert body["candidates"][0]["content"] == {"role": "model"}
        assert "candidatesTokenCount" not in body["usageMetadata"]
    if dialect == "openrouter":
        assert body["choices"][0]["native_finish_reason"] == "length"


@pytest.mark.parametrize(
    ("dialect", "model", "path"),
    [
        ("openai", "o3", ("usage", "completion_tokens_details", "reasoning_tokens")),
        ("openai-responses", "o3", ("usage", "output_tokens_details", "reasoning_tokens")),
        ("gemini", "gemini-2.5-pro", ("usageMetadata", "thoughtsTokenCount")),
    ],
)
def test_truncated_after_reasoning(connect, dialect, model, path):
    """``truncated`` does not change the billed reasoning tokens."""
    with Simulator(script={"rules": [{"truncated": 0}]}) as simulator:
        body = connect(simulator).prompt(dialect, model=model).body
    reasoning = body
    for key in path:
        reasoning = reasoning[key]
    assert reasoning > 0
    assert output_tokens(dialect, body) == reasoning


@pytest.mark.parametrize("dialect", DIALECTS)
def test_truncated_tool_calls(connect, dialect, shapes):
    """A truncated tool call has incomplete arguments."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
    extra = {
        "openai": {"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}], "tool_choice": "required"},
        "openai-responses": {"tools": [{"type": "function", "name": "f", "parameters": schema}], "tool_choice": "required"},
        "anthropic": {"tools": [{"name": "f", "input_schema": schema}], "tool_choice": {"type": "any"}},
        "gemini": {
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "object", "properties": {}}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        },
    }
    extra["openrouter"] = extra["openai"]
    extra["gemini-interactions"] = {
        "tools": [{"type": "function", "name": "f", "parameters": schema}],
        "generation_config": {"tool_choice": "any"},
    }
    extra["bedrock"] = {
        "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": schema}}}], "toolChoice": {"any": {}}}
    }
    with Simulator(script={"rules": [{"truncated": 2}]}) as simulator:
        got = connect(simulator).ask(dialect, {**shapes.question(dialect), **extra[dialect]})
        assert simulator.faults == []
    assert got.status == 200
    assert finish_of(dialect, got.body) == CUT[dialect]
    if dialect in ("openai", "openrouter"):
        with pytest.raises(json.JSONDecodeError):
            json.loads(got.body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"])


def test_empty(act, shapes, dialect):
    """``empty`` removes the text, with a normal finish reason."""
    body = act(dialect, empty=True).body
    assert shapes.text_of(dialect, body) == ""
    assert finish_of(dialect, body) in ("stop", "completed", "end_turn", "STOP")


def test_an_empty_listing(connect, shapes, dialect):
    """``empty`` removes the models of a listing."""
    paths = {"anthropic": "/anthropic/v1/models", "gemini": "/gemini/v1beta/models", "openrouter": "/openrouter/api/v1/models"}
    paths["bedrock"] = "/bedrock/foundation-models"
    paths["gemini-interactions"] = paths["gemini"]
    with Simulator(script={"rules": [{"empty": True}]}) as simulator:
        body = connect(simulator).send("GET", paths.get(dialect, "/openai/v1/models"), headers=shapes.headers[dialect]).body
    assert body[{"gemini": "models", "gemini-interactions": "models", "bedrock": "modelSummaries"}.get(dialect, "data")] == []


def test_refusal(act, dialect):
    """``refusal`` has the provider's own form, with the script's text where the form has a place for it."""
    body = act(dialect, refusal="I would rather not.").body
    assert "I would rather not." in json.dumps(body)
    if dialect in ("openai", "openrouter"):
        message = body["choices"][0]["message"]
        assert (message["content"], message["refusal"]) == (None, "I would rather not.")
        assert finish_of(dialect, body) == "stop"
    elif dialect == "openai-responses":
        assert body["output"][0]["content"] == [{"type": "refusal", "refusal": "I would rather not."}]
    elif dialect == "anthropic":
        assert (body["content"], finish_of(dialect, body), body["stop_details"]["type"]) == ([], "refusal", "refusal")
    else:
        words = {"bedrock": "guardrail_intervened", "gemini-interactions": "failed"}
        assert finish_of(dialect, body) == words.get(dialect, "PROHIBITED_CONTENT")


def test_safety_block(act, dialect):
    """``safety_block`` has the form of the provider's filter, or the most similar one."""
    body = act(dialect, safety_block=True).body
    if dialect == "gemini":
        assert body["promptFeedback"] == {"blockReason": "SAFETY"}
        assert "candidates" not in body
    elif dialect == "anthropic":
        assert (finish_of(dialect, body), body["stop_details"]["category"]) == ("refusal", "general_harms")
    else:
        words = {"bedrock": "guardrail_intervened", "gemini-interactions": "failed"}
        assert finish_of(dialect, body) == words.get(dialect, "content_filter")
    assert act("gemini", safety_block="BLOCKLIST").body["promptFeedback"]["blockReason"] == "BLOCKLIST"


def test_error_inside_a_200(act, shapes, dialect):
    """``error_in_200`` has the recorded form of each provider: a top-level error, a failed response, or an error in a choice."""
    got = act(dialect, error_in_200="rate_limit")
    assert got.status == 200
    if dialect == "openrouter":
        choice = got.body["choices"][0]
        assert (choice["finish_reason"], choice["error"]["code"]) == ("error", 429)
        assert choice["message"]["content"]
    elif dialect == "openai-responses":
        assert (got.body["status"], got.body["error"]["code"]) == ("failed", "rate_limit_exceeded")
    else:
        assert shapes.error_of(dialect, got.body)["message"]
        assert not got.body.keys() & {"choices", "output", "steps"}


def test_wrong_type(act, dialect):
    """``wrong_type`` replaces a field that every client reads, or the fields at the given paths."""
    body = act(dialect, wrong_type=True).body
    wrong = {
        "openai": lambda: body["choices"][0]["message"]["content"] == 42,
        "openai-responses": lambda: body["output"] == "none",
        "anthropic": lambda: isinstance(body["content"], str),
        "gemini": lambda: isinstance(body["candidates"], dict),
        "gemini-interactions": lambda: isinstance(body["steps"], str),
        "bedrock": lambda: isinstance(body["output"]["message"]["content"], str),
    }
    wrong["openrouter"] = wrong["openai"]
    assert wrong[dialect]()
    body = act("openai", wrong_type={"choices[0].index": "x", "usage.no.such": 1, "choices[7]": 2, "new": [3]}).body
    assert body == body | {"choices": 2, "usage": 1, "new": [3]}


def test_html(act, dialect):
    """``html`` is the HTML page of a gateway."""
    got = act(dialect, html=True)
    assert (got.status, got.headers["content-type"], got.headers["server"]) == (502, "text/html; charset=UTF-8", "cloudflare")
    assert got.raw.startswith(b"<!DOCTYPE html>")
    assert act(dialect, html=200).status == 200


def test_redirect(act, dialect):
    """``redirect`` leads to a path of the simulator, or to the given location."""
    got = act(dialect, redirect=True)
    assert got.status == 307
    assert "/redirected/" in got.headers["location"]
    got = act(dialect, redirect={"status": 302, "location": "https://elsewhere.example/"})
    assert (got.status, got.headers["location"]) == (302, "https://elsewhere.example/")


def test_event_stream(act, dialect):
    """``event_stream`` sends the dialect's events, or JSON Lines."""
    got = act(dialect, event_stream="sse")
    assert got.headers["content-type"].startswith("text/event-stream")
    lines = got.raw.decode().split("\n\n")
    assert lines[-1] == ""
    begin = {
        "openrouter": ": OPENROUTER PROCESSING",
        "openai-responses": "event: response.created",
        "anthropic": "event: message_s",
    }
    assert lines[0].startswith(begin.get(dialect, "data: {"))
    got = act(dialect, event_stream="ndjson")
    assert got.headers["content-type"] == "application/x-ndjson"
    assert next(json.loads(line) for line in got.raw.splitlines())["done"] is False


def test_a_refused_request_is_not_edited(connect, shapes, dialect):
    """A request that the dialect refuses keeps its error, and is logged as refused."""
    for action in ({"truncated": 2}, {"refusal": True}, {"error_in_200": True}, {"event_stream": "sse"}, {"wrong_type": True}):
        with Simulator(script={"rules": [action]}) as simulator:
            got = connect(simulator).ask(dialect, b"{")
            assert got.status == 400
            assert shapes.error_of(dialect, got.body)["message"]
            assert simulator.faults == []
