"""Canned answers reach llm-sync's client unchanged, in every dialect."""

from __future__ import annotations

import re

import pytest

import llm_sync
from llm_sync import ModelRequest, errors
from llm_sync.simulator import Simulator
from llm_sync.simulator.faults.error_responses import ERROR_CLASSES

ADD = {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
ANSWERS = {
    "Say hello": "Hello, Ada.",
    "Think": {"text": "42", "thinking": "Six times seven."},
    "Add": {
        "text": "Let me add.",
        "tool_calls": [{"name": "add", "arguments": {"a": 1}}, {"name": "add", "arguments": {"a": 2}}],
    },
    "Bad": {"refusal": "That I will not do."},
    "Filtered": {"text": "Some of", "finish_reason": "content_filter"},
    "Cut": {"text": "Once upon a", "finish_reason": "length"},
    "Empty": {"text": ""},
    re.compile(r"^Count to (\d+)$"): "one two three four five six seven eight nine ten " * 3,
}


@pytest.fixture
def ask(client_of, dialect, shapes):
    """Sends a request to the dialect's usual model; ``answers`` and other options are for the simulator."""
    started = []

    def asked(prompt, answers=ANSWERS, defaults=None, **fields):
        simulator = Simulator(answers=answers).start()
        started.append(simulator)
        client = client_of(simulator, **(defaults or {}))
        return client.generate_response(ModelRequest(prompt, f"{dialect}/{shapes.models[dialect]}", **fields))

    yield asked
    for simulator in started:
        simulator.stop()
        assert simulator.faults == []


def test_a_text(ask):
    """A text arrives unchanged, with a normal finish reason; white space around the prompt does not matter."""
    response = ask("Say hello\n")
    assert (response.text, response.finish_reason) == ("Hello, Ada.", "stop")
    assert response.usage.output_tokens == 4


def test_thoughts(ask):
    """Thinking arrives beside the text and is billed."""
    response = ask("Think")
    assert (response.text, response.metadata["thinking"]) == ("42", "Six times seven.")
    assert response.usage.output_tokens > 3


def test_calls_of_tools(ask):
    """All tool calls arrive, with the text before them."""
    response = ask("Add", tools=[ADD])
    assert (response.text, response.finish_reason) == ("Let me add.", "tool_calls")
    assert [(call.name, call.arguments) for call in response.tool_calls] == [("add", {"a": 1}), ("add", {"a": 2})]
    assert len({call.id for call in response.tool_calls}) == 2


def test_a_refusal(ask, dialect):
    """A refusal is billed, sent with 200 and raised as blocked content, with its text."""
    with pytest.raises(errors.ContentBlockedError, match=r"That I will not do\.") as caught:
        ask("Bad")
    assert caught.value.status == 200
    assert caught.value.response.usage.input_tokens > 0


def test_a_filter(ask):
    """The finish reason content_filter is raised as blocked content, whatever the text."""
    with pytest.raises(errors.ContentBlockedError):
        ask("Filtered")


def test_a_canned_finish_reason_length(ask):
    """The finish reason length marks a text as truncated, without a token limit."""
    response = ask("Cut")
    assert (response.text, response.truncated) == ("Once upon a", True)


def test_nothing(ask):
    """An empty text is raised as an empty response."""
    with pytest.raises(errors.EmptyResponseError):
        ask("Empty")


def test_the_limit_cuts_a_canned_text(ask):
    """The token limit cuts a canned text, and the finish reason says so."""
    response = ask("Count to 30", max_tokens=16)
    assert response.truncated
    assert response.text.startswith("one two")
    assert response.usage.output_tokens == 16


def test_another_prompt_is_answered_as_otherwise(ask):
    """A prompt that is not in the file gets a generated answer."""
    assert "Say good night" in ask("Say good night").text


# On the wire these are a bare 500, and a body without an answer.
RAISED = {"ProviderError": "ProviderUnavailableError", "UnusableAnswerError": "ResponseValidationError"}
# Told by what is sent, or not sent: their messages are the client's own.
SILENT = frozenset({"ProviderConnectionError", "EmptyResponseError", "TruncatedResponseError", *RAISED.values(), *RAISED})


@pytest.mark.parametrize("kind", ERROR_CLASSES)
def test_every_kind_of_error(ask, kind):
    """A canned error is raised as its class, with the default message or the given one."""
    for message in ("", "It went wrong."):
        with pytest.raises(errors.LLMConnectorError) as caught:
            ask("Fail", {"Fail": {"error": {"type": kind, "message": message}}})
        assert type(caught.value).__name__ == RAISED.get(kind, kind)
        assert kind in SILENT or message in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 524, 529])
def test_a_status_of_its_own_stays(ask, status):
    """A canned error is sent with the given ``status``."""
    with pytest.raises(errors.LLMConnectorError) as caught:
        ask("Fail", {"Fail": {"error": {"type": "ProviderUnavailableError", "status": status}}})
    assert caught.value.status == status


@pytest.mark.parametrize("status", [402, 429])
def test_an_exceeded_quota_with_either_status(ask, status):
    """An exceeded quota is recognised with either of the statuses that a provider uses."""
    error = {"type": "QuotaExceededError", "status": status, "message": "Spent."}
    with pytest.raises(errors.QuotaExceededError, match=r"Spent\.") as caught:
        ask("Fail", {"Fail": {"error": error}})
    assert (caught.value.status, caught.value.message) == (status, "Spent.")


def test_every_error_class_has_its_form():
    """Every error class that a provider's response can cause can be named in an answers file."""
    never = {"LLMConnectorError", "BatchError", "ClientClosedError", "ConfigurationError", "QueueFullError"}
    never |= {"BudgetExceededError", "CacheMissError", "ToolRunError"}
    every = {name for name in errors.__all__ if name.endswith("Error")}
    assert every - never == set(ERROR_CLASSES)
    assert all(hasattr(llm_sync, name) for name in ERROR_CLASSES)
