"""Recorded tool loops: what a provider wants back goes back byte for byte, where recordings stand beside the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from llm_sync.models import Message, ModelRequest

FOLDER = Path(__file__).parents[3] / "shared" / "wire" / "surfaces"
KINDS = {
    "responses": "openai-responses",
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock-converse": "bedrock",
}
PATHS = {"anthropic": "/v1/messages", "openai": "/chat/completions", "openai-responses": "/responses"}
STATE = ("signature", "data", "encrypted_content", "thoughtSignature", "reasoning_content", "reasoning_details")
LOOPS = sorted(path.parent.name for path in FOLDER.glob("state-*/tool_loop_1.json"))
BACK = sorted(f"{path.parent.name}/{path.stem}" for path in FOLDER.glob("state-*/*_back.json"))

pytestmark = pytest.mark.skipif(not LOOPS, reason="no recorded exchanges beside the repository")


def read(name: str) -> dict[str, Any]:
    """One recorded exchange."""
    case: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return case


def endpoint(case: Mapping[str, Any], kind: str) -> str:
    """The base_url of the recorded server."""
    url = case["request"]["url"].partition("?")[0]
    if kind in ("gemini", "bedrock"):
        return str(url.rpartition("/models/" if kind == "gemini" else "/model/")[0])
    return str(url.removesuffix(PATHS[kind]))


def model_of(case: Mapping[str, Any]) -> str:
    """The model that was asked."""
    named = case["request"]["body"].get("model")
    if case["dialect"] == "bedrock-converse":
        return unquote(case["request"]["url"].partition("/model/")[2].removesuffix("/converse"))
    return str(named or case["request"]["url"].partition("/models/")[2].partition(":")[0])


def turns_of(body: Mapping[str, Any]) -> list[Any]:
    """The turns of a request, in any dialect."""
    turns: list[Any] = body.get("messages") or body.get("contents") or body["input"]
    return turns


def state_in(part: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping in a request that holds state, whole."""
    if isinstance(part, Mapping):
        if any(part.get(name) for name in STATE) and part.get("role") is None:
            yield part
        elif any(part.get(name) for name in STATE):
            yield {name: part[name] for name in STATE if name in part}
        else:
            for child in part.values():
                yield from state_in(child)
    elif isinstance(part, list):
        for child in part:
            yield from state_in(child)


def without_ids(state: Any) -> list[str]:
    """The state as JSON, without what is null, and without the ids of Gemini's calls, which may be left out."""
    items = [{name: value for name, value in item.items() if value is not None} for item in state]
    for item in items:
        if isinstance(item.get("functionCall"), dict):
            item["functionCall"] = {name: value for name, value in item["functionCall"].items() if name != "id"}
    return [json.dumps(item, sort_keys=True) for item in items]


def second_turns(provider: Any, reply: Any, first: Mapping[str, Any], model: str | None = None) -> Any:
    """What is sent in the turn after a recorded answer, with a result for every call."""
    kind = KINDS[first["dialect"]]
    kind = "openrouter" if "openrouter.ai" in first["request"]["url"] else kind
    made = provider(kind, reply(first["response"]["body"]), base_url=endpoint(first, KINDS[first["dialect"]]))
    asked = model or model_of(first)
    answer = made.generate_response(ModelRequest("go", asked))
    results = [Message("tool", "2", tool_call_id=call.id) for call in answer.tool_calls]
    made.generate_response(ModelRequest(messages=[Message("user", "go"), answer.message, *results], model=asked))
    return made.web.sent[1].body


@pytest.mark.parametrize("name", LOOPS or ["none"])
def test_the_second_request_of_a_recorded_loop(provider: Any, reply: Any, name: str) -> None:
    """It holds the state that the recorded client, which the provider accepted, sent back."""
    first, second = read(f"{name}/tool_loop_1"), read(f"{name}/tool_loop_2_back")
    if first["dialect"] not in KINDS:
        pytest.skip(f"no dialect speaks {first['dialect']}")
    expected = without_ids(state_in(turns_of(second["request"]["body"])))
    assert expected
    assert without_ids(state_in(turns_of(second_turns(provider, reply, first)))) == expected


@pytest.mark.parametrize("name", BACK or ["none"])
def test_a_recorded_answer_goes_back(provider: Any, reply: Any, name: str) -> None:
    """Every answer that was recorded with state keeps it: no byte of a signature is lost."""
    case = read(name)
    if case["dialect"] not in KINDS:
        pytest.skip(f"no dialect speaks {case['dialect']}")
    values = [item[key] for item in state_in(case["response"]["body"]) for key in STATE if item.get(key)]
    sent = json.dumps(second_turns(provider, reply, case), ensure_ascii=False)
    assert [value for value in values if json.dumps(value, ensure_ascii=False) not in sent] == []
