"""Recorded background answers of OpenAI: what each reply says, and what it comes to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llm_sync.models import ModelRequest
from llm_sync.providers.background_replies import asked_pause, is_answer
from llm_sync.providers.openai.background import ResponsesBackground

RECORDED = next(
    (path for up in (3, 4) if (path := Path(__file__).parents[up] / "shared/wire/surfaces/openai-background").is_dir()), None
)
CASES = sorted(RECORDED.glob("*.json")) if RECORDED else []


@pytest.mark.skipif(RECORDED is None, reason="no recorded exchanges beside the repository")
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_recorded_reply_is_read_as_its_note_says(provider: Any, reply: Any, path: Path) -> None:
    """A job that is not done has an id to ask for; one that is done is an answer."""
    case = json.loads(path.read_text("utf-8"))
    expected, body = case["expect"]["ok"], case["response"]["body"]
    headers = {name.replace("-", "_"): value for name, value in case["response"]["headers"].items()}
    made = reply(body, case["response"]["status"], **{name: value for name, value in headers.items() if name != "content_type"})
    job = ResponsesBackground().job(body)
    assert is_answer(made)
    assert asked_pause(made) is None
    if "status" in expected:
        assert job is not None
        assert (job.id, job.kept_s) == (body["id"], None if body["store"] else 600.0)
        return
    assert job is None
    answer = provider("openai-responses", made).generate_response(ModelRequest("What is 2 + 2?", body["model"]))
    got = {"text": answer.text, "finish_reason": answer.finish_reason}
    got |= {"input_tokens": answer.usage.input_tokens, "output_tokens": answer.usage.output_tokens}
    got["tool_calls"] = [{"name": call.name, "arguments": call.arguments, "id": call.id} for call in answer.tool_calls]
    assert {name: got[name] for name in expected if name != "words"} == {k: v for k, v in expected.items() if k != "words"}
