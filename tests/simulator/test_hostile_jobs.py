"""Malformed calls to the APIs of files and jobs: each gets an answer, and none is an internal error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from simulated_jobs import API, chat_lines, form

from llm_sync.simulator import Simulator

HEADERS = {"authorization": "Bearer k", "x-api-key": "k", "anthropic-version": "2023-06-01"}
PLACES = {
    "/openai/v1/batches": HEADERS,
    "/openai/v1/files": HEADERS,
    "/openai/v1/responses": HEADERS,
    "/groq/openai/v1/batches": HEADERS,
    "/mistral/v1/batch/jobs": HEADERS,
    "/mistral/v1/files": HEADERS,
    "/xai/v1/chat/completions": HEADERS,
    "/anthropic/v1/messages/batches": HEADERS,
    "/gemini/v1beta/models/gemini-2.0-flash:batchGenerateContent": {"x-goog-api-key": "k"},
    "/gemini/v1beta/batches": {"x-goog-api-key": "k"},
    "/gemini/upload/v1beta/files": {"x-goog-api-key": "k"},
}
DEEP = b"[" * 50_000
DOCUMENTS: list[Any] = [
    {"input_file_id": 1, "endpoint": {}, "completion_window": []},
    {"input_file_id": "f", "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": [1]},
    {
        "input_file_id": "f",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "output_expires_after": {"anchor": []},
    },
    {"requests": [1, None]},
    {"requests": [{"custom_id": "a", "params": {"model": {}, "messages": 5}}]},
    {"requests": [{"body": {}}, {"custom_id": 5, "body": {"messages": []}}], "endpoint": "/v1/chat/completions"},
    {"requests": [{"body": {}}], "endpoint": "/v1/ocr", "model": 7},
    {"batch": {"inputConfig": {"requests": {"requests": [{"request": {"contents": [{"parts": 5}]}, "metadata": 5}]}}}},
    {"batch": {"displayName": {}, "inputConfig": {"fileName": {"a": 1}}}},
    {"model": "gpt-4o-mini", "input": "x", "background": True, "background_options": 5},
    {"model": "gpt-4o-mini", "input": "x", "background": "yes"},
    {"model": "grok-4", "messages": [{"role": "user", "content": "x"}], "deferred": 5},
]
BODIES = [b"", b"null", b"[]", DEEP, b'{"requests":' + DEEP, b"\xff\xfe", *(json.dumps(each).encode() for each in DOCUMENTS)]
SUFFIXES = [
    *("", "/x", "/x/cancel", "/x/content", "/x/results", "//", "/x:cancel", "/x:download", "?limit=-1", "?limit=99999999999999"),
    *("?page=a", "?page_size=0", "?pageSize=-5&pageToken=%ff", "?after=zz", "?before_id=1&after_id=2"),
]


@pytest.fixture
def api() -> Iterator[API]:
    """Calls of a simulator whose jobs end at once; it must have no internal errors."""
    with Simulator(script={"jobs": {"speed": 0}}) as simulator:
        yield API(simulator, "", {})
        simulator.advance(10**6)
        assert simulator.summary()
        assert simulator.faults == []


@pytest.mark.parametrize("place", PLACES)
def test_a_malformed_call_gets_an_answer(api: API, place: str) -> None:
    """Any body, any method, any path below, any query."""
    for body in BODIES:
        assert api.call("POST", place, body, PLACES[place])[0] < 500
    for method in ("GET", "DELETE", "PUT"):
        for suffix in SUFFIXES:
            assert api.call(method, place + suffix, None, PLACES[place])[0] < 500


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0",
        DEEP,
        b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4o-mini","messages":' + DEEP,
        chat_lines(["\ud800 lone"], custom_id="\ud800"),
        chat_lines(["x"], url="/v1/embeddings", body={"model": "text-embedding-3-small", "input": {"a": 1}}),
    ],
    ids=["empty", "zeros", "deep", "deep in a line", "lone surrogates", "embeddings"],
)
def test_a_malformed_file_makes_a_batch_fail_or_its_rows(api: API, content: bytes) -> None:
    """The batch ends in any case."""
    api.headers, api.base = HEADERS, "/openai/v1"
    file = api.call("POST", "/files", *form({"purpose": "batch"}, content))[1]["id"]
    for endpoint in ("/v1/chat/completions", "/v1/embeddings"):
        batch = api.post("/batches", {"input_file_id": file, "endpoint": endpoint, "completion_window": "24h"})
        api.simulator.advance(1000)
        assert api.get(f"/batches/{batch['id']}")["status"] in ("failed", "completed")


def test_a_malformed_form_is_refused(api: API) -> None:
    """With 400, whatever is missing."""
    _, headers = form({}, b"")
    field = b'--boundary-of-the-tests\r\nContent-Disposition: form-data; name="expires_after[seconds]"\r\n\r\n\xff\r\n'
    whole = form({"purpose": "batch"}, b"x\n")[0]
    for body in (b"", whole[:-30], whole[30:], b"--boundary-of-the-tests--", field + whole):
        assert api.call("POST", "/openai/v1/files", body, {**HEADERS, **headers})[0] == 400
