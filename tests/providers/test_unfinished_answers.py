"""Answers that are not finished, and answers without the tool call that was required: neither passes for a whole answer."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models import ModelRequest, ModelResponse
from llm_sync.providers.answer import Blocked, Cut, Failed, Malformed
from llm_sync.providers.finish_words import interruption

CUT, MALFORMED, BLOCKED, FAILED = (
    errors.TruncatedResponseError,
    errors.ResponseValidationError,
    errors.ContentBlockedError,
    errors.ProviderUnavailableError,
)


def body_of(kind: str, text: str, word: Any) -> dict[str, Any]:
    """An answer that ends with ``word``."""
    if kind == "anthropic":
        return {"content": [{"type": "text", "text": text}] if text else [], "stop_reason": word}
    if kind == "gemini":
        return {"candidates": [{"content": {"parts": [{"text": text}] if text else []}, "finishReason": word}]}
    if kind == "openai-responses":
        content = [{"type": "output_text", "text": text}] if text else []
        output = [{"type": "message", "content": content}]
        return {"output": output, "status": "incomplete", "incomplete_details": {"reason": word}}
    return {"choices": [{"message": {"content": text}, "finish_reason": word}]}


WORDS = [
    ("anthropic", "pause_turn", CUT),
    ("anthropic", "model_context_window_exceeded", CUT),
    ("anthropic", "refusal", BLOCKED),
    ("anthropic", "error", FAILED),
    ("gemini", "OTHER", CUT),
    ("gemini", 5, CUT),
    ("gemini", "TOO_MANY_TOOL_CALLS", CUT),
    ("gemini", "NO_IMAGE", CUT),
    ("gemini", "IMAGE_OTHER", CUT),
    ("gemini", "LANGUAGE", BLOCKED),
    ("gemini", 6, BLOCKED),
    ("gemini", "MALFORMED_FUNCTION_CALL", MALFORMED),
    ("gemini", "MALFORMED_RESPONSE", MALFORMED),
    ("gemini", "UNEXPECTED_TOOL_CALL", MALFORMED),
    ("gemini", 10, MALFORMED),
    ("openai", "pause_turn", CUT),
    ("openai", "model_context_window_exceeded", CUT),
    ("openai", "repetition", CUT),
    ("openai", "function_call_filter: MALFORMED_FUNCTION_CALL", MALFORMED),
    ("openai", "content_filter: PROHIBITED_CONTENT", BLOCKED),
    ("openai", "language", BLOCKED),
    ("openai", "abort", FAILED),
    ("openrouter", "network-error", FAILED),
    ("openai-responses", "max_tool_calls", CUT),
    ("openai-responses", "a_reason_of_tomorrow", CUT),
    ("openai-responses", "content_filter", BLOCKED),
]


@pytest.mark.parametrize(("kind", "word", "error"), WORDS)
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("text", ["I will look", ""])
def test_not_finished_is_not_finished(
    provider: Any, reply: Any, kind: str, word: Any, error: type[Exception], strict: bool, text: str
) -> None:
    """A cut text is marked as truncated, and an error under strict; everything else is an error that keeps the text."""
    made = provider(kind, reply(body_of(kind, text, word)), strict=strict)
    if error is CUT and text and not strict:
        response = made.generate_response(ModelRequest("x", "m"))
        assert (response.text, response.truncated, response.finish_reason) == (text, True, "length")
        return
    with pytest.raises(error) as caught:
        made.generate_response(ModelRequest("x", "m"))
    assert caught.value.partial_text == (text or None)  # type: ignore[attr-defined]


def test_a_paused_turn_says_what_to_do(provider: Any, reply: Any, caplog: pytest.LogCaptureFixture) -> None:
    """More tokens do not help: the warning names the pause and the provider's own tools."""
    with caplog.at_level(logging.WARNING, "llm_sync"):
        provider("anthropic", reply(body_of("anthropic", "Wait", "pause_turn"))).generate_response(ModelRequest("x", "m"))
    assert "a pause of the turn" in caplog.text
    assert "max_uses" in caplog.text
    assert "max_tokens" not in caplog.text


def test_a_call_that_came_in_spite_of_its_word_counts(provider: Any, reply: Any) -> None:
    """Gemini says UNEXPECTED_TOOL_CALL of a call that it gives all the same: the caller decides."""
    body = {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}, "finishReason": "UNEXPECTED_TOOL_CALL"}]}
    response = provider("gemini", reply(body)).generate_response(ModelRequest("x", "m"))
    assert (response.finish_reason, [call.name for call in response.tool_calls]) == ("tool_calls", ["f"])


@pytest.mark.parametrize(
    ("word", "kind"),
    [("SAFETY", Blocked), ("Network-Error", Failed), ("malformed_tool_call", Malformed), ("compaction", Cut)],
)
def test_words_count_in_any_spelling(word: str, kind: type) -> None:
    """Gateways change case and hyphens."""
    assert isinstance(interruption(word), kind)


@pytest.mark.parametrize("word", ["stop", "end_turn", "STOP", "", None, 1, "a_word_of_tomorrow", "stop: sequence"])
def test_other_words_interrupt_nothing(word: Any) -> None:
    """Words of finished answers, unknown ones and numbers say nothing of an interruption."""
    assert interruption(word) is None


# tool_choice -------------------------------------------------------------------------------------------------------------

TOOL = {"name": "f", "parameters": {"type": "object", "properties": {}}}
OTHER = {**TOOL, "name": "g"}


@pytest.fixture
def choose(provider: Any, reply: Any) -> Any:
    """``choose(choice, call=…, strict=…)``: what comes of a request that insists, answered by a call of ``call`` or by text."""

    def choosing(choice: Any, call: str | None = None, *, strict: bool = False, finish: str = "stop", **fields: Any) -> Any:
        calls = [{"id": "1", "function": {"name": call, "arguments": "{}"}}] if call else None
        body = {"choices": [{"message": {"content": "No.", "tool_calls": calls}, "finish_reason": finish}]}
        request = ModelRequest("x", "m", tool_choice=choice, **{"tools": [TOOL, OTHER], **fields})
        return provider("openai", reply(body), strict=strict).generate_response(request)

    return choosing


@pytest.mark.parametrize(
    ("choice", "call"),
    [("required", None), ("f", None), ("f", "g"), ({"type": "function", "function": {"name": "f"}}, "g"), ("any", None)],
)
def test_an_ignored_tool_choice_is_an_adjustment(choose: Any, choice: Any, call: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The answer is given, marked, with a warning; under strict it is an error that keeps it."""
    response: ModelResponse = choose(choice, call)
    assert [(made.parameter, made.asked) for made in response.adjustments] == [("tool_choice", choice)]
    assert "tool_choice was sent, but the model ignored it" in caplog.text
    with pytest.raises(errors.ResponseValidationError, match="ignored it") as caught:
        choose(choice, call, strict=True)
    assert (caught.value.partial_text, caught.value.response.text) == ("No.", "No.")


@pytest.mark.parametrize(
    ("choice", "call", "fields"),
    [
        ("required", "f", {}),
        ("f", "f", {}),
        ("auto", None, {}),
        ("none", None, {}),
        (None, None, {}),
        ("required", None, {"provider_specific": {"tool_choice": "auto"}}),
    ],
)
def test_a_tool_choice_that_is_followed_is_no_adjustment(choose: Any, choice: Any, call: Any, fields: Any) -> None:
    """Nor is one that leaves the model free, or that provider_specific replaced."""
    response = choose(choice, call, **fields)
    assert all("ignored" not in made.reason for made in response.adjustments)


def test_nothing_is_expected_of_the_providers_own_tools(provider: Any, reply: Any) -> None:
    """They run within the turn, and the answer shows no call."""
    body = {"content": [{"type": "text", "text": "Bern"}], "stop_reason": "end_turn"}
    tool = {"type": "web_search_20250305", "name": "web_search"}
    request = ModelRequest("x", "m", tools=[tool], tool_choice={"type": "any"}, max_tokens=9)
    assert provider("anthropic", reply(body), strict=True).generate_response(request).text == "Bern"


def test_a_cut_answer_ignored_nothing(choose: Any) -> None:
    """It may have been about to call."""
    assert choose("required", finish="length").adjustments == ()
