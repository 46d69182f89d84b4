"""Batches by jobs: kill -9 at random writes and exchanges, for each provider, and what is bought then; fifty thousand lines."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_sync import LLMClient, batch
from llm_sync.batch import Summary
from llm_sync.batch.state.journal_file import JournalFile
from llm_sync.config import ConfigLoader
from llm_sync.jobs.anthropic_batches import AnthropicBatches
from llm_sync.jobs.gemini_batches import GeminiBatches
from llm_sync.jobs.mistral_batches import MistralBatches
from llm_sync.jobs.openai_batches import AzureBatches, GroqBatches, OpenAIBatches
from llm_sync.jobs.wire import Limits
from llm_sync.providers import background
from llm_sync.simulator import Simulator
from llm_sync.transport.client import HTTPClient

LINES, JOBS = 40, 3
RUNS = int(os.environ.get("LLM_SYNC_SOAK_KILLS", "200"))
SEED = int(os.environ.get("LLM_SYNC_SOAK_SEED", "18"))
POLL_S = 0.02
MORE_MIB = 30  # that 50,000 lines may need beyond 2,000: what is kept of each line is its place
DAY = 86_400
# The endpoint of the simulator, the provider's type, and a model.
PROVIDERS = {
    "openai": ("openai", "openai", "gpt-4o-mini"),
    "responses": ("openai", "openai-responses", "gpt-4o-mini"),
    "azure": ("azure", "openai", "gpt-4o-mini"),
    "groq": ("groq", "openai", "llama-3.1-8b-instant"),
    "anthropic": ("anthropic", "anthropic", "claude-haiku-4-5"),
    "gemini": ("gemini", "gemini", "gemini-2.0-flash"),
    "mistral": ("mistral", "openai", "mistral-small-latest"),
    "background": ("openai", "openai-responses", "gpt-4o-mini"),
}
WIRES = (OpenAIBatches, AzureBatches, GroqBatches, AnthropicBatches, GeminiBatches, MistralBatches)
# One create is made and answered 504, one job is listed late, one line is refused, rows are shuffled, polls meet trouble.
SCRIPT: dict[str, Any] = {
    "jobs": {"speed": 36_000},
    "rules": [
        {"when": {"request": "create"}, "rows_shuffled": True, "continue": True},
        {"when": {"request": "create", "nth": 2}, "listed_after": 600, "continue": True},
        {"when": {"request": "create", "nth": 2}, "done_but": 504},
        {"when": {"request": "line", "prompt": "7$"}, "error": "bad_request"},
        {"when": {"request": "poll", "nth": {"every": 5}}, "error": "overloaded"},
        {"when": {"request": "results", "nth": 2}, "reset": "mid_body"},
    ],
}
BACKGROUND: dict[str, Any] = {
    "jobs": {"speed": 36_000},
    "rules": [
        {"when": {"request": "create", "prompt": "n 3$"}, "done_but": 504},
        {"when": {"request": "line", "prompt": "7$"}, "error": "content_policy"},
        {"when": {"request": "poll", "nth": {"every": 5}}, "error": "overloaded"},
    ],
}


class Moments:
    """Counts journal writes and exchanges of this process, and kills it at one of them: before, within or after."""

    def __init__(self, at: int) -> None:
        self.count, self._at = 0, at
        self._lock = threading.Lock()

    def pass_one(self, torn: Callable[[], object] | None = None) -> None:
        """One moment; ``torn`` does half of what comes next, if the process is killed within it."""
        with self._lock:
            self.count += 1
            if self.count != self._at:
                return
            if torn is not None:
                torn()
            os.kill(os.getpid(), signal.SIGKILL)

    def patch(self) -> None:
        """From now on, moments are counted. Only for a process that ends soon."""
        write, transfer = JournalFile.write, HTTPClient.transfer

        def write_killable(file: JournalFile, line: bytes) -> None:
            self.pass_one()
            self.pass_one(lambda: write(file, line[: len(line) // 2]))
            write(file, line)
            self.pass_one()

        def transfer_killable(client: HTTPClient, *args: Any, **options: Any) -> Any:
            self.pass_one()
            reply = transfer(client, *args, **options)
            self.pass_one()
            return reply

        JournalFile.write, HTTPClient.transfer = write_killable, transfer_killable  # type: ignore[method-assign]


class Run:
    """One batch of 40 lines in 3 jobs, against a simulator of its own."""

    def __init__(self, folder: Path, name: str, simulator: Simulator) -> None:
        folder.mkdir()
        self.simulator, self.output = simulator, folder / "out.jsonl"
        self._input = folder / "in.jsonl"
        endpoint, kind, model = PROVIDERS[name]
        via = "background" if name == "background" else "batch"
        models = f"[{{name: {model}, max_tokens: 60, pricing: {{input: 1, output: 4}}}}]"
        entry = (
            f"{{type: {kind}, base_url: '{simulator.url(endpoint)}', api_key: any, via: {via}, concurrency: 8, models: {models}}}"
        )
        self._config = f"providers: {{p: {entry}}}"
        lines = [{"id": f"q{number}", "prompt": f"Question {number}"} for number in range(LINES)]
        self._input.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

    def run(self) -> Summary:
        """Run it, as the command would."""
        with LLMClient(ConfigLoader().load_text(self._config)) as client:
            return batch.run(str(self._input), str(self.output), client, poll_every=POLL_S)

    def run_killed(self, at: int) -> int | None:
        """The same in a process that is killed at a moment; the number of its moments if it was not, else None."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            status = 1
            with contextlib.suppress(BaseException):
                moments = Moments(at)
                moments.patch()
                self.run()
                os.write(writing, b"%d" % moments.count)
                status = 0
            os._exit(status)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            counted = pipe.read()
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
        return None if os.WIFSIGNALED(status) else int(counted)

    def answers(self) -> list[Any]:
        """What the output says, without what differs from run to run."""
        records = [json.loads(line) for line in self.output.read_text("utf-8").split("\n") if line]
        return [
            (each["id"], each["response"] and each["response"]["text"], each["error"] and each["error"]["type"])
            for each in records
        ]

    def bill(self) -> float:
        """What the simulator bills, also for jobs that nobody has looked at; in USD."""
        self.simulator.advance(3 * DAY)
        providers = self.simulator.summary()["providers"]
        return round(sum(provider["cost_usd"] for provider in providers.values()), 9)


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Run]]:
    """Makes runs; forty lines are three jobs."""
    for wire in WIRES:
        monkeypatch.setattr(wire, "limits", Limits(-(-LINES // JOBS), 1_000_000))
    monkeypatch.setattr(background, "FIRST_PAUSE_S", POLL_S)
    monkeypatch.setattr(background, "MAX_PAUSE_S", POLL_S)
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)  # processes are killed, not machines
    started: list[Simulator] = []

    def make(name: str) -> Run:
        started.append(Simulator(script=BACKGROUND if name == "background" else SCRIPT).start())
        monkeypatch.setenv("LLM_SYNC_SIMULATOR_URL", started[-1].root)  # the path tells whose Batch API it plays
        return Run(tmp_path / str(len(started)), name, started[-1])

    yield make
    for simulator in started:
        simulator.stop()
        assert simulator.faults == []


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_kill_loses_nothing_and_buys_nothing_twice(begin: Callable[[str], Run], name: str) -> None:
    """After kills at random moments, the same command has the same output for the same bill, or says what is not known."""
    chance = random.Random(f"{SEED} {name}")  # noqa: S311
    undisturbed = begin(name)
    total = undisturbed.run_killed(0)
    assert total
    expected, bill = undisturbed.answers(), undisturbed.bill()
    assert len(undisturbed.simulator.summary().get("jobs", ())) == (0 if name == "background" else JOBS)
    seen: Counter[str] = Counter()
    for _ in range(-(-RUNS // len(PROVIDERS))):
        run = begin(name)
        moments = [chance.randint(1, total) for _ in range(chance.choice((1, 1, 2, 3)))]
        kills = [run.run_killed(moment) is None for moment in moments]
        summary = run.run()
        where = f"{name}, kills at {moments} of {total}: {kills}"
        same, paid = run.answers() == expected, run.bill()
        if same:
            assert paid == bill, where
        else:  # what may have been bought is not bought again, and is listed
            assert paid <= bill, where
            assert summary.unsure or any(job.lost for job in summary.jobs), where
        seen["same" if same else "ambiguous"] += 1
        seen["killed"] += any(kills)
        run.simulator.stop()
    print(f"\n{name}: {total} moments, bill {bill} USD; {dict(seen)}")
    assert seen["killed"]


SPEED = 3600.0  # simulated seconds per second
MANY = {
    "jobs": {"speed": SPEED},
    "rules": [
        {"when": {"request": "line", "share": 0.02}, "error": "bad_request"},
        {"when": {"request": "line", "probability": 0.02, "attempt": 1}, "line_expires": True},
    ],
}
PROGRAM = """
import json, resource, sys
from llm_sync import LLMClient, batch
from llm_sync.config import ConfigLoader

config, source, output, poll_every = sys.argv[1:]
with LLMClient(ConfigLoader().load_text(config)) as client:
    summary = batch.run(source, output, client, poll_every=float(poll_every))
answered, failed = summary.tally.answered, dict(summary.tally.failed)
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"answered": answered, "failed": failed, "again": summary.again, "mib": most}))
"""


def run_many(simulator: Simulator, folder: Path, lines: int) -> Any:
    """One run of a batch of many lines, in a process of its own: what it says, and the most memory that it had, in MiB."""
    folder.mkdir(exist_ok=True)
    source = folder / "in.jsonl"
    if not source.exists():
        with source.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"id": f"q{number}", "prompt": f"Question {number}"}) + "\n" for number in range(lines))
    config = f"providers: {{p: {{type: openai, base_url: '{simulator.url()}', api_key: any, via: batch, models: [gpt-4o-mini]}}}}"
    argv = [sys.executable, "-c", PROGRAM, config, str(source), str(folder / "out.jsonl"), str(60 / SPEED)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=1500)
    assert done.stdout, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_fifty_thousand_lines_need_no_memory_and_few_polls(tmp_path: Path) -> None:
    """No line is lost; errors have their class; what expired is asked again; at most one poll a minute and job."""
    with Simulator(script=MANY) as simulator:
        small = run_many(simulator, tmp_path / "small", 2_000)
    started = time.monotonic()
    with Simulator(script=MANY) as simulator:
        first = run_many(simulator, tmp_path / "many", 50_000)
        expired = first["failed"].pop("ProviderUnavailableError")
        refused = first["failed"].pop("InvalidRequestError")
        assert first["answered"] + expired + refused == 50_000
        assert not first["failed"]
        assert 800 < refused < 1200
        assert 800 < expired < 1200
        second = run_many(simulator, tmp_path / "many", 50_000)
        took = time.monotonic() - started
        summary = simulator.summary()
        assert simulator.faults == []
    assert (second["again"], second["answered"], second["failed"]) == (
        expired,
        50_000 - refused,
        {"InvalidRequestError": refused},
    )
    assert summary["providers"]["openai"]["billed"] == 50_000 - refused
    for job in summary["jobs"]:
        assert job["polls"] <= 1 + job["seconds"] / 60, job
    with (tmp_path / "many" / "out.jsonl").open("rb") as file:
        assert sum(1 for _ in file) == 50_000
    jobs = [(job["lines"], job["polls"], round(job["seconds"])) for job in summary["jobs"]]
    print(f"\n50,000 lines: {first['mib']} MiB, 2,000 lines: {small['mib']} MiB; {took:.0f} s; (lines, polls, seconds): {jobs}")
    assert first["mib"] - small["mib"] < MORE_MIB
    assert simulator.summary()["jobs"][0]["state"] == "expired"
