"""The official clients of OpenAI, Anthropic and Google run their own batches, and OpenAI's its background responses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types.messages import MessageBatch
from google import genai
from google.genai import types
from openai.types import Batch
from openai.types.responses import Response

from llm_sync.simulator import Simulator

PROMPTS = ("Say hello", "Fail please", "Say goodbye")
RULES = [{"when": {"request": "line", "prompt": "Fail"}, "error": "bad_request"}]


@pytest.fixture
def stopped() -> Iterator[Simulator]:
    """A simulator in which time stands still until the test advances it, and one line of a batch fails."""
    with Simulator(script={"jobs": {"speed": 0}, "rules": RULES}) as simulator:
        yield simulator
        assert simulator.faults == []
        assert simulator.stream_attempts == 0


@pytest.fixture
def client(stopped: Simulator) -> Iterator[openai.OpenAI]:
    """OpenAI's client."""
    with openai.OpenAI(api_key="good-key", base_url=stopped.url(), max_retries=0) as opened:
        yield opened


@pytest.fixture
def claude(stopped: Simulator) -> Iterator[anthropic.Anthropic]:
    """Anthropic's client."""
    with anthropic.Anthropic(api_key="good-key", base_url=stopped.url("anthropic"), max_retries=0) as opened:
        yield opened


@pytest.fixture
def google(stopped: Simulator) -> genai.Client:
    """Google's client."""
    root = stopped.url("gemini").removesuffix("/v1beta")
    return genai.Client(api_key="good-key", http_options=types.HttpOptions(base_url=root))


def openai_lines(folder: Path, url: str) -> Path:
    """The file of a batch."""
    path = folder / "lines.jsonl"
    field = "input" if url.endswith("responses") else "messages"
    body = [{"model": "gpt-4o-mini", field: [{"role": "user", "content": prompt}]} for prompt in PROMPTS]
    lines = [{"custom_id": f"id-{n}", "method": "POST", "url": url, "body": each} for n, each in enumerate(body)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


@pytest.mark.parametrize("url", ["/v1/chat/completions", "/v1/responses"])
def test_openai_runs_a_batch(stopped: Simulator, client: openai.OpenAI, tmp_path: Path, url: Any) -> None:
    """Upload, create, retrieve, content, list and delete, read strictly by the client's own types."""
    file = client.files.create(file=openai_lines(tmp_path, url), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint=url, completion_window="24h", metadata={"run": "1"})
    stopped.advance(200)
    raw = client.batches.with_raw_response.retrieve(batch.id)
    done = Batch.model_validate_json(raw.text)
    assert (done.status, done.metadata) == ("completed", {"run": "1"})
    assert done.request_counts is not None
    assert (done.request_counts.completed, done.request_counts.failed) == (2, 1)
    rows = [json.loads(line) for line in client.files.content(str(done.output_file_id)).text.split("\n") if line]
    assert [row["custom_id"] for row in rows] == ["id-0", "id-2"]
    if url.endswith("responses"):
        assert "Say goodbye" in Response.model_validate(rows[1]["response"]["body"]).output_text
    errors = [json.loads(line) for line in client.files.content(str(done.error_file_id)).text.split("\n") if line]
    assert errors[0]["response"]["status_code"] == 400
    assert [each.id for each in client.batches.list(limit=1)] == [batch.id]
    assert {each.id for each in client.files.list()} == {file.id, done.output_file_id, done.error_file_id}
    assert client.files.delete(file.id).deleted


def test_openai_cancels_a_batch(stopped: Simulator, client: openai.OpenAI, tmp_path: Path) -> None:
    """cancelling, then cancelled."""
    file = client.files.create(file=openai_lines(tmp_path, "/v1/chat/completions"), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert client.batches.cancel(batch.id).status == "cancelling"
    stopped.advance(20)
    assert client.batches.retrieve(batch.id).status == "cancelled"


def test_openai_runs_a_response_in_the_background(stopped: Simulator, client: openai.OpenAI) -> None:
    """Queued, completed, deleted; a cancelled one stays cancelled."""
    queued = client.responses.create(model="gpt-4o-mini", input="Say hello", background=True, store=True)
    other = client.responses.create(model="gpt-4o-mini", input="Say goodbye", background=True, store=True)
    assert (queued.status, queued.output_text, queued.usage) == ("queued", "", None)
    assert client.responses.cancel(other.id).status == "cancelled"
    stopped.advance(60)
    raw = client.responses.with_raw_response.retrieve(queued.id)
    done = Response.model_validate_json(raw.text)
    assert done.status == "completed"
    assert "Say hello" in done.output_text
    assert client.responses.retrieve(other.id).status == "cancelled"
    client.responses.delete(queued.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(queued.id)


def test_openai_sees_a_quota_error_on_the_poll(client: openai.OpenAI, stopped: Simulator) -> None:
    """As a response that failed, with an error of the client's own types."""
    queued = client.responses.create(model="gpt-4o-mini", input="Fail please", background=True, store=True)
    stopped.advance(60)
    failed = client.responses.retrieve(queued.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.message


def test_anthropic_runs_a_batch(stopped: Simulator, claude: anthropic.Anthropic) -> None:
    """Create, retrieve, results, list and delete, read strictly by the client's own types."""
    requests: Any = [
        {
            "custom_id": f"id-{n}",
            "params": {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": prompt}]},
        }
        for n, prompt in enumerate(PROMPTS)
    ]
    batch = claude.messages.batches.create(requests=requests)
    assert (batch.processing_status, batch.request_counts.processing) == ("in_progress", 3)
    stopped.advance(200)
    raw = claude.messages.batches.with_raw_response.retrieve(batch.id)
    ended = MessageBatch.model_validate_json(raw.text())
    assert (ended.processing_status, ended.request_counts.succeeded, ended.request_counts.errored) == ("ended", 2, 1)
    found = {row.custom_id: row.result for row in claude.messages.batches.results(batch.id)}
    assert [found[f"id-{n}"].type for n in range(3)] == ["succeeded", "errored", "succeeded"]
    assert found["id-0"].message.usage.service_tier == "batch"
    assert found["id-1"].error.error.type == "invalid_request_error"
    assert [each.id for each in claude.messages.batches.list(limit=1)] == [batch.id]
    assert claude.messages.batches.delete(batch.id).type == "message_batch_deleted"


def test_anthropic_cancels_a_batch(stopped: Simulator, claude: anthropic.Anthropic) -> None:
    """canceling, then ended with canceled rows."""
    params: Any = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    batch = claude.messages.batches.create(requests=[{"custom_id": "a", "params": params}])
    assert claude.messages.batches.cancel(batch.id).processing_status == "canceling"
    stopped.advance(20)
    assert [row.result.type for row in claude.messages.batches.results(batch.id)] == ["canceled"]


def test_google_runs_inline_batches(stopped: Simulator, google: genai.Client) -> None:
    """The states and answers by the client's own types."""
    asked: Any = [{"contents": [{"role": "user", "parts": [{"text": prompt}]}]} for prompt in PROMPTS]
    batch = google.batches.create(model="gemini-2.0-flash", src=asked, config={"display_name": "mine"})
    assert batch.state == "JOB_STATE_PENDING"
    stopped.advance(200)
    done = google.batches.get(name=str(batch.name))
    assert (done.state, done.display_name) == ("JOB_STATE_SUCCEEDED", "mine")
    answers = done.dest.inlined_responses
    assert "Say hello" in answers[0].response.text
    assert answers[1].error.code == 3
    assert [each.name for each in google.batches.list(config={"page_size": 5})] == [batch.name]


def test_google_runs_batches_by_file(stopped: Simulator, google: genai.Client, tmp_path: Path) -> None:
    """An upload in two calls, and the file of answers."""
    lines = [{"key": f"k{n}", "request": {"contents": [{"parts": [{"text": prompt}]}]}} for n, prompt in enumerate(PROMPTS)]
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    config = types.UploadFileConfig(display_name="lines", mime_type="application/jsonl")
    file = google.files.upload(file=path, config=config)
    batch = google.batches.create(model="gemini-2.0-flash", src=str(file.name))
    stopped.advance(200)
    done = google.batches.get(name=str(batch.name))
    content = google.files.download(file=done.dest.file_name)
    rows = {row["key"]: row for row in map(json.loads, content.decode().split("\n")[:-1])}
    assert sorted(rows) == ["k0", "k1", "k2"]
    google.batches.cancel(name=str(batch.name))
    google.batches.delete(name=str(batch.name))
    google.files.delete(name=str(file.name))
