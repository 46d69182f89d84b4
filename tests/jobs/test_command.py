"""``llm-sync batch --via batch`` and ``llm-sync batch jobs``: what is printed, and the exit status."""

from __future__ import annotations

import json

import pytest

from llm_sync.cli.command_line import run as command


@pytest.fixture
def ask(begin, monkeypatch, capsys):
    """Runs ``llm-sync batch …`` with the configuration of a batch whose time stands still; returns status, output and errors."""
    batch = begin(lines=3, speed=0)
    config = batch.folder / "c.yaml"
    config.write_text(batch.config, "utf-8")
    monkeypatch.setenv("LLM_SYNC_SIMULATOR_URL", batch.simulator.root)
    monkeypatch.setenv("LLM_SYNC_SIMULATOR_KEY", "any")

    def asked(*words: str):
        status = command(["batch", *words, "--config", str(config)])
        ran = capsys.readouterr()
        return status, ran.out, ran.err

    asked.batch = batch
    return asked


def test_submitted_jobs_are_listed_cancelled_and_collected(ask):
    """From --no-wait to the output, as cron would do it."""
    batch, words = ask.batch, (str(ask.batch.input), "-o", str(ask.batch.output), "--no-wait")
    status, out, _ = ask(*words)
    assert status == 0
    assert "1 job of 3 requests open at p; the same command collects them" in out
    status, out, _ = ask("jobs", str(batch.output))
    assert (status, out.splitlines()[0]) == (0, f"{batch.output}: 1 open job")
    assert "validating" in out
    batch.simulator.advance(100)
    status, out, _ = ask("jobs", str(batch.output), "--cancel")
    assert status == 0
    assert "What was answered until then is billed" in out
    batch.simulator.advance(100)
    status, out, _ = ask("jobs", str(batch.output), "--json")
    assert [(job["requests"], job["state"]) for job in json.loads(out)] == [(3, "cancelled")]
    status, out, _ = ask(*words)
    assert status == 9
    assert "3 requests" in out
    assert ask("jobs", str(batch.output))[1] == f"{batch.output}: no open jobs\n"


def test_the_summary_has_the_open_jobs_as_json(ask):
    """For programs that watch."""
    status, out, _ = ask(str(ask.batch.input), "-o", str(ask.batch.output), "--no-wait", "--json")
    summary = json.loads(out)
    jobs = summary["jobs"]
    assert [provider["seconds"] for provider in summary["providers"].values()] == [0.0]  # none has ended
    assert (status, [(job["provider"], job["requests"], job["lost"]) for job in jobs]) == (0, [("p", 3, "")])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("in.jsonl",), "the following arguments are required: -o/--output"),
        (("jobs",), "jobs needs one output"),
        (("jobs", "a", "b"), "jobs needs one output"),
        (("jobs", "a", "--text"), "--text does not apply to jobs"),
        (("in.jsonl", "-o", "out.jsonl", "--cancel"), "--cancel is for 'llm-sync batch jobs OUTPUT'"),
        (("in.jsonl", "-o", "out.jsonl", "--via", "fax"), "invalid choice: 'fax'"),
        (("in.jsonl", "-o", "out.jsonl", "--poll-every", "0"), "--poll-every"),
    ],
)
def test_what_makes_no_sense_is_an_error_of_usage(ask, words, message):
    """Before anything is opened."""
    status, _, err = ask(*words)
    assert (status, message in err) == (2, True), err


def test_an_output_without_a_batch_has_no_jobs(ask):
    """Nor has a folder that does not exist."""
    assert ask("jobs", "no/such/file")[:2] == (0, "no/such/file: no open jobs\n")
