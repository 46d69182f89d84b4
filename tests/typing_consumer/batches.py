"""A program that runs batches, as a type checker sees it."""

from __future__ import annotations

from pathlib import Path

from llm_sync import LLMClient, ModelRequest, batch


def run(client: LLMClient, questions: Path) -> bool:
    """A file of questions, watched while it runs."""
    shown: list[str] = []

    def progress(snapshot: batch.Snapshot) -> None:
        shown.extend(f"{lane.provider}: {lane.done} of {lane.total}" for lane in snapshot.lanes)

    estimate: batch.DryRun = batch.dry_run(str(questions), None, client, models=["openai/gpt-4o-mini"])
    print(estimate.to_send, estimate.cost, [problem.message for problem in estimate.problems])
    summary: batch.Summary = batch.run(
        str(questions),
        "answers.jsonl",
        client,
        models=["openai/gpt-4o-mini"],
        fields={"max_tokens": 100},
        shard=(1, 2),
        max_retries=2,
        progress=progress,
    )
    reason: str | None = summary.unfit(max_error_rate=0.01, fail_on_truncated=True)
    return summary.complete and reason is None


def from_memory(client: LLMClient) -> int:
    """Requests that are objects, then the outputs of shards put together."""
    batch.run([ModelRequest("one"), ModelRequest("two")], Path("one.jsonl"), client)
    merged: batch.Merged = batch.merge(["one.jsonl", Path("two.jsonl")], "all.jsonl")
    return merged.answered
