"""The readers of jobs judge every recorded exchange with a Batch API that lies beside the repository."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from llm_sync import LLMClient, LLMConnectorError, ModelRequest, ModelResponse
from llm_sync.config import ConfigLoader
from llm_sync.jobs.choice import batch_wire
from llm_sync.jobs.door import JobDoor
from llm_sync.jobs.job import Job
from llm_sync.jobs.rows import RowReader
from llm_sync.jobs.wire import CANCELLED, EXPIRED, FAILED, BatchWire, RemoteJob, Row
from llm_sync.models import Reply
from llm_sync.providers.batch_rows import row_reader
from llm_sync.runtime.cancellation import CallControl

FOLDER = Path(__file__).parents[3] / "shared" / "wire" / "surfaces"
PROVIDERS = """
providers:
  openai-batch: {type: openai, api_key: any, models: [gpt-4o-mini]}
  openai-responses: {type: openai-responses, api_key: any, models: [gpt-4o-mini]}
  anthropic-batch: {type: anthropic, api_key: any, models: [claude-haiku-4-5]}
  gemini-batch: {type: gemini, api_key: any, models: [gemini-2.5-flash]}
  mistral-batch: {type: openai, base_url: "https://api.mistral.ai/v1", api_key: any, models: [mistral-small-latest]}
  groq-batch: {type: openai, base_url: "https://api.groq.com/openai/v1", api_key: any, models: [llama-3.1-8b-instant]}
"""
# Surfaces without a Batch API here: their rows hold chat completions, and their errors go through the same tables.
OTHERS = ("fireworks-batch", "together-batch", "xai-batch")


class Remote(NamedTuple):
    """What a job must be read as; ``files``: how many. A field that is None is not compared."""

    word: str
    end: str | None = None
    files: int = 0
    done: int | None = None
    total: int | None = None
    full: bool | None = None
    retry_after: float | None = None


RUNNING: dict[str, Remote] = {
    "anthropic-batch/create": Remote("in_progress", done=0, total=2),
    "anthropic-batch/poll_in_progress": Remote("in_progress", done=0, total=2, retry_after=10),
    "gemini-batch/chatlas_create": Remote("BATCH_STATE_PENDING", done=0, total=2),
    "gemini-batch/create_inline": Remote("BATCH_STATE_PENDING", done=0, total=2),
    "gemini-batch/poll_pending": Remote("BATCH_STATE_RUNNING", done=0, total=2),
    "mistral-batch/create_inline": Remote("QUEUED", done=0, total=0),
    "mistral-batch/poll_running": Remote("RUNNING", done=0, total=2),
    "openai-batch/create_responses": Remote("validating", done=0, total=0),
    "openai-batch/old_create_chat": Remote("validating", done=0, total=0),
    "openai-batch/old_finalizing": Remote("finalizing", done=3, total=3),
    "openai-batch/poll_in_progress": Remote("in_progress", done=0, total=2),
}
ENDED: dict[str, Remote] = {
    "anthropic-batch/poll_ended": Remote("ended", "", 1, 2, 2),
    "gemini-batch/ellmer_finished": Remote("BATCH_STATE_SUCCEEDED", "", 1, 4, 4),
    "gemini-batch/poll_succeeded_inline": Remote("BATCH_STATE_SUCCEEDED", "", 1, 2, 2),
    "groq-batch/ellmer_finished": Remote("completed", "", 1, 4, 4),
    "mistral-batch/poll_success_inline": Remote("SUCCESS", "", 1, 2, 2),
    "openai-batch/completed_one_failed_no_error_file": Remote("completed", "", 1, 3, 3),
    "openai-batch/old_completed": Remote("completed", "", 1, 3, 3),
    "openai-batch/poll_completed": Remote("completed", "", 1, 2, 2),
    "openai-batch/reported_cancelled_with_both_files": Remote("cancelled", CANCELLED, 2, 4, 8),
    "openai-batch/reported_expired_with_output": Remote("expired", EXPIRED, 1, 1, 10),
    "openai-batch/reported_failed_token_limit": Remote("failed", FAILED, 0, 0, 0, full=True),
}
# By id, what a row must be read as: the beginning of the text, the name of an error's class, or the end of a line not run.
ROWS: dict[str, dict[str, str]] = {
    "anthropic-batch/results": {"0": "4", "1": "Jupiter"},
    "anthropic-batch/results_failed_resume": {"2": "Ramen is"},
    "anthropic-batch/results_reasoning": {"0": "# Proof"},
    "anthropic-batch/rows_mixed_outcomes": {
        "ok-1": "1",
        "bad-model": "ModelNotFoundError",
        "image_url": "InvalidRequestError",
        "c-1": CANCELLED,
    },
    "mistral-batch/row_failed": {"bad-1": "InvalidRequestError"},
    "openai-batch/content_responses_rows": {"0": "4", "1": "Jupiter"},
    "openai-batch/old_chat_rows": {"0": "Spaghetti is", "1": "Sushi is", "2": "Ramen is"},
    "openai-batch/row_cancelled": {"request-1": CANCELLED},
    "openai-batch/rows_two_of_three": {},
}
REFUSED = {
    "anthropic-batch/err_404_unknown_batch": 404,
    "openai-batch/err_404_unknown_batch": 404,
    "fireworks-batch/bad_key": 403,
    "fireworks-batch/download_endpoint_failed_job": 404,
    "together-batch/err_404_unknown_batch": 404,
    "together-batch/err_409_cancel_terminal": 409,
    "xai-batch/err_400_bad_key": 400,
}
CANCELS = {
    "anthropic-batch/cancel": "canceling",
    "openai-batch/cancel_from_validating": "cancelling",
    "openai-batch/cancelling": "cancelling",
}
ELSEWHERE = {  # judged by a test of their own below, or nothing to read here
    "openai-batch/file_upload",
    "openai-batch/list_page",
    "openai-batch/embeddings_rows",
    "fireworks-batch/create_job",
    "fireworks-batch/output_rows",
    "fireworks-batch/poll_completed",
    "fireworks-batch/poll_failed_validation",
    "together-batch/row_error",
    "together-batch/row_ok",
    "xai-batch/add_requests",
    "xai-batch/create",
    "xai-batch/poll",
    "xai-batch/results",
    "xai-batch/row_error_and_cancelled",
}


def recordings() -> dict[str, Any]:
    """All exchanges with a Batch API, by name."""
    paths = sorted(FOLDER.glob("*-batch/*.json"))
    return {f"{path.parent.name}/{path.stem}": json.loads(path.read_text("utf-8")) for path in paths}


RECORDED = recordings()
pytestmark = pytest.mark.skipif(not RECORDED, reason="no recorded exchanges beside the repository")


class Far:
    """Answers every exchange with one recorded response, and remembers what was asked."""

    def __init__(self, name: str) -> None:
        response = RECORDED[name]["response"]
        body = response["body"]
        if name.endswith("/ellmer_finished"):
            body = body["batch"]
        if name.startswith("openai-batch/reported_"):
            body = {"id": "batch_x", **body}  # only some keys were quoted
        self.content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.status, self.headers = response["status"], {key.lower(): value for key, value in response["headers"].items()}
        self.asked: list[tuple[str, str]] = []

    def transfer(
        self, method: str, url: str, headers: Mapping[str, str], *, body: Any = None, into: Any = None, **_: Any
    ) -> Reply:
        """See Transfers."""
        self.asked.append((method, urlsplit(url).path))
        if into is not None and self.status == 200:
            into.write(self.content)
            return Reply(self.status, self.headers, b"", 0.1)
        return Reply(self.status, self.headers, self.content, 0.1)


@pytest.fixture(scope="module")
def client() -> Iterator[LLMClient]:
    """A client for all surfaces; no request leaves it."""
    with LLMClient(ConfigLoader().load_text(PROVIDERS)) as opened:
        yield opened


def wire_of(client: LLMClient, name: str, provider: str | None = None) -> tuple[BatchWire, Far]:
    """The Batch API of a recording's surface, whose far end answers with the recording."""
    surface = provider or name.partition("/")[0]
    endpoint = client.dispatcher.endpoint(surface)
    kind = batch_wire(endpoint.provider.dialect)
    assert kind is not None
    far = Far(name)
    return kind(JobDoor(endpoint.provider, far, CallControl())), far


def look(wire: BatchWire, name: str) -> RemoteJob:
    """The job as the recorded answer to a poll, or to a create, shows it."""
    path = urlsplit(RECORDED[name]["request"]["url"]).path
    identifier = path.rpartition("/")[2]
    return wire.look(f"batches/{identifier}" if name.startswith("gemini") else identifier)


def test_every_recording_is_judged() -> None:
    """None is missing below, and none is there twice."""
    judged = [*RUNNING, *ENDED, *ROWS, *REFUSED, *CANCELS, *ELSEWHERE]
    assert sorted(judged) == sorted(RECORDED)


@pytest.mark.parametrize("name", [*RUNNING, *ENDED])
def test_a_job_is_read_as_what_it_is(client: LLMClient, name: str) -> None:
    """Its state, how it ended, its files, its counts, and when to look again."""
    wire, _ = wire_of(client, name)
    job, expected = look(wire, name), {**RUNNING, **ENDED}[name]
    assert (job.word, job.ended, len(job.files)) == (expected.word, name in ENDED, expected.files)
    assert (job.end, job.done, job.total) == (expected.end or "", expected.done, expected.total)
    assert job.retry_after == expected.retry_after
    assert (job.failure.full if job.failure else None) == expected.full


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_read_as_what_they_are(client: LLMClient, name: str) -> None:
    """Answers by the dialect's reader at the price of a batch, errors by the usual tables, ends of lines that were not run."""
    provider = "openai-responses" if "responses" in name else name.partition("/")[0]
    wire, _ = wire_of(client, name, provider)
    spool = io.BytesIO()
    wire.fetch(RemoteJob("batch_x", "", True, files=("file-x",)), spool)
    rows = [row for line in spool.getvalue().split(b"\n") if line and (row := wire.row(line))]
    assert rows
    found = {row.custom_id: outcome(client, provider, row) for row in rows}
    assert len(found) == len(rows)
    for custom_id, expected in ROWS[name].items():
        assert found[custom_id].startswith(expected), found


def judged(client: LLMClient, provider: str, row: Row) -> ModelResponse | LLMConnectorError:
    """The answer or the error that a row is."""
    endpoint = client.dispatcher.endpoint(provider)
    model = endpoint.provider.config.models[0].name
    prepared = client.dispatcher.prepare(ModelRequest("ping", f"{provider}/{model}"))
    return RowReader(endpoint.provider, row_reader(endpoint.provider.reader)).outcome(prepared, row, 1.0)


def outcome(client: LLMClient, provider: str, row: Row) -> str:
    """The text of a row's answer, the end of a line that was not run, or the name of the error's class."""
    if row.end:
        return row.end
    result = judged(client, provider, row)
    if isinstance(result, LLMConnectorError):
        return type(result).__name__
    assert result.usage.input_tokens
    assert result.metadata["tier"] == "batch"
    return result.text


@pytest.mark.parametrize(
    ("name", "provider"),
    [("openai-batch/rows_two_of_three", "openai-batch"), ("openai-batch/content_responses_rows", "openai-responses")],
)
def test_an_answer_has_the_request_id_of_its_row(client: LLMClient, name: str, provider: str) -> None:
    """It stands beside the body, where a direct answer has a header; the provider's support asks for it."""
    wire, _ = wire_of(client, name, provider)
    lines = [line for line in RECORDED[name]["response"]["body"].split("\n") if line]
    expected = [json.loads(line)["response"]["request_id"] for line in lines]
    rows = [row for line in lines if (row := wire.row(line.encode()))]
    assert expected
    assert [judged(client, provider, row).request_id for row in rows] == expected


def test_an_error_in_a_row_has_its_request_id(client: LLMClient) -> None:
    """As that of an answer."""
    row = {"custom_id": "0", "response": {"status_code": 400, "request_id": "req-7", "body": {"error": {"message": "No."}}}}
    wire, _ = wire_of(client, "openai-batch/rows_two_of_three")
    read = wire.row(json.dumps(row).encode())
    assert read
    error = judged(client, "openai-batch", read)
    assert isinstance(error, LLMConnectorError)
    assert error.request_id == "req-7"


@pytest.mark.parametrize("name", REFUSED)
def test_an_error_is_an_error_with_its_status(client: LLMClient, name: str) -> None:
    """Whatever its form: of OpenAI, of Anthropic, of Google, or a bare text."""
    surface = name.partition("/")[0]
    wire, _ = wire_of(client, name, "openai-batch" if surface in OTHERS else surface)
    with pytest.raises(LLMConnectorError) as caught:
        wire.look("batch_x")
    assert caught.value.status == REFUSED[name]


@pytest.mark.parametrize("name", CANCELS)
def test_a_cancelled_job_is_not_over_at_once(client: LLMClient, name: str) -> None:
    """The answer to a cancel is a job that goes on for a while."""
    wire, far = wire_of(client, name)
    wire.cancel("batch_x")
    assert far.asked[0][0] == "POST"
    assert urlsplit(RECORDED[name]["request"]["url"]).path.rpartition("/")[2] == far.asked[0][1].rpartition("/")[2]
    job = wire.look("batch_x")
    assert (job.word, job.ended) == (CANCELS[name], False)


def test_an_upload_gives_the_id_of_the_file(client: LLMClient) -> None:
    """The one in the recorded answer."""
    name = "openai-batch/file_upload"
    wire, far = wire_of(client, name)
    job = Job.__new__(Job)
    job.id = "job-1"
    assert wire.upload(job, io.BytesIO(b"{}")) == RECORDED[name]["response"]["body"]["id"]
    assert far.asked == [("POST", "/v1/files")]


def test_a_listing_gives_the_newest_job_first(client: LLMClient) -> None:
    """With the states of all of them."""
    wire, _ = wire_of(client, "openai-batch/list_page")
    jobs = list(wire.jobs(None, newest=True))
    assert [job.word for job in jobs] == ["validating", "in_progress", "cancelled", "completed"]
    assert [job.ended for job in jobs] == [False, False, True, True]


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("fireworks-batch/output_rows", {"req-ok-2": "4"}),
        ("together-batch/row_ok", {"ok-1": "1"}),
        ("xai-batch/results", {"0": "4", "1": "Jupiter"}),
    ],
)
def test_completions_of_other_batch_apis_are_read_by_the_dialect(client: LLMClient, name: str, texts: dict[str, str]) -> None:
    """Their rows hold chat completions, which the same reader takes."""
    body = RECORDED[name]["response"]["body"]
    rows = [json.loads(line) for line in body.split("\n") if line] if isinstance(body, str) else body["results"]
    found = {}
    for row in rows:
        response = row.get("response") or row["batch_result"]["response"]["chat_get_completion"]
        identifier = row.get("custom_id") or row["batch_request_id"]
        found[identifier] = outcome(client, "openai-batch", Row(identifier, 200, response.get("body", response)))
    assert {name: found[name] for name in texts} == texts
