"""Mistral's files and batch jobs, and Groq's batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from simulated_jobs import API, chat_lines, form, rows

from llm_sync.simulator import Simulator

JOBS = "/batch/jobs"
Start = Callable[..., API]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a simulator in which time stands still until the test advances it; the arguments are the rules of its script."""
    started: list[Simulator] = []

    def make(*rules: dict[str, Any], base: str = "/mistral/v1", **jobs: Any) -> API:
        script = {"jobs": {"speed": 0, **jobs}, **({"rules": list(rules)} if rules else {})}
        started.append(Simulator(script=script).start())
        return API(started[-1], base, {"authorization": "Bearer any"})

    yield make
    for simulator in started:
        simulator.stop()
        assert simulator.faults == []


def request(number: int, **changes: Any) -> dict[str, Any]:
    """One request of a job; the model is the job's."""
    return {"custom_id": f"id-{number}", "body": {"messages": [{"role": "user", "content": f"Question {number}"}], **changes}}


def create(api: API, requests: list[dict[str, Any]] | None = None, **changes: Any) -> Any:
    """A job made of an uploaded file."""
    asked = [request(number) for number in range(6)] if requests is None else requests
    content = "".join(json.dumps(each) + "\n" for each in asked).encode()
    file = api.call("POST", "/files", *form({"purpose": "batch"}, content))[1]
    document = {"input_files": [file["id"]], "endpoint": "/v1/chat/completions", "model": "mistral-small-latest", **changes}
    return api.post(JOBS, document)


def after(api: API, seconds: float, job: Any, query: str = "") -> Any:
    """The job some simulated seconds later."""
    api.simulator.advance(seconds)
    return api.get(f"{JOBS}/{job['id']}{query}")


def test_a_job_goes_through_its_states(start):
    """QUEUED, RUNNING, SUCCESS; the rows are in its output file, which never expires."""
    api = start()
    job = create(api)
    assert (job["status"], job["total_requests"], job["errors"]) == ("QUEUED", 0, [])
    assert after(api, 60, job)["status"] == "RUNNING"
    done = after(api, 100, job)
    assert (done["status"], done["succeeded_requests"], done["error_file"]) == ("SUCCESS", 6, None)
    found = rows(api.get(f"/files/{done['output_file']}/content"))
    assert [row["custom_id"] for row in found] == [f"id-{number}" for number in range(6)]
    assert "Question 2" in found[2]["response"]["body"]["choices"][0]["message"]["content"]
    api.simulator.advance(10**7)
    assert api.get(f"/files/{done['output_file']}/content")


def test_the_error_of_a_failed_row_is_a_text(start):
    """JSON within JSON, as recorded."""
    api = start()
    done = after(api, 200, create(api, [request(0), request(1, temperature=9)]))
    assert (done["status"], done["failed_requests"]) == ("SUCCESS", 1)
    (row,) = rows(api.get(f"/files/{done['error_file']}/content"))
    assert (row["custom_id"], row["response"]["status_code"], row["error"]) == ("id-1", 400, None)
    assert json.loads(row["response"]["body"])["raw_status_code"] == 400


def test_inline_requests_make_a_file(start):
    """The server makes it; the rows come with the job if they are asked for."""
    api = start()
    job = api.post(JOBS, {"requests": [request(0)], "endpoint": "/v1/chat/completions", "model": "mistral-small-latest"})
    assert api.get(f"/files/{job['input_files'][0]}/content")
    assert after(api, 200, job)["outputs"] is None
    assert after(api, 0, job, "?inline=true")["outputs"][0]["custom_id"] == "id-0"


def test_ids_may_be_missing_or_there_twice(start):
    """The API takes both, so a client has to check them."""
    api = start()
    done = after(api, 200, create(api, [request(0), request(0), {"body": request(1)["body"]}]))
    assert [row["custom_id"] for row in rows(api.get(f"/files/{done['output_file']}/content"))] == ["id-0", "id-0", None]


def test_jobs_are_found_by_their_metadata(start):
    """Each key of the metadata is a key of the query; pages count from 0."""
    api = start()
    made = [create(api, metadata={"run": run}) for run in ("a", "b", "a")]
    found = api.get(f"{JOBS}?run=a&page_size=1")
    assert (found["total"], [each["id"] for each in found["data"]]) == (2, [made[2]["id"]])
    assert api.get(f"{JOBS}?run=a&page_size=1&page=1")["data"][0]["id"] == made[0]["id"]
    assert api.get(f"{JOBS}?run=a&status=RUNNING")["total"] == 0


def test_a_cancelled_job_keeps_what_is_done(start):
    """Its output file has the rows that were done, and the others have none."""
    api = start()
    job = create(api)
    api.simulator.advance(60)
    assert api.post(f"{JOBS}/{job['id']}/cancel", None)["status"] == "CANCELLATION_REQUESTED"
    done = after(api, 20, job)
    assert done["status"] == "CANCELLED"
    assert 0 < len(rows(api.get(f"/files/{done['output_file']}/content"))) < 6
    assert api.call("DELETE", f"{JOBS}/{job['id']}")[1]["deleted"] is True
    assert api.call("GET", f"{JOBS}/{job['id']}")[0] == 404


def test_a_job_has_a_time_limit_of_its_own(start):
    """timeout_hours, after which it has partial results."""
    api = start({"job_expires": 0.5})
    job = create(api, timeout_hours=2)
    assert after(api, 3600, job)["status"] == "RUNNING"
    done = after(api, 3600, job)
    assert (done["status"], done["completed_requests"]) == ("TIMEOUT_EXCEEDED", 3)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"endpoint": "/v1/x"}, 422),
        ({"timeout_hours": 200}, 422),
        ({"metadata": {"a": 1}}, 422),
        ({"colour": "red"}, 422),
        ({"requests": []}, 422),
        ({"input_files": ["no-uuid"]}, 422),
        ({"input_files": ["5cdf78f8-1ab4-4c3d-9d38-2dd9735dac5f"]}, 404),
    ],
)
def test_a_wrong_create_is_refused(start, changes, status):
    """With 422 and a list of the mistakes, or 404."""
    api = start()
    document = {"input_files": [], "endpoint": "/v1/chat/completions", "model": "mistral-small-latest", **changes}
    assert api.call("POST", JOBS, document)[0] == status


def test_a_bad_line_refuses_the_upload(start):
    """With 422."""
    api = start()
    assert api.call("POST", "/files", *form({"purpose": "batch"}, b'{"custom_id": "a"}\n'))[0] == 422
    assert api.call("POST", "/files", *form({"purpose": "batch"}, b"{no\n"))[0] == 422


def test_mistral_has_names_of_its_own_for_parameters(start):
    """random_seed, safe_prompt and the tool choice any."""
    api = start()
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    body = {**request(0)["body"], "model": "mistral-small-latest", "random_seed": 1, "safe_prompt": True, "tool_choice": "any"}
    assert api.post("/chat/completions", {**body, "tools": [tool]})["choices"][0]["message"]["tool_calls"]


def test_groq_has_batches_with_longer_windows(start):
    """OpenAI's wire with chat completions only; the rows name the tier batch."""
    api = start(base="/groq/openai/v1")
    file = api.call("POST", "/files", *form({"purpose": "batch"}, chat_lines(["hi"], "llama-3.1-8b-instant")))[1]["id"]
    document = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "7d"}
    batch = api.post("/batches", document)
    assert batch["expires_at"] - batch["created_at"] == 7 * 86_400
    api.simulator.advance(200)
    done = api.get(f"/batches/{batch['id']}")
    (row,) = rows(api.get(f"/files/{done['output_file_id']}/content"))
    assert row["response"]["body"]["service_tier"] == "batch"
    assert api.call("POST", "/batches", {**document, "endpoint": "/v1/responses"})[0] == 400
