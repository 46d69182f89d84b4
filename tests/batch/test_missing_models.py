"""Models that the provider says do not exist: given up after some such answers in a row, as a refused key is."""

from __future__ import annotations

from batch_apparatus import Batch, Far, failure  # type: ignore[import-not-found]


def missing(far: Far, *prompts: str) -> None:
    """Let the provider say that the model of these prompts does not exist."""
    for prompt in prompts:
        far.script(prompt, failure(404, "The model does not exist", code="model_not_found"))


def test_a_model_that_does_not_exist_is_given_up(job: Batch, far: Far) -> None:
    """The provider's other model and the other provider go on, and the same command resumes once the model is there."""
    prompts = [f"p{number}" for number in range(40)]
    missing(far, *prompts)
    others = [{"prompt": f"q{number}", "model": model} for number, model in enumerate(["a/n", "b/m2"] * 15)]
    job.lines(*prompts, *others)
    summary = job.run(give_up_after=3)
    assert not summary.complete
    assert summary.held == {"a": "3 requests in a row to m failed with ModelNotFoundError"}
    assert sum(prompt.startswith("p") for prompt in far.asked) <= 3 + 6
    assert sum(prompt.startswith("q") for prompt in far.asked) == 30
    far.scripted.clear()
    summary = job.run()
    assert (summary.complete, summary.tally.answered) == (True, 70)


def test_answers_between_them_keep_a_model(job: Batch, far: Far) -> None:
    """Only failures in a row count, and each model has its own."""
    missing(far, *(f"p{number}" for number in range(0, 12, 2)))
    job.lines(*(f"p{number}" for number in range(12)))
    assert job.run(give_up_after=2).complete
    missing(far, "r0", "r1")
    job.lines("r0", {"prompt": "r1", "model": "a/n"}, "r2")
    assert job.run(give_up_after=2, restart=True).complete


def test_a_model_is_never_given_up_on_demand(job: Batch, far: Far) -> None:
    """0 asks them all."""
    prompts = [f"p{number}" for number in range(15)]
    missing(far, *prompts)
    job.lines(*prompts)
    summary = job.run(give_up_after=0)
    assert (summary.complete, summary.failed) == (True, 15)


def test_a_model_that_fails_with_the_last_request_leaves_nothing(job: Batch, far: Far) -> None:
    """Every request has its outcome: the output is written."""
    missing(far, "p0", "p1", "p2")
    job.lines("p0", "p1", "p2")
    summary = job.run(give_up_after=3)
    assert (summary.complete, summary.held, job.texts()) == (True, {}, ["ModelNotFoundError"] * 3)
