"""The endpoints that count the tokens of a request: they bill nothing, and refuse what only concerns the answer."""

from __future__ import annotations

from typing import Any

import pytest

from llm_sync.simulator import Simulator

ANTHROPIC = "/anthropic/v1/messages/count_tokens"
OPENAI = "/openai/v1/responses/input_tokens"
GEMINI = "/gemini/v1beta/models/gemini-2.5-flash:countTokens"
VERTEX = "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:countTokens"
CLAUDE = "/v1/projects/p/locations/global/publishers/anthropic/models/count-tokens:rawPredict"
HEADERS = {
    ANTHROPIC: {"x-api-key": "any", "anthropic-version": "2023-06-01"},
    OPENAI: {"authorization": "Bearer any"},
    GEMINI: {"x-goog-api-key": "any"},
    VERTEX: {"authorization": "Bearer any"},
    CLAUDE: {"authorization": "Bearer any"},
}
HELLO = [{"role": "user", "content": "Say hello"}]
CONTENTS = [{"role": "user", "parts": [{"text": "Say hello"}]}]
WHOLE = {"model": "models/gemini-2.5-flash", "contents": CONTENTS}
ON_CLOUD = {"anthropic_version": "vertex-2023-10-16"}


@pytest.mark.parametrize(
    ("path", "payload", "name"),
    [
        (ANTHROPIC, {"model": "claude-haiku-4-5", "messages": HELLO, "system": "Be brief"}, "input_tokens"),
        (CLAUDE, {**ON_CLOUD, "model": "claude-haiku-4-5", "messages": HELLO}, "input_tokens"),
        (OPENAI, {"model": "gpt-4o", "input": "Say hello", "instructions": "Be brief"}, "input_tokens"),
        (GEMINI, {"contents": CONTENTS}, "totalTokens"),
        (GEMINI, {"generateContentRequest": {**WHOLE, "generationConfig": {"maxOutputTokens": 9}}}, "totalTokens"),
        (VERTEX, {"contents": CONTENTS, "systemInstruction": {"parts": [{"text": "Be brief"}]}}, "totalTokens"),
    ],
)
def test_it_counts_and_bills_nothing(wire: Any, simulator: Simulator, path: str, payload: Any, name: str) -> None:
    """A few tokens for a few words; the account has no tokens, and the log says what was asked."""
    got = wire.send("POST", path, payload, HEADERS[path])
    assert got.status == 200
    assert 1 < got.body[name] < 30
    (record,) = simulator.requests
    assert (record.billed, record.outcome) == (False, "ok")


@pytest.mark.parametrize(
    ("path", "payload", "problem"),
    [
        (ANTHROPIC, {"model": "claude-haiku-4-5", "messages": HELLO, "max_tokens": 5}, "max_tokens: Extra inputs"),
        (ANTHROPIC, {"model": "claude-haiku-4-5"}, "messages: Field required"),
        (ANTHROPIC, [], "valid dictionary"),
        (CLAUDE, {"model": "claude-haiku-4-5", "messages": HELLO}, "anthropic_version"),
        (OPENAI, {"model": "gpt-4o", "input": "x", "max_output_tokens": 50}, "Unknown parameter: 'max_output_tokens'"),
        (OPENAI, {"input": "x"}, "Missing required parameter: 'model'"),
        (GEMINI, {"contents": CONTENTS, "systemInstruction": {}}, "Unknown name"),
        (GEMINI, {"generateContentRequest": {"contents": CONTENTS}}, "must be the one of the path"),
        (GEMINI, {"generateContentRequest": WHOLE, "contents": CONTENTS}, "Only one of"),
        (GEMINI, {"generateContentRequest": []}, "must be the one of the path"),
        (VERTEX, {"generateContentRequest": WHOLE}, "Unknown name"),
    ],
)
def test_it_refuses_what_it_does_not_count(wire: Any, path: str, payload: Any, problem: str) -> None:
    """In the provider's form, with status 400."""
    got = wire.send("POST", path, payload, HEADERS[path])
    assert got.status == 400
    assert problem in got.body["error"]["message"]


@pytest.mark.parametrize("path", ["/groq/openai/v1/responses/input_tokens", "/azure/openai/v1/responses/input_tokens"])
def test_those_who_imitate_openai_do_not_count(wire: Any, path: str) -> None:
    """Such a path is unknown there."""
    headers = {"authorization": "Bearer any", "api-key": "any"}
    assert wire.send("POST", path, {"model": "gpt-4o", "input": "x"}, headers).status == 404


def test_a_script_may_mean_counts_alone(connect: Any) -> None:
    """``request: count``; answers come as before."""
    rules = [{"when": {"request": "count"}, "error": "rate_limit"}]
    with Simulator(script={"rules": rules}) as simulator:
        wire = connect(simulator)
        payload = {"model": "claude-haiku-4-5", "messages": HELLO}
        assert wire.send("POST", ANTHROPIC, payload, HEADERS[ANTHROPIC]).status == 429
        messages = "/anthropic/v1/messages"
        assert wire.send("POST", messages, {**payload, "max_tokens": 50}, HEADERS[ANTHROPIC]).status == 200
