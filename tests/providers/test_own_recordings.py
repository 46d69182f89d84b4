"""Answers of real servers and gateways, recorded by requests to them on this machine, are read as what they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models import ModelRequest, Reply

FOLDER = Path(__file__).parent / "recorded"
RECORDED = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
REFUSED = [name for name, exchange in RECORDED.items() if "error" in exchange["expect"] and exchange["request"]["body"]]


@pytest.fixture
def recorded(provider: Callable[..., Any]) -> Callable[[str], Any]:
    """``recorded(name)``: a provider whose server answers with that recording."""

    def make(name: str) -> Any:
        exchange = RECORDED[name]
        got = exchange["response"]
        return provider(exchange["type"], Reply(got["status"], got["headers"], got["body"].encode(), 0.1))

    return make


def request_of(name: str) -> ModelRequest:
    """A request like the recorded one; only what the reading of the answer depends on."""
    body = RECORDED[name]["request"]["body"]
    tools = [tool["function"] for tool in body.get("tools", ())]
    wanted = body.get("response_format", {}).get("json_schema", {}).get("schema")
    return ModelRequest("x", body["model"], tools=tools, tool_choice=body.get("tool_choice"), response_schema=wanted)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_has_its_class(recorded: Callable[[str], Any], name: str) -> None:
    """By status, words and type as this server has them; llama.cpp says 500 of a picture."""
    with pytest.raises(errors.LLMConnectorError) as caught:
        recorded(name).generate_response(request_of(name))
    assert type(caught.value).__name__ == RECORDED[name]["expect"]["error"]
    assert caught.value.retryable is not True


def test_an_answer_has_its_text_counts_and_end(recorded: Callable[[str], Any]) -> None:
    """Of llama.cpp."""
    answer = recorded("llama-cpp-answer").generate_response(request_of("llama-cpp-answer"))
    assert (answer.text, answer.truncated, answer.usage.output_tokens) == ("Hello! I'm here to help with", True, 8)
    assert answer.usage.input_tokens


def test_an_ignored_tool_is_an_adjustment(recorded: Callable[[str], Any]) -> None:
    """llama.cpp answers in words where a tool must be called, if the model's template has no tools."""
    name = "llama-cpp-forced-tool-ignored"
    answer = recorded(name).generate_response(request_of(name))
    assert (answer.text, answer.tool_calls) == (RECORDED[name]["expect"]["text"], ())
    assert [each.parameter for each in answer.adjustments] == ["tool_choice"]


def test_an_answer_of_a_schema_is_parsed(recorded: Callable[[str], Any]) -> None:
    """Of llama.cpp, with white space in it."""
    assert recorded("llama-cpp-schema").generate_response(request_of("llama-cpp-schema")).metadata["parsed"] == {"adult": True}


def test_a_listing_has_the_model(recorded: Callable[[str], Any]) -> None:
    """llama.cpp lists it twice, in two forms; Portkey's gateway fails."""
    assert recorded("llama-cpp-listing").list_models() == ["smollm2-135m-instruct"]
    with pytest.raises(errors.ProviderUnavailableError):
        recorded("portkey-listing").list_models()
