"""Long batches: fifty kills, a million lines, and providers that do not wait for each other."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import LastRequests  # type: ignore[import-not-found]

from llm_sync.simulator import Simulator

ROOT = Path(__file__).parents[2]
LINES, KILLS = 2000, 50
MODELS = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "openrouter/openai/gpt-4o-mini")
# 1 to 20 ms; 3 % of the attempts meet trouble that passes, and 1 % of the requests get what is no good answer, whenever asked.
SCRIPT = {
    "rules": [
        {"latency": {"uniform": [0.001, 0.02]}, "continue": True},
        {"when": {"share": 0.005}, "refusal": True},
        {"when": {"share": 0.005}, "truncated": 12},
        {"when": {"probability": 0.01, "attempt": [1, 2]}, "error": "overloaded"},
        {"when": {"probability": 0.01, "attempt": [1, 2]}, "error": {"kind": "rate_limit", "retry_after": 0.05}},
        {"when": {"probability": 0.005, "attempt": [1, 2]}, "error_in_200": "overloaded"},
        {"when": {"probability": 0.005, "attempt": [1, 2]}, "reset": "mid_body"},
    ]
}
UNBILLED = {"overloaded", "rate_limit", "error_in_200", "reset"}


def benchmark(name: str) -> Any:
    """A script of benchmarks/ as a module."""
    folder = str(ROOT / "benchmarks")
    sys.path.insert(0, folder)
    try:
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", f"{folder}/{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


@pytest.fixture
def last() -> LastRequests:
    """The requests in flight at a kill."""
    return LastRequests()


@pytest.fixture
def far(last: LastRequests) -> Iterator[Simulator]:
    """Four providers of four dialects."""
    with Simulator(script=SCRIPT, on_request=last) as started:
        yield started
        assert started.faults == []


def configure(folder: Path, far: Simulator) -> None:
    """Write a configuration and an input into ``folder``."""
    providers = "\n".join(
        f"  {kind}: {{api_key: k, base_url: '{far.url(kind)}'}}" for kind in ("openai", "anthropic", "gemini", "openrouter")
    )
    (folder / "llms.yaml").write_text(f"defaults: {{retry_base: 0.01, max_retries: 5}}\nproviders:\n{providers}\n")
    with (folder / "in.jsonl").open("w") as file:
        for number in range(LINES):
            file.write(json.dumps({"id": number, "prompt": f"question {number}", "model": MODELS[number % 4]}) + "\n")


# Run in place of ``python -m llm_sync``: the journal loses every third outcome.
FORGETFUL = """
import itertools, runpy, sys
from llm_sync.batch.state.journal import Journal
add, count = Journal.add_all, itertools.count(1)
Journal.add_all = lambda self, lines: [0 if next(count) % 3 == 0 else add(self, [line])[0] for line in lines]
sys.argv[0] = "llm-sync"
runpy.run_module("llm_sync", run_name="__main__")
"""


def begin(folder: Path, output: str, *program: str) -> subprocess.Popen[bytes]:
    """Start ``llm-sync batch`` in ``folder``, or another Python ``program`` with its arguments."""
    program = program or ("-m", "llm_sync")
    command = [sys.executable, *program, "batch", "--config", "./llms.yaml", "in.jsonl", "-o", output, "--json"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The summary of a run, when it has ended."""
    out, err = process.communicate(timeout=600)
    assert process.returncode in (0, 9), err.decode()
    told: dict[str, Any] = json.loads(out)
    return told


def told(path: Path) -> list[Any]:
    """The parts of a record that are equal in two runs of the same batch."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        record = json.loads(line)
        answer = record["response"] or {}
        kept = [answer.get(name) for name in ("text", "model", "finish_reason", "usage", "truncated")]
        found.append(
            [record["index"], record["id"], record["provider"], record["model"], kept, (record["error"] or {}).get("type")]
        )
    return found


def killed(folder: Path, far: Simulator, last: LastRequests, kills: int, *program: str) -> int:
    """Kill a run at random moments and start it again; returns how many billed requests were in flight at the kills."""
    chance = random.Random(2026)  # noqa: S311  (not a secret)
    in_flight = 0
    for _ in range(kills):
        process = begin(folder, "out.jsonl", *program)
        far.wait_for_requests(len(far.requests) + chance.randrange(5, 65), timeout=60)
        last.forget_closed()
        process.kill()
        process.communicate()
        far.wait_for_connections(at_most=0)  # what it sent is all in the account
        outcomes = {record.index: record.outcome for record in far.requests}
        in_flight += last.closed(lambda record: outcomes[record.index] not in UNBILLED)  # noqa: B023  (called at once)
    return in_flight


def more_than_lines(far: Simulator) -> int:
    """The number of billed requests beyond one for each line."""
    return sum(record.outcome not in UNBILLED for record in far.requests) - LINES


def test_fifty_kills(far: Simulator, last: LastRequests, tmp_path: Path) -> None:
    """Killed at fifty random moments and resumed each time: every line once, in order, as undisturbed; nothing paid for twice
    but what was in flight at a kill by the server's own account, and that is listed."""
    configure(tmp_path, far)
    with Simulator(script=SCRIPT) as undisturbed:
        (tmp_path / "calm").mkdir()
        configure(tmp_path / "calm", undisturbed)
        end(begin(tmp_path / "calm", "out.jsonl"))
        expected = told(tmp_path / "calm" / "out.jsonl")
        alone = len(undisturbed.requests)
    in_flight = killed(tmp_path, far, last, KILLS)
    killed_at = len(far.requests)
    assert not (tmp_path / "out.jsonl").exists()
    summary = end(begin(tmp_path, "out.jsonl"))
    assert [record[0] for record in told(tmp_path / "out.jsonl")] == list(range(LINES))
    assert told(tmp_path / "out.jsonl") == expected
    sent, more, unsure = len(far.requests), more_than_lines(far), summary["possibly_billed"]
    print(
        f"\n{KILLS} kills within the first {killed_at} requests. Undisturbed {alone} requests, killed {sent}: {LINES} lines, "
        f"{sent - LINES - more} failed attempts, {more} more. In flight at the kills by the server's count {in_flight}; "
        f"listed as possibly billed {unsure}"
    )
    assert more <= in_flight <= len(MODELS) * KILLS
    broken_off = sum(record.outcome == "reset" for record in far.requests)  # answers that may be billed, without a kill
    assert more <= unsure <= len(MODELS) * KILLS + broken_off
    asked: dict[str, int] = {}
    for record in far.requests:
        if record.outcome not in UNBILLED:
            text = json.dumps(record.payload)
            number = text[text.index("question ") + 9 :].partition('"')[0]
            asked[number] = asked.get(number, 0) + 1
    listed = {str(each["index"]): each["times"] for each in summary["possibly_billed_requests"]}
    assert all(listed.get(number, 0) >= count - 1 for number, count in asked.items())


def test_the_count_of_kills_would_tell_of_lost_answers(far: Simulator, last: LastRequests, tmp_path: Path) -> None:
    """With a journal that loses every third outcome, more is billed twice than was in flight: the check can fail."""
    configure(tmp_path, far)
    in_flight = killed(tmp_path, far, last, 12, "-c", FORGETFUL)
    end(begin(tmp_path, "out.jsonl"))
    more = more_than_lines(far)
    print(f"\n12 kills with a forgetful journal: {more} more, {in_flight} in flight")
    assert more > in_flight


def test_a_million_lines() -> None:
    """Memory does not grow with the input, and a run that is 90 % done resumes within a minute."""
    script = benchmark("batch_scale")
    found = script.measured((100_000, 1_000_000), 100_000, 20_000)
    script.show(found)
    checks = script.bounds(found)
    assert [check["what"] for check in checks if not check["met"]] == []


def test_the_slowest_lane_is_the_batch() -> None:
    """Four providers of 5 to 40 ms take as long together as the slowest one alone."""
    found = benchmark("batch_lanes").measured(5)
    print(f"\nthe batch over the slowest lane alone: {found}")
    assert found["ratio"]["median"] <= 1.10
