"""Gemini's batches, inline and by file, and the files they are made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from simulated_jobs import API, rows

from llm_sync.simulator import Simulator

MODEL = "/v1beta/models/gemini-2.0-flash:batchGenerateContent"
START = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
FINISH = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
Start = Callable[..., "Gemini"]


class Gemini(API):
    """Gemini's calls."""

    def upload(self, content: bytes) -> Any:
        """An uploaded file."""
        status, _ = self.call("POST", "/upload/v1beta/files", {"file": {"displayName": "lines"}}, START)
        assert status == 200
        path = self.answer_headers["x-goog-upload-url"].removeprefix(self.simulator.root + self.base)
        return self.call("POST", path, content, FINISH)[1]["file"]

    def create(self, count: int = 6, *, by_file: bool = False, **request: Any) -> Any:
        """The operation of a new batch."""
        asked = [{"contents": [{"role": "user", "parts": [{"text": f"Question {n}"}]}], **request} for n in range(count)]
        if by_file:
            lines = "".join(json.dumps({"key": f"k{n}", "request": each}) + "\n" for n, each in enumerate(asked))
            config: Any = {"fileName": self.upload(lines.encode())["name"]}
        else:
            config = {"requests": {"requests": [{"request": each, "metadata": {"key": f"k{n}"}} for n, each in enumerate(asked)]}}
        return self.post(MODEL, {"batch": {"displayName": "mine", "inputConfig": config}})

    def after(self, seconds: float, operation: Any) -> Any:
        """The operation some simulated seconds later."""
        self.simulator.advance(seconds)
        return self.get(f"/v1beta/{operation['name']}")


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a simulator in which time stands still until the test advances it; the arguments are the rules of its script."""
    started: list[Simulator] = []

    def make(*rules: dict[str, Any], **jobs: Any) -> Gemini:
        script = {"jobs": {"speed": 0, **jobs}, **({"rules": list(rules)} if rules else {})}
        started.append(Simulator(script=script).start())
        return Gemini(started[-1], "/gemini", {"x-goog-api-key": "any"})

    yield make
    for simulator in started:
        simulator.stop()
        assert simulator.faults == []


def test_an_inline_batch_has_its_answers_in_the_operation(start):
    """Pending, running, succeeded; ``done`` is absent until the end, counts are texts, and the output is there twice."""
    api = start()
    made = api.create()
    assert (made["metadata"]["state"], made["metadata"]["displayName"], "done" in made) == ("BATCH_STATE_PENDING", "mine", False)
    assert made["metadata"]["batchStats"] == {"requestCount": "6", "pendingRequestCount": "6"}
    assert api.after(60, made)["metadata"]["state"] == "BATCH_STATE_RUNNING"
    done = api.after(100, made)
    assert (done["metadata"]["state"], done["done"]) == ("BATCH_STATE_SUCCEEDED", True)
    items = done["response"]["inlinedResponses"]["inlinedResponses"]
    assert items == done["metadata"]["output"]["inlinedResponses"]["inlinedResponses"]
    assert items[2]["metadata"] == {"key": "k2"}
    assert "Question 2" in items[2]["response"]["candidates"][0]["content"]["parts"][0]["text"]
    assert done["metadata"]["batchStats"] == {"requestCount": "6", "successfulRequestCount": "6"}
    bill = api.simulator.summary()["providers"]["gemini"]
    assert bill["cost_usd"] == pytest.approx((bill["input_tokens"] + 4 * bill["output_tokens"]) / 2e6)


def test_a_batch_by_file_has_a_file_of_answers(start):
    """Each row has its key; a request that is refused has an error with a code of google.rpc.Status."""
    api = start({"when": {"request": "line", "prompt": "3"}, "error": "bad_request"})
    done = api.after(200, api.create(by_file=True))
    name = done["response"]["responsesFile"]
    found = {row["key"]: row for row in rows(api.get(f"/download/v1beta/{name}:download?alt=media"))}
    assert sorted(found) == [f"k{n}" for n in range(6)]
    assert found["k3"]["error"]["code"] == 3
    assert done["metadata"]["batchStats"] == {"requestCount": "6", "successfulRequestCount": "5", "failedRequestCount": "1"}


def test_a_bad_line_refuses_the_create(start):
    """With 400; an unknown model with 404, an unknown file with 404."""
    api = start()
    bad = {"batch": {"inputConfig": {"requests": {"requests": [{"request": {"prompt": "hi"}}]}}}}
    assert api.call("POST", MODEL, bad)[0] == 400
    assert api.call("POST", MODEL, {"batch": {"inputConfig": {"fileName": api.upload(b"{no\n")["name"]}}})[0] == 400
    assert api.call("POST", MODEL, {"batch": {"inputConfig": {"fileName": "files/unknown"}}})[0] == 404
    assert api.call("POST", MODEL, {"batch": {"colour": "red"}})[0] == 400
    assert api.call("POST", MODEL.replace("2.0-flash", "nope"), bad)[0] == 404


def test_a_cancelled_batch_is_done_with_an_error(start):
    """Code 13, no results; what ran is billed."""
    api = start()
    made = api.create()
    api.simulator.advance(60)
    assert api.post(f"/v1beta/{made['name']}:cancel", {}) == {}
    done = api.after(20, made)
    assert (done["metadata"]["state"], done["error"]["code"], "response" in done) == ("BATCH_STATE_CANCELLED", 13, False)
    assert api.simulator.summary()["providers"]["gemini"]["billed"] in range(1, 6)


def test_an_expired_batch_has_no_results_at_all(start):
    """After 48 hours."""
    api = start({"job_expires": 0.5})
    made = api.create(by_file=True)
    assert api.after(86_400, made)["metadata"]["state"] == "BATCH_STATE_RUNNING"
    done = api.after(86_400, made)
    assert (done["metadata"]["state"], "response" in done) == ("BATCH_STATE_EXPIRED", False)
    assert api.call("GET", f"/download/v1beta/files/batch-{made['name'][8:]}:download?alt=media")[0] == 404


def test_the_listing_leaves_answers_out(start):
    """It has pages, the newest first."""
    api = start()
    made = [api.create(1)["name"] for _ in range(3)]
    api.simulator.advance(200)
    page = api.get("/v1beta/batches?pageSize=2")
    assert [each["name"] for each in page["operations"]] == made[:0:-1]
    assert "inlinedResponses" not in json.dumps(page)
    rest = api.get(f"/v1beta/batches?pageSize=2&pageToken={page['nextPageToken']}")
    assert ([each["name"] for each in rest["operations"]], "nextPageToken" in rest) == (made[:1], False)
    assert api.call("DELETE", f"/v1beta/{made[0]}") == (200, {})
    assert api.call("GET", f"/v1beta/{made[0]}")[0] == 404


def test_files_expire_and_are_deleted(start):
    """An input file is there for 48 hours; a repeated deletion is forbidden."""
    api = start()
    file = api.upload(b"x\n")
    assert (file["state"], file["sizeBytes"], file["displayName"]) == ("ACTIVE", "2", "lines")
    assert api.get(f"/v1beta/{file['name']}") == file
    assert api.get("/v1beta/files")["files"] == [file]
    assert api.call("DELETE", f"/v1beta/{file['name']}") == (200, {})
    assert api.call("DELETE", f"/v1beta/{file['name']}")[0] == 403
    other = api.upload(b"x\n")
    api.simulator.advance(48 * 3600)
    assert api.call("GET", f"/v1beta/{other['name']}")[0] == 403


def test_the_tier_is_named_and_billed(start):
    """flex costs half, and has no capacity at times; priority can be served as standard."""
    api = start({"when": {"nth": 2}, "no_capacity": True}, {"when": {"nth": 2}, "served_tier": "standard"})
    ask = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "serviceTier": "flex"}
    generate = "/v1beta/models/gemini-2.0-flash:generateContent"
    assert api.post(generate, ask)["usageMetadata"]["serviceTier"] == "flex"
    assert api.answer_headers["x-gemini-service-tier"] == "flex"
    assert api.call("POST", generate, ask)[0] == 503
    assert api.post(generate, {**ask, "serviceTier": "priority"})["usageMetadata"]["serviceTier"] == "standard"
