"""A batch whose budget is spent stops sending, and goes on with the same command when there is money again."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from llm_sync import batch
from llm_sync.batch.budget_pause import opens_soon
from llm_sync.errors import BudgetExceededError, ClientClosedError
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import Pause, run

PRICED = "{name: m, max_tokens: 50, pricing: {input: 1, output: 100}}"


def client(open_client: Any, **options: Any) -> Any:
    """One whose requests cost less than a cent."""
    return open_client(f'providers: {{a: {{type: openai, api_key: k, base_url: "<openai>", models: [{PRICED}]}}}}', **options)


@pytest.fixture(autouse=True)
def _state(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_it_stops_when_the_money_is_spent_and_resumes(job: Any, open_client: Any) -> None:
    """No request is lost, none is counted as failed, and what was answered is not asked again."""
    job.lines(*({"prompt": f"question {number}", "model": "a/m"} for number in range(20)))
    first = batch.run(job.input, job.output, client(open_client, max_cost=0.0075))
    assert not first.complete
    assert 0 < first.tally.answered < 20
    assert first.tally.failed.total() == 0
    assert first.tally.cost <= 0.0075
    assert "the maximum of 0.0075 USD for this run" in first.held["a"]
    assert first.held_by == {"a": "BudgetExceededError"}
    assert not job.output.exists()
    second = batch.run(job.input, job.output, client(open_client, max_cost=5.0))
    assert second.complete
    assert (second.tally.answered, second.earlier, second.sent) == (20, first.tally.answered, 20 - first.tally.answered)
    assert second.unsure == 0
    assert len(job.output.read_text().splitlines()) == 20


def test_the_figures_of_a_batch_add_up_to_the_ledger_s(job: Any, open_client: Any) -> None:
    """By model, and in all."""
    from llm_sync.spending.report import spent_by

    job.lines(*({"prompt": f"question {number}", "model": "a/m"} for number in range(5)))
    summary = batch.run(job.input, job.output, client(open_client, max_cost=1.0, tag="t"))
    (row,) = spent_by("model")
    assert (row.key, row.requests, row.spent) == ("a/m", 5, pytest.approx(summary.tally.cost, abs=1e-9))
    assert (row.input_tokens, row.output_tokens) == (summary.tally.input_tokens, summary.tally.output_tokens)
    of_model = summary.to_dict()["models"]["a/m"]
    assert of_model["cost_estimate"] == pytest.approx(row.spent, abs=1e-6)
    records = [json.loads(line) for line in job.output.read_text().splitlines()]
    assert sum(record["response"]["cost_estimate"] for record in records) == pytest.approx(row.spent, abs=1e-9)
    assert [row.key for row in spent_by("tag")] == ["t"]


def test_lines_without_a_price_are_refused_before_anything_is_sent(job: Any, open_client: Any) -> None:
    """All of them in one error."""
    job.lines({"prompt": "x", "model": "a/other", "max_tokens": 5})
    with pytest.raises(Exception, match="no price of a/other is known"):
        batch.run(job.input, job.output, client(open_client, max_cost=1.0))


def test_a_window_that_opens_soon_is_waited_for() -> None:
    """One that opens later is not; a stop ends the wait."""
    soon = datetime.now(timezone.utc) - timedelta(seconds=5)
    assert run(opens_soon(BudgetExceededError("spent", opens_at=soon), CallControl()))
    assert not run(opens_soon(BudgetExceededError("spent", opens_at=soon + timedelta(hours=2)), CallControl()))
    assert not run(opens_soon(BudgetExceededError("spent"), CallControl()))
    stopped = CallControl()
    stopped.stop_retrying()
    with pytest.raises(ClientClosedError):
        run(opens_soon(BudgetExceededError("spent", opens_at=soon + timedelta(seconds=60)), stopped))


def test_the_wait_for_a_window_blocks_no_other_request() -> None:
    """It is left to the driver of the steps: a worker that has many requests in flight goes on with the others."""
    opens_at = datetime.now(timezone.utc) + timedelta(minutes=50)
    need = next(opens_soon(BudgetExceededError("spent", opens_at=opens_at), CallControl()))
    assert isinstance(need, Pause)
    assert 2990 < need.seconds < 3002
