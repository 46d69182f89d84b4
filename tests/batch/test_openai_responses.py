"""Lines of OpenAI's batch files to the Responses API run against any provider, and their results have its form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from batch_apparatus import CONFIG, Batch

from llm_sync.errors import InvalidRequestError

NATIVE = CONFIG + '  r: {type: openai-responses, api_key: k, base_url: "<openai>", models: [gpt-4o-mini]}\n'


@pytest.fixture
def job(tmp_path: Any, open_client: Callable[..., Any]) -> Batch:
    """Of a client with a provider that speaks the Responses API itself; no replies are scripted."""
    return Batch(tmp_path, open_client(NATIVE))


@pytest.fixture
def far() -> Callable[[Any], None]:
    """The simulator answers by itself."""
    return lambda record: None


def line(number: int = 0, **body: Any) -> dict[str, Any]:
    """A line, by OpenAI's documentation of batch input files."""
    asked = {"model": "gpt-4o-mini", "input": "Say hello", **body}
    return {"custom_id": f"r-{number}", "method": "POST", "url": "/v1/responses", "body": asked}


MODELS = ["r/gpt-4o-mini", "a/m", "c/claude-haiku-4-5"]


def test_a_line_runs_against_any_provider(job: Batch) -> None:
    """Of the same API, of chat completions, and of another vendor's; the body of each result is a Response."""
    items = [{"role": "developer", "content": "Be short."}, {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]
    job.lines(line(0, instructions="In French.", max_output_tokens=50), line(1, input=items, temperature=0))
    summary = job.run(models=MODELS)
    assert (summary.tally.answered, summary.requests) == (6, 6)
    for record in job.records():
        body = record["response"]["body"]
        assert (record["response"]["status_code"], body["object"], body["status"]) == (200, "response", "completed")
        assert body["usage"]["total_tokens"] == body["usage"]["input_tokens"] + body["usage"]["output_tokens"]
        (text,) = [part["text"] for item in body["output"] if item["type"] == "message" for part in item["content"]]
        assert text
    assert [record["custom_id"] for record in job.records()] == ["r-0"] * 3 + ["r-1"] * 3
    again = job.run(models=MODELS)
    assert (again.sent, again.tally.input_tokens, again.tally.output_tokens) == (
        0,
        summary.tally.input_tokens,
        summary.tally.output_tokens,
    )


def test_lines_to_both_apis_may_be_mixed(job: Batch) -> None:
    """Each result has the form that its line asked for."""
    chat = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    job.lines(line(0), {**line(1), "url": "/v1/chat/completions", "body": chat})
    job.run(models=["a/m"])
    assert [record["response"]["body"]["object"] for record in job.records()] == ["response", "chat.completion"]


def test_what_another_provider_does_not_support_is_listed(job: Batch) -> None:
    """Beside the result; the effort of reasoning has another name in chat completions."""
    job.lines(line(reasoning={"effort": "low"}, truncation="auto", metadata={"batch": "1"}))
    job.run(models=["a/m", "c/claude-haiku-4-5"])
    adjusted = [[each["parameter"] for each in record["llm_sync"]["adjustments"]] for record in job.records()]
    assert [sorted(names) for names in adjusted] == [
        ["reasoning", "truncation"],
        ["max_tokens", "metadata", "reasoning", "truncation"],
    ]
    assert [record["response"]["body"]["metadata"] for record in job.records()][1] == {"batch": "1"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id cannot be sent. Send the earlier turns in input."),
        ({"prompt": {"id": "p"}}, "prompt cannot be sent"),
        ({"max_tokens": 5}, "'max_tokens' is unknown. Did you mean max_output_tokens?"),
        ({"messages": []}, "'messages' is unknown"),
        ({"input": None}, "input is missing"),
        ({"input": 5}, "input is an int"),
        ({"input": ""}, "the prompt is empty"),
        ({"input": [5]}, r"input\[0\] is an int"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, r"input\[0\] is of type 'item_reference'"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "type 'input_file'"),
        ({"tools": [{"type": "web_search"}]}, r"tools\[0\] is of type 'web_search'"),
        ({"tools": {}}, "tools is an empty"),
        ({"text": {"format": {"type": "json_object"}}}, "text.format cannot be sent"),
        ({"temperature": 3}, "temperature=3 is out of range"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_lines_number(job: Batch, body: dict[str, Any], reason: str) -> None:
    """Before anything is sent."""
    job.lines(line(0), line(1, **body))
    with pytest.raises(InvalidRequestError, match=f"line 2: .*{reason}"):
        job.run(models=["a/m"])
    assert not job.output.exists()


@pytest.mark.parametrize("metadata", [5, [], "x", {"a": {"b": 1}}])
def test_odd_metadata_does_not_cost_the_answer(job: Batch, metadata: Any) -> None:
    """It is echoed only if it can be."""
    job.lines(line(metadata=metadata))
    assert job.run(models=["c/claude-haiku-4-5"]).tally.answered == 1
    assert job.records()[0]["response"]["body"]["metadata"] == (metadata if isinstance(metadata, dict) else {})


def test_streaming_is_stripped(job: Batch) -> None:
    """As from every other request, and said beside the result."""
    job.lines(line(stream=True))
    assert job.run(models=MODELS).tally.answered == 3
    for record in job.records():
        assert "stream" in [each["parameter"] for each in record["llm_sync"]["adjustments"]]


def test_another_endpoint_is_named(job: Batch) -> None:
    """With those that can be sent."""
    job.lines({**line(), "url": "/v1/embeddings"})
    with pytest.raises(InvalidRequestError, match="POST /v1/embeddings. Only POST /v1/chat/completions and POST /v1/responses"):
        job.run(models=["a/m"])
