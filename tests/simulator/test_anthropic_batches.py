"""Anthropic's Message Batches: what they accept, what becomes of them, and what a script can change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from simulated_jobs import API, rows

from llm_sync.simulator import Simulator

DAY = 86_400
BATCHES = "/v1/messages/batches"
Start = Callable[..., API]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a simulator in which time stands still until the test advances it; the arguments are the rules of its script."""
    started: list[Simulator] = []

    def make(*rules: dict[str, Any], **jobs: Any) -> API:
        script = {"jobs": {"speed": 0, **jobs}, **({"rules": list(rules)} if rules else {})}
        started.append(Simulator(script=script).start())
        return API(started[-1], "/anthropic", {"x-api-key": "any", "anthropic-version": "2023-06-01"})

    yield make
    for simulator in started:
        simulator.stop()
        assert simulator.faults == []


def question(number: int, **changes: Any) -> dict[str, Any]:
    """One request of a batch."""
    messages = [{"role": "user", "content": f"Question {number}"}]
    return {
        "custom_id": f"id-{number}",
        "params": {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": messages, **changes},
    }


def create(api: API, count: int = 6) -> Any:
    """A batch of ordinary requests."""
    return api.post(BATCHES, {"requests": [question(number) for number in range(count)]})


def after(api: API, seconds: float, batch: Any) -> Any:
    """The batch some simulated seconds later."""
    api.simulator.advance(seconds)
    return api.get(f"{BATCHES}/{batch['id']}")


def results(api: API, batch: Any) -> dict[str, Any]:
    """The results by id; no id is there twice."""
    found = rows(api.get(f"{BATCHES}/{batch['id']}/results"))
    assert len({row["custom_id"] for row in found}) == len(found)
    return {row["custom_id"]: row["result"] for row in found}


def test_a_batch_is_in_progress_until_it_has_ended(start):
    """All its requests count as processing until then, and the poll says when to look again."""
    api = start()
    batch = create(api)
    assert (batch["processing_status"], batch["request_counts"]["processing"], batch["results_url"]) == ("in_progress", 6, None)
    assert after(api, 60, batch)["request_counts"]["processing"] == 6
    assert api.answer_headers["retry-after"] == "10"
    assert api.call("GET", f"{BATCHES}/{batch['id']}/results")[0] == 404
    ended = after(api, 100, batch)
    assert (ended["processing_status"], ended["request_counts"]["succeeded"]) == ("ended", 6)
    assert ended["results_url"] == f"{api.simulator.root}/anthropic{BATCHES}/{batch['id']}/results"
    assert "retry-after" not in api.answer_headers
    message = results(api, ended)["id-3"]["message"]
    assert "Question 3" in message["content"][0]["text"]
    assert message["usage"]["service_tier"] == "batch"
    bill = api.simulator.summary()["providers"]["anthropic"]
    assert bill["cost_usd"] == pytest.approx((bill["input_tokens"] + 4 * bill["output_tokens"]) / 2e6)


def test_params_are_checked_line_by_line(start):
    """A bad request is an errored row with an error in an error; the others succeed, whatever their model."""
    api = start()
    requests = [
        question(0),
        question(1, messages=[]),
        question(2, stream=True),
        question(3, model="claude-does-not-exist"),
        question(4, model="claude-opus-4-1"),
    ]
    ended = after(api, 200, api.post(BATCHES, {"requests": requests}))
    found = results(api, ended)
    assert [found[f"id-{number}"]["type"] for number in range(5)] == ["succeeded", *["errored"] * 3, "succeeded"]
    assert found["id-3"]["error"]["error"]["type"] == "not_found_error"
    assert ended["request_counts"] == {"processing": 0, "succeeded": 2, "errored": 3, "canceled": 0, "expired": 0}
    assert api.simulator.summary()["providers"]["anthropic"]["billed"] == 2


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [{"custom_id": "a b", "params": {}}],
        [{"custom_id": "a"}],
        [{"custom_id": "a", "params": {}}, {"custom_id": "a", "params": {}}],
        [{"custom_id": "x" * 65, "params": {}}],
        "none",
    ],
    ids=["empty", "id with a blank", "no params", "an id twice", "a long id", "no list"],
)
def test_bad_ids_refuse_the_create(start, requests):
    """With 400, and nothing is made."""
    api = start()
    assert api.call("POST", BATCHES, {"requests": requests})[0] == 400
    assert api.get(BATCHES)["data"] == []


def test_a_cancelled_batch_keeps_what_is_done(start):
    """It is canceling first; then each request has a result, succeeded or canceled."""
    api = start()
    batch = create(api)
    api.simulator.advance(60)
    cancelling = api.post(f"{BATCHES}/{batch['id']}/cancel", None)
    assert cancelling["processing_status"] == "canceling"
    assert cancelling["cancel_initiated_at"]
    assert api.call("DELETE", f"{BATCHES}/{batch['id']}")[0] == 400
    ended = after(api, 20, batch)
    kinds = [result["type"] for result in results(api, ended).values()]
    assert sorted(set(kinds)) == ["canceled", "succeeded"]
    assert ended["request_counts"]["canceled"] == kinds.count("canceled")
    assert api.call("DELETE", f"{BATCHES}/{batch['id']}")[1] == {"id": batch["id"], "type": "message_batch_deleted"}
    assert api.call("GET", f"{BATCHES}/{batch['id']}")[0] == 404


def test_an_expired_batch_has_partial_results(start):
    """After a day it ends; the requests that were not done are expired, and not billed."""
    api = start({"job_expires": 0.5})
    ended = after(api, DAY, create(api))
    kinds = [result["type"] for result in results(api, ended).values()]
    assert kinds == ["succeeded"] * 3 + ["expired"] * 3
    assert api.simulator.summary()["providers"]["anthropic"]["billed"] == 3


def test_a_batch_never_fails_as_a_whole(start):
    """job_fails: every row is errored, as when the credit is used up."""
    api = start({"job_fails": True})
    found = results(api, after(api, 200, create(api)))
    assert {result["type"] for result in found.values()} == {"errored"}
    assert "credit balance" in found["id-0"]["error"]["error"]["message"]


def test_a_full_queue_refuses_the_create(start):
    """With 429: there is nothing to wait for in a batch that does not exist."""
    api = start(enqueued_tokens=300)
    batch = create(api)
    after(api, 20, batch)
    assert api.call("POST", BATCHES, {"requests": [question(number) for number in range(6)]})[0] == 429


def test_results_are_gone_after_29_days(start):
    """The batch stays listed."""
    api = start()
    ended = after(api, 200, create(api))
    assert results(api, ended)
    assert after(api, 29 * DAY, ended)["processing_status"] == "ended"
    assert api.call("GET", f"{BATCHES}/{ended['id']}/results")[0] == 404


def test_the_listing_has_pages_in_both_directions(start):
    """The newest batch first, with after_id and before_id."""
    api = start()
    made = [create(api, 1)["id"] for _ in range(5)]
    first = api.get(f"{BATCHES}?limit=2")
    assert ([each["id"] for each in first["data"]], first["has_more"]) == (made[:2:-1], True)
    rest = api.get(f"{BATCHES}?limit=9&after_id={first['last_id']}")
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (made[2::-1], False)
    before = api.get(f"{BATCHES}?limit=1&before_id={made[2]}")
    assert ([each["id"] for each in before["data"]], before["has_more"]) == ([made[3]], True)
    assert api.call("GET", f"{BATCHES}?limit=0")[0] == 400
