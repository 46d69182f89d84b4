"""OpenAI's batch files run against any provider, and their results are read by scripts written for OpenAI's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from batch_apparatus import Batch, Far, completion, failure

from llm_sync.errors import InvalidRequestError

# By hand, from OpenAI's documentation of batch input files.
FILE = """\
{"custom_id": "request-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-3.5-turbo-0125", \
"messages": [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": "Hello world!"}], \
"max_tokens": 1000}}
{"custom_id": "request-2", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-3.5-turbo-0125", \
"messages": [{"role": "system", "content": "You are an unhelpful assistant."}, {"role": "user", "content": "Hello world!"}], \
"max_tokens": 1000, "user": "u-1"}}
"""


def as_a_script_for_openai_reads(text: str) -> dict[str, str]:
    """The answers by custom_id, as the guides of OpenAI's batches collect them."""
    results = {}
    for line in text.splitlines():
        result = json.loads(line)
        if result["error"] is not None or result["response"]["status_code"] != 200:
            body = (result["response"] or {}).get("body") or {}
            results[result["custom_id"]] = f"failed: {(result['error'] or body['error'])['code']}"
            continue
        body = result["response"]["body"]
        assert body["object"] == "chat.completion"
        assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
        (choice,) = body["choices"]
        assert choice["finish_reason"] == "stop"
        assert choice["message"]["role"] == "assistant"
        results[result["custom_id"]] = choice["message"]["content"]
    return results


def test_a_file_made_for_openai_runs_against_anthropic(job: Batch, simulator: Any) -> None:
    """With one option, the model; what the other API does not know is listed beside the result."""
    job.input.write_text(FILE, "utf-8")
    summary = job.run(models=["c/claude-haiku-4-5"])
    answers = as_a_script_for_openai_reads(job.output.read_text("utf-8"))
    assert list(answers) == ["request-1", "request-2"]
    assert all("Hello" in answer for answer in answers.values())
    asked = [record.payload for record in simulator.requests]
    assert [payload["model"] for payload in asked] == ["claude-haiku-4-5"] * 2
    assert [payload["max_tokens"] for payload in asked] == [1000, 1000]
    assert summary.tally.answered == 2
    ours = job.records()[1]["llm_sync"]
    assert (ours["index"], ours["provider"], ours["outcome"]) == (1, "c", "answered")
    assert [adjustment["parameter"] for adjustment in ours["adjustments"]] == ["user"]
    assert job.run(models=["c/claude-haiku-4-5"]).sent == 0


def line(number: int, **body: Any) -> dict[str, Any]:
    """A line of such a file."""
    content = {"model": "a/m", "messages": [{"role": "user", "content": f"p{number}"}], **body}
    return {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions", "body": content}


def test_failures_are_results_as_openai_writes_them(job: Batch, far: Far) -> None:
    """An HTTP error with its status and body; what no answer came of, or an unusable one, as an error."""
    far.script("p0", failure(400, "no"))
    far.script("p1", completion("so far", "content_filter"))
    far.script("p2", completion("half", "length"))
    far.script("p3", *[failure(503)] * 3)
    job.lines(*(line(number) for number in range(5)))
    job.run()
    records = job.records()
    assert records[0]["response"]["status_code"] == 400
    assert records[0]["response"]["body"]["error"]["message"].startswith("a/m: no")
    assert (records[1]["response"], records[1]["error"]["code"]) == (None, "content_filter")
    assert records[1]["error"]["text"] == "so far"
    assert "text" not in records[0]["response"]["body"]["error"]
    assert records[2]["response"]["body"]["choices"][0]["finish_reason"] == "length"
    assert records[3]["response"]["status_code"] == 503
    assert [record["id"] for record in records] == [f"batch_req_{n}-{r['llm_sync']['line_hash']}" for n, r in enumerate(records)]
    summary = job.run()
    assert (summary.again, summary.sent, summary.tally.truncated) == (1, 1, 1)
    assert job.records()[3]["response"]["status_code"] == 200
    assert summary.tally.input_tokens == 4 * 3


def test_a_body_of_openais_own_is_kept_whole(job: Batch, far: Far) -> None:
    """Log probabilities and all: what OpenAI's batch would have given."""
    reply = completion("x", logprobs={"content": []})
    reply.body["system_fingerprint"] = "fp_1"
    far.script("p0", reply)
    job.lines(line(0, logprobs=True, top_logprobs=2))
    job.run()
    assert job.records()[0]["response"]["body"] == reply.body


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"url": "/v1/embeddings"}, "POST /v1/embeddings"),
        ({"method": "GET"}, "GET /v1/chat/completions"),
        ({"custom_id": 7}, "custom_id is an int"),
        ({"body": "x"}, "the body is a str"),
        ({"body": {"model": "a/m", "messages": [{"role": "user", "content": "p"}], "n": 2}}, "n=2 asks for several"),
        ({"body": {"model": 7, "messages": []}}, "model is an int"),
        ({"body": {"model": "nobody/m", "messages": [{"role": "user", "content": "p"}]}}, "no provider lists"),
    ],
)
def test_lines_that_cannot_be_converted_are_reported(job: Batch, change: dict[str, Any], told: str) -> None:
    """With what to do."""
    job.lines(line(0), {**line(1), **change})
    with pytest.raises(InvalidRequestError, match=told):
        job.run()
    job.run(skip_bad_lines=True)
    assert job.records()[1]["error"]["code"] in ("invalid_request_error", "model_not_found")


def test_one_file_has_one_form(job: Batch) -> None:
    """The form of the results is that of the first line."""
    job.lines(line(0), "p")
    with pytest.raises(InvalidRequestError, match="has no body, custom_id, method, url"):
        job.run()
    job.lines("p", line(0))
    with pytest.raises(InvalidRequestError, match="the first line is not"):
        job.run()


def test_streaming_in_a_body_is_stripped_and_reported(job: Batch, simulator: Any) -> None:
    """As everywhere."""
    job.lines(line(0, stream=True))
    job.run()
    assert [each["parameter"] for each in job.records()[0]["llm_sync"]["adjustments"]] == ["stream"]
    assert simulator.stream_attempts == 0
