"""Answers of pictures, audio or results of the provider's own tools, without text: the error says what came."""

from __future__ import annotations

from typing import Any

import pytest

from llm_sync import EmptyResponseError, ModelRequest

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def chat(**message: Any) -> Any:
    """A chat completion."""
    return {
        "choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}],
        "usage": {"completion_tokens": 9},
    }


def gemini(*parts: Any) -> Any:
    """A candidate of these parts."""
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": "STOP"}]}


CASES: dict[str, tuple[str, Any, str]] = {
    "a picture of OpenRouter": ("openrouter", chat(content="", images=[PICTURE]), "image_url"),
    "two pictures": ("openrouter", chat(content=None, images=[PICTURE, PICTURE]), "2 image_url"),
    "a part of the content": ("openai", chat(content=[PICTURE]), "image_url"),
    "audio without a transcript": ("openai", chat(content=None, audio={"id": "a", "data": "AA==", "transcript": ""}), "audio"),
    "a picture of Responses": (
        "openai-responses",
        {"output": [{"type": "reasoning", "summary": []}, {"type": "image_generation_call", "result": "AA=="}]},
        "image_generation_call",
    ),
    "searches of Responses": (
        "openai-responses",
        {"output": [{"type": "web_search_call"}, {"type": "web_search_call"}], "status": "completed"},
        "2 web_search_call",
    ),
    "a search of Anthropic": (
        "anthropic",
        {
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
            ],
            "stop_reason": "end_turn",
        },
        "server_tool_use, web_search_tool_result",
    ),
    "a picture of Gemini": ("gemini", gemini({"inlineData": {"mimeType": "image/png", "data": "AA=="}}), "image/png"),
    "speech of Gemini": ("gemini", gemini({"inlineData": {"mimeType": "audio/L16", "data": "AA=="}}), "audio/L16"),
    "code of Gemini": (
        "gemini",
        gemini({"executableCode": {"code": "1"}}, {"codeExecutionResult": {"outcome": "OUTCOME_OK"}}),
        "executableCode, codeExecutionResult",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_error_says_what_came(provider: Any, reply: Any, case: str) -> None:
    """And its response has the whole body, which was paid for."""
    kind, body, words = CASES[case]
    with pytest.raises(EmptyResponseError, match=rf"but other content: {words}\.") as caught:
        provider(kind, reply(body)).generate_response(ModelRequest("draw", "m"))
    error = caught.value
    assert error.response is not None
    assert error.response.metadata["raw"] == body
    assert "metadata['raw']" in str(error.guidance)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("openai", chat(content="")),
        ("openai-responses", {"output": [{"type": "reasoning", "summary": []}], "status": "completed"}),
        ("anthropic", {"content": [{"type": "thinking", "thinking": "hm"}], "stop_reason": "end_turn"}),
        ("gemini", gemini({"text": "hm", "thought": True})),
    ],
)
def test_thoughts_are_no_other_content(provider: Any, reply: Any, kind: str, body: Any) -> None:
    """An answer of nothing else is empty."""
    with pytest.raises(EmptyResponseError, match="no text and no tool call \\(finish"):
        provider(kind, reply(body)).generate_response(ModelRequest("x", "m"))


def test_other_content_beside_text_is_an_answer(provider: Any, reply: Any) -> None:
    """The text is given; the picture stays in the body."""
    response = provider("openrouter", reply(chat(content="Here it is.", images=[PICTURE]))).generate_response(
        ModelRequest("draw", "m")
    )
    assert (response.text, response.metadata["raw"]["choices"][0]["message"]["images"]) == ("Here it is.", [PICTURE])
