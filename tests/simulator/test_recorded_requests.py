"""The simulator accepts and refuses the same requests as the real providers, by recorded exchanges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "wire" / "recorded"
PROVIDER_BY_HOST = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gemini",
    "openrouter.ai": "openrouter",
}
LEFT_OUT = "a part of it was left out of the recording"
# What the simulator does otherwise, and why.
OTHERWISE = {
    "openai-responses/responses-200--completed-reasoning-6": "its model stands in a prompt stored at OpenAI",
    "openai-responses/responses-200-gpt-5-completed-code-interpreter-call-reasoning-2": LEFT_OUT,
    "gemini/gen-200-gemini-3-flash-preview-stop-functioncall-thoughtsignature-toolcall": LEFT_OUT,
    "openrouter/chat-400-gpt-5-image-400": "what one upstream refuses",
    "openrouter/chat-400-grok-3-400": "what one upstream refuses",
    "openrouter/chat-403-grok-3-mini-403": "what one upstream's filter found",
    "openrouter/chat-404-minimax-01-404": "what one upstream cannot do",
}


def exchanges() -> dict[str, dict[str, Any]]:
    """The exchanges with one of the simulated providers, by name."""
    found = {}
    for path in sorted(FOLDER.glob("*/*.json")):
        exchange = json.loads(path.read_text(encoding="utf-8"))
        url = urlsplit(exchange["request"]["url"])
        reported = path.parent.name == "reported"
        served = url.hostname in PROVIDER_BY_HOST and not url.path.endswith(("/api/v1/responses", "/openai/chat/completions"))
        body = exchange["request"]["body"]
        stored = isinstance(body, dict) and body.get("previous_response_id")  # answers of before are kept at OpenAI alone
        if served and body is not None and not reported and not stored:
            found[str(path.relative_to(FOLDER).with_suffix(""))] = exchange
    return found


EXCHANGES = exchanges()
pytestmark = pytest.mark.skipif(not EXCHANGES, reason="no recorded exchanges beside the repository")


def whole(value: Any) -> Any:
    """A recorded request; long data that was cut is shortened so that its base64 is valid."""
    if isinstance(value, dict):
        return {name: whole(member) for name, member in value.items()}
    if isinstance(value, list):
        return [whole(member) for member in value]
    kept, cut, _ = value.partition("<... ") if isinstance(value, str) else (value, "", "")
    if not cut or " " in kept:
        return value
    head, comma, data = kept.rpartition(",")
    return head + comma + data[: len(data) // 4 * 4]


def send(wire: Any, shapes: Any, exchange: dict[str, Any]) -> Any:
    """Sends a recorded request to the same provider's endpoint."""
    request = exchange["request"]
    url = urlsplit(request["url"])
    provider = PROVIDER_BY_HOST[url.hostname]
    headers = dict(shapes.headers[provider])
    if exchange["response"]["status"] == 401:
        headers = {name: value.replace("good-key", "sk-wrong") for name, value in headers.items()}
    if provider == "anthropic":  # which betas were asked for was not recorded
        headers["anthropic-beta"] = "structured-outputs-2025-11-13,mid-conversation-system"
    return wire.send(
        request["method"], f"/{provider}{url.path}{'?' if url.query else ''}{url.query}", whole(request["body"]), headers
    )


def told(body: Any) -> tuple[Any, ...]:
    """The parts of an error that programs use."""
    error = body["error"]
    return tuple(error.get(name) for name in ("type", "code", "param", "status"))


@pytest.mark.parametrize("name", EXCHANGES or ["none"])
def test_what_was_taken_is_taken(wire: Any, shapes: Any, name: str) -> None:
    """The status is as recorded; errors have the same type, and answers the same parts."""
    exchange = EXCHANGES[name]
    got = send(wire, shapes, exchange)
    if name in OTHERWISE:
        assert got.status != exchange["response"]["status"], "this is no exception any more"
        return
    assert got.status == exchange["response"]["status"], got
    if got.status >= 400:
        assert told(got.body) == told(exchange["response"]["body"])
