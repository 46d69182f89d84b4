"""OpenAI's files and Batch API: what it accepts, what becomes of a batch, and what a script can change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from simulated_jobs import API, chat_lines, form, rows

from llm_sync.simulator import Simulator

DAY = 86_400
PROMPTS = [f"Question {number}" for number in range(8)]
Start = Callable[..., "OpenAI"]


class OpenAI(API):
    """OpenAI's calls."""

    def upload(self, content: bytes, purpose: str = "batch", **fields: str) -> Any:
        """The answer to an upload."""
        return self.call("POST", "/files", *form({"purpose": purpose, **fields}, content))

    def create(self, content: bytes, endpoint: str = "/v1/chat/completions", **changes: Any) -> Any:
        """The new batch on uploaded lines."""
        file = self.upload(content)[1]["id"]
        document = {"input_file_id": file, "endpoint": endpoint, "completion_window": "24h", **changes}
        return self.post("/batches", document)

    def after(self, seconds: float, batch: Any) -> Any:
        """The batch some simulated seconds later."""
        self.simulator.advance(seconds)
        return self.get(f"/batches/{batch['id']}")

    def results(self, batch: Any) -> tuple[list[Any], list[Any]]:
        """The rows of both files."""
        names = batch["output_file_id"], batch["error_file_id"]
        output, errors = (rows(self.get(f"/files/{name}/content")) if name else [] for name in names)
        return output, errors


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a simulator in which time stands still until the test advances it; the arguments are the rules of its script."""
    started: list[Simulator] = []

    def make(*rules: dict[str, Any], base: str = "/openai/v1", **jobs: Any) -> OpenAI:
        script = {"jobs": {"speed": 0, **jobs}, **({"rules": list(rules)} if rules else {})}
        started.append(Simulator(script=script).start())
        return OpenAI(started[-1], base, {"authorization": "Bearer any", "api-key": "any"})

    yield make
    for simulator in started:
        simulator.stop()
        assert simulator.faults == []


def test_a_batch_goes_through_its_states(start):
    """It is validated, runs, is finalized and completes; only then it has a file and its usage."""
    api = start()
    batch = api.create(chat_lines(PROMPTS), metadata={"run": "7"})
    assert (batch["status"], batch["metadata"], batch["request_counts"]["total"]) == ("validating", {"run": "7"}, 0)
    seen = [api.after(seconds, batch) for seconds in (5, 40, 71, 20)]
    assert [each["status"] for each in seen] == ["validating", "in_progress", "finalizing", "completed"]
    assert 0 < seen[1]["request_counts"]["completed"] < 8
    assert [each["output_file_id"] is None for each in seen] == [True, True, True, False]
    assert seen[3]["usage"]["total_tokens"] > 0
    output, errors = api.results(seen[3])
    assert [row["custom_id"] for row in output] == [f"id-{number}" for number in range(8)]
    assert output[3]["response"]["body"]["choices"][0]["message"]["content"].count("Question 3")
    assert errors == []


def test_each_line_is_billed_at_half_the_price(start):
    """The account counts the tokens in full, and the cost by half."""
    api = start()
    api.create(chat_lines(PROMPTS))
    api.simulator.advance(200)
    bill = api.simulator.summary()["providers"]["openai"]
    assert bill["billed"] == 8
    assert bill["cost_usd"] == pytest.approx((bill["input_tokens"] + 4 * bill["output_tokens"]) / 2e6)


def test_a_bad_request_is_a_row_of_the_error_file(start):
    """A line that the API refuses has the status and the error that a single request would get, and is not billed."""
    api = start()
    batch = api.create(chat_lines(["hi"]) + chat_lines(["ho"], body={"model": "gpt-4o-mini", "messages": []}, custom_id="bad"))
    done = api.after(200, batch)
    output, errors = api.results(done)
    assert (len(output), done["request_counts"]) == (1, {"total": 2, "completed": 1, "failed": 1})
    assert (errors[0]["custom_id"], errors[0]["response"]["status_code"], errors[0]["error"]) == ("bad", 400, None)
    assert errors[0]["response"]["body"]["error"]["type"] == "invalid_request_error"
    assert api.simulator.summary()["jobs"][0]["input_tokens"] > 0


BAD = {
    "invalid_json_line": b"{not json}\n",
    "missing_required_parameter": b'{"custom_id": "x", "method": "POST", "url": "/v1/chat/completions"}\n',
    "duplicate_custom_id": chat_lines(["again"]),
    "mismatched_model": chat_lines(["other"], model="gpt-4o", custom_id="x"),
    "model_not_found": chat_lines(["other"], model="no-such-model", custom_id="x"),
    "invalid_request": chat_lines(
        ["x"],
        custom_id="x",
        body={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x"}], "service_tier": "flex"},
    ),
    "invalid_url": chat_lines(["other"], url="/v1/responses", custom_id="x"),
    "streaming_unsupported": chat_lines(["x"], custom_id="x", body={"model": "gpt-4o-mini", "messages": [], "stream": True}),
}


@pytest.mark.parametrize("code", BAD)
def test_one_bad_line_kills_the_batch(start, code):
    """The create is answered 200; the batch fails with the line's number, runs nothing and bills nothing."""
    api = start()
    failed = api.after(20, api.create(chat_lines(["hi"]) + BAD[code]))
    assert (failed["status"], failed["output_file_id"], failed["request_counts"]["total"]) == ("failed", None, 0)
    (error,) = failed["errors"]["data"]
    assert (error["code"], error["line"]) == (code, 2)
    assert "openai" not in api.simulator.summary()["providers"] or not api.simulator.summary()["providers"]["openai"]["billed"]


def test_a_cancelled_batch_keeps_what_is_done(start):
    """After a cancel no line starts; finished rows are in the output file, and the others have an error row."""
    api = start()
    batch = api.create(chat_lines(PROMPTS))
    api.simulator.advance(60)
    cancelling = api.post(f"/batches/{batch['id']}/cancel", None)
    assert cancelling["status"] == "cancelling"
    ended = api.after(20, batch)
    output, errors = api.results(ended)
    assert (ended["status"], len(output) + len(errors)) == ("cancelled", 8)
    assert 0 < len(output) < 8
    assert errors[0]["response"] is None
    assert errors[0]["error"]["code"] == "batch_cancelled"
    assert api.call("POST", f"/batches/{batch['id']}/cancel")[1]["status"] == "cancelled"


@pytest.mark.parametrize(
    "rule",
    [{"job_expires": 0.5}, {"when": {"request": "line", "prompt": "[0-3]$"}, "line_expires": True}],
    ids=["half of the batch", "certain lines"],
)
def test_an_expired_batch_has_partial_results(start, rule):
    """After a day the batch expires: what is done is in the output file, what is not in the error file, unpaid."""
    api = start(rule)
    batch = api.create(chat_lines(PROMPTS))
    assert api.after(1000, batch)["status"] == "in_progress"
    ended = api.after(DAY, batch)
    output, errors = api.results(ended)
    assert (ended["status"], len(output), len(errors)) == ("expired", 4, 4)
    assert {row["error"]["code"] for row in errors} == {"batch_expired"}
    assert api.simulator.summary()["providers"]["openai"]["billed"] == 4


def test_the_limit_of_enqueued_tokens_fails_a_batch_that_was_created(start):
    """A second batch beyond the limit is created with 200 and fails; once the first has ended, it is taken."""
    api = start(enqueued_tokens=500)
    first, second = api.create(chat_lines(PROMPTS)), api.create(chat_lines(PROMPTS))
    assert api.after(20, first)["status"] == "in_progress"
    failed = api.after(0, second)
    assert failed["status"] == "failed"
    assert failed["errors"]["data"][0]["code"] == "token_limit_exceeded"
    api.simulator.advance(200)
    assert api.after(20, api.create(chat_lines(PROMPTS)))["status"] == "in_progress"


def test_a_create_that_a_gateway_cut_off_has_made_the_batch(start):
    """With done_but, the answer is 504 and the batch runs and is billed: only the listing shows it."""
    api = start({"when": {"request": "create"}, "done_but": 504})
    file = api.upload(chat_lines(PROMPTS))[1]["id"]
    document = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    assert api.call("POST", "/batches", document)[0] == 504
    (batch,) = api.get("/batches")["data"]
    assert batch["input_file_id"] == file
    assert api.after(200, batch)["status"] == "completed"
    assert api.simulator.summary()["providers"]["openai"]["billed"] == 8


def test_rows_can_be_shuffled_missing_and_there_twice(start):
    """The three actions change the files only: every line was run and billed."""
    rules = [{"rows_shuffled": True}, {"rows_missing": 0.3}, {"rows_twice": 0.3}]
    api = start(*[{**rule, "continue": True} for rule in rules])
    ended = api.after(200, api.create(chat_lines([str(number) for number in range(60)])))
    names = [row["custom_id"] for row in api.results(ended)[0]]
    assert names != sorted(names, key=lambda name: int(name[3:]))
    assert len(set(names)) < 60
    assert len(set(names)) < len(names)
    assert api.simulator.summary()["providers"]["openai"]["billed"] == 60


def test_a_lost_line_is_counted_and_has_no_row(start):
    """As recorded from OpenAI: completed says more than there are rows."""
    api = start({"when": {"request": "line", "prompt": "3"}, "line_lost": True})
    ended = api.after(200, api.create(chat_lines(PROMPTS)))
    assert ended["request_counts"] == {"total": 8, "completed": 8, "failed": 0}
    assert ended["error_file_id"] is None
    assert len(api.results(ended)[0]) == 7


def test_counters_can_lie(start):
    """The rows are right all the same."""
    api = start({"counters_lie": True})
    ended = api.after(200, api.create(chat_lines(PROMPTS)))
    assert ended["request_counts"] == {"total": 7, "completed": 0, "failed": 8}
    assert len(api.results(ended)[0]) == 8


def test_results_are_gone_after_a_while(start):
    """results_kept: the batch still names its file, which answers 404."""
    api = start({"results_kept": DAY})
    ended = api.after(200, api.create(chat_lines(PROMPTS)))
    assert api.results(ended)[0]
    assert api.after(DAY, ended)["output_file_id"] == ended["output_file_id"]
    assert api.call("GET", f"/files/{ended['output_file_id']}/content")[0] == 404


def test_a_new_batch_can_be_missing_in_the_listing(start):
    """listed_after: it is there, and shown later."""
    api = start({"listed_after": 90})
    batch = api.create(chat_lines(PROMPTS))
    assert api.get("/batches")["data"] == []
    assert api.after(100, batch)["id"] == api.get("/batches")["first_id"]


def test_the_listing_has_pages_and_the_newest_batch_first(start):
    """limit and after, as documented."""
    api = start()
    made = [api.create(chat_lines([str(number)]))["id"] for number in range(5)]
    page = api.get("/batches?limit=2")
    assert ([each["id"] for each in page["data"]], page["has_more"]) == (made[:2:-1], True)
    rest = api.get(f"/batches?limit=100&after={page['last_id']}")
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (made[2::-1], False)


def test_files_are_listed_read_and_deleted(start):
    """An upload is a file with an expiry of 30 days; another key does not see it."""
    api = start()
    file = api.upload(b"x\n", **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"})[1]
    assert file["expires_at"] - file["created_at"] == 3600
    assert api.get(f"/files/{file['id']}/content") == b"x\n"
    assert api.get("/files?purpose=batch")["data"] == [file]
    assert api.call("GET", f"/files/{file['id']}", headers={"authorization": "Bearer other"})[0] == 404
    assert api.call("DELETE", f"/files/{file['id']}")[1] == {"id": file["id"], "object": "file", "deleted": True}
    assert api.call("GET", f"/files/{file['id']}")[0] == 404


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"window": "24h"}, "window"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"endpoint": "/v1/audio"}, "endpoint"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"input_file_id": None}, "input_file_id"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 5}}, "output_expires_after.seconds"),
    ],
)
def test_a_wrong_create_is_refused(start, changes, param):
    """With 400 and the parameter's name."""
    api = start()
    document = {"input_file_id": "file-x", "endpoint": "/v1/chat/completions", "completion_window": "24h", **changes}
    status, body = api.call("POST", "/batches", document)
    assert (status, body["error"]["param"]) == (400, param)


def test_a_wrong_upload_is_refused(start):
    """Another purpose, another extension, an unknown field, and no form at all."""
    api = start()
    assert api.upload(b"x", purpose="party")[0] == 400
    assert api.call("POST", "/files", *form({"purpose": "batch"}, b"x", "lines.txt"))[0] == 400
    assert api.upload(b"x", colour="red")[1]["error"]["param"] == "colour"
    assert api.call("POST", "/files", b"{}")[0] == 400
    assert api.call("GET", "/batches/batch_x")[1]["error"]["code"] is None


def test_azure_serves_the_same(start):
    """Under its v1 base, with api-key."""
    api = start(base="/azure/openai/v1")
    ended = api.after(200, api.create(chat_lines(["hi"])))
    assert len(api.results(ended)[0]) == 1


def test_time_is_accelerated_by_the_script():
    """speed: simulated seconds per second."""
    with Simulator(script={"jobs": {"speed": 100_000}}) as simulator:
        api = OpenAI(simulator, "/openai/v1", {"authorization": "Bearer any"})
        batch = api.create(chat_lines(["hi"]))
        while batch["status"] != "completed":
            batch = api.get(f"/batches/{batch['id']}")
        assert batch["completed_at"] - batch["created_at"] in range(119, 200)


def test_the_time_can_be_advanced_over_http(start):
    """POST /_simulator/advance, for tests in other processes."""
    api = start()
    batch = api.create(chat_lines(["hi"]))
    plain = API(api.simulator, "", {})
    assert plain.call("POST", "/_simulator/advance?seconds=500")[0] == 200
    assert plain.get("/_simulator/summary")["jobs"][0]["state"] == "completed"
    assert plain.call("POST", "/_simulator/advance?seconds=-1")[0] == 400
    assert api.get(f"/batches/{batch['id']}")["status"] == "completed"
