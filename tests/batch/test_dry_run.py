"""A dry run counts, checks and prices all that a run would send, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from batch_apparatus import Batch, Far, failure

from llm_sync import batch


def test_it_counts_what_would_be_sent(job: Batch, far: Far) -> None:
    """By provider and model; what earlier runs answered would not be."""
    far.script("q", *[failure(503)] * 3)
    job.lines("p", "q", {"prompt": "r", "model": "b/m2"})
    job.run(limit=2)
    asked = len(far.asked)
    found = job.dry_run()
    assert (found.requests, found.to_send, found.answered_earlier, found.asked_again) == (3, 2, 1, 1)
    assert [(share.provider, share.model, share.requests) for share in found.shares] == [("a", "m", 1), ("b", "m2", 1)]
    assert (found.problems, len(far.asked)) == ([], asked)
    assert sorted(path.name for path in job.output.parent.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_it_works_without_an_output(job: Batch) -> None:
    """And beside an output that another run has open."""
    job.lines("p")
    found = batch.dry_run(job.input, None, job.client)
    assert (found.to_send, found.problems) == (1, [])


def test_it_reports_all_that_is_wrong_at_once(job: Batch, open_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad lines, missing keys; a run would stop at the first."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    client = open_client(
        'providers: {a: {type: openai, api_key: "${NO_SUCH_KEY}", base_url: "<openai>", models: [m]}, '
        'b: {type: openai, api_key: "${NO_SUCH_KEY}", base_url: "<openai>", models: [m2]}}'
    )
    job.lines("p", {"promt": "x"}, {"prompt": "r", "model": "b/m2"})
    found = batch.dry_run(job.input, job.output, client)
    assert [type(problem).__name__ for problem in found.problems] == [
        "InvalidRequestError",
        "AuthenticationError",
        "AuthenticationError",
    ]
    assert "line 2" in str(found.problems[0])
    assert found.to_dict()["problems"][1]["type"] == "AuthenticationError"


def test_it_reports_what_a_run_would_refuse(job: Batch) -> None:
    """Changed settings, and answers that would be lost."""
    job.lines("p", "q")
    job.run()
    assert "other settings" in str(job.dry_run(fields={"temperature": 1}).problems[0])
    assert "would be lost" in str(job.dry_run(models=["b/m2"]).problems[0])


def test_the_cost_is_bounded_where_prices_and_limits_are_known(job: Batch, far: Far) -> None:
    """No run costs more: a token is a byte at least, and no answer is longer than its limit."""
    lines = [{"prompt": "ein längerer prompt €" * 5, "model": "a/n"}, {"prompt": "x", "model": "a/n", "max_tokens": 7}]
    job.lines(*lines)
    found = job.dry_run()
    (share,) = found.shares
    assert share.output_tokens == 57
    assert share.input_tokens >= sum(len(line["prompt"].encode()) for line in lines)
    assert found.cost == share.cost == pytest.approx((share.input_tokens * 1 + 57 * 2) / 1e6)
    assert found.to_dict()["cost_at_most"] == found.cost


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"prompt": "p", "model": "a/m"}, "no pricing"),
        ({"prompt": "p", "model": "a/q"}, "max_tokens"),
        ({"prompt": "p", "model": "a/q", "max_tokens": 5, "images": ["https://x.example/a.png"]}, "image"),
        ({"prompt": "p", "model": "c/claude"}, None),
    ],
)
def test_an_unknown_cost_is_reported_as_unknown(job: Batch, open_client: Any, line: dict[str, Any], why: str | None) -> None:
    """A wrong bound would be worse than none."""
    client = open_client(
        'providers: {a: {type: openai, api_key: k, base_url: "<openai>", models: '
        "[m, {name: q, pricing: {input: 1, output: 1}}]}, "
        'c: {type: anthropic, api_key: k, base_url: "<anthropic>", models: [{name: claude, pricing: {input: 1, output: 1}}]}}'
    )
    job.lines(line)
    found = batch.dry_run(job.input, None, client)
    assert (found.cost is None) == (why is not None)
    assert why is None or why in str(found.shares[0].unknown)


def test_skipped_lines_are_counted(job: Batch) -> None:
    """They would be failures."""
    job.lines("p", {"promt": "x"})
    found = job.dry_run(skip_bad_lines=True)
    assert (found.requests, found.to_send, found.skipped, found.problems) == (2, 1, 1, [])
    assert not job.part.exists()


def test_a_dry_run_of_a_restart_counts_everything(job: Batch, far: Far) -> None:
    """What a stopped run has counts for nothing then: all of it would be paid for."""
    job.lines(*(f"p{number}" for number in range(30)))

    def stop(snapshot: batch.Snapshot) -> None:
        if snapshot.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run(progress=stop)
    assert job.dry_run().to_send < 30
    assert job.dry_run(restart=True).to_send == 30
    assert job.part.exists()


@pytest.mark.parametrize(("former", "current"), [("Rehearsal", "DryRun"), ("rehearse", "dry_run")])
def test_the_former_names_warn_and_still_work(former: str, current: str) -> None:
    """Programs written against them run for another minor version."""
    with pytest.warns(DeprecationWarning, match=f"llm_sync.batch.{former} is now llm_sync.batch.{current}"):
        assert getattr(batch, former) is getattr(batch, current)


def test_the_expected_cost_comes_from_the_answers_there_are(job: Batch, far: Far, open_client: Any) -> None:
    """A tenth of the lines were answered: the others will cost as much each."""
    client = open_client(PRICED_CLIENT)
    job.lines(*({"prompt": f"question {number}", "model": "a/q", "max_tokens": 500} for number in range(20)))
    sample = batch.run(job.input, job.output, client, limit=2)
    found = batch.dry_run(job.input, job.output, client)
    (share,) = found.shares
    assert (found.answered_earlier, share.requests, share.expected_from, share.expected_answers) == (2, 18, "answers", 2)
    assert share.expected == found.expected_cost == pytest.approx(18 * sample.tally.cost / 2)
    assert found.cost is not None
    assert found.cost > 10 * share.expected
    assert found.to_dict()["cost_expected"] == found.expected_cost


def test_without_answers_the_expected_cost_is_a_guess(job: Batch, open_client: Any) -> None:
    """Below the bound, and said to be one; without a price there is none, and none for images."""
    client = open_client(PRICED_CLIENT)
    job.lines({"prompt": "x" * 4000, "model": "a/q", "max_tokens": 5000})
    (share,) = batch.dry_run(job.input, None, client).shares
    assert share.expected_from == "guess"
    assert share.expected == pytest.approx((share.input_tokens / 4 + 300) / 1e6, rel=1e-3)
    job.lines({"prompt": "x", "model": "a/m", "max_tokens": 5})
    assert batch.dry_run(job.input, None, client).expected_cost is None
    job.lines({"prompt": "x", "model": "a/q", "max_tokens": 5, "images": ["https://x.example/a.png"]})
    assert batch.dry_run(job.input, None, client).shares[0].expected is None


PRICED_CLIENT = (
    'providers: {a: {type: openai, api_key: k, base_url: "<openai>", models: [m, {name: q, pricing: {input: 1, output: 1}}]}}'
)
