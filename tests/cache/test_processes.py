"""Many processes over one store, some of them killed: each different request is sent once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import llm_sync
from llm_sync.cache.entry import decode
from llm_sync.simulator import RequestRecord, Simulator

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="file locks and kill -9"),
    pytest.mark.timeout(900),
]
CONCURRENCY = 4
WORKER = """
import json, resource, sys, threading
from llm_sync import LLMClient, ModelRequest
from llm_sync.config import ConfigLoader

number, equal, different, url, folder = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
config = f"providers: {{openai: {{api_key: test-key, base_url: '{url}', concurrency: 4}}}}"
prompts = [f"equal {n}" for n in range(equal)] + [f"different {number} {n}" for n in range(different)]
with LLMClient(ConfigLoader().load_text(config), cache=folder) as client:
    futures = [client.submit(ModelRequest(prompt, "openai/gpt-4o-mini")) for prompt in prompts]
    texts = [future.result().text for future in futures]
    threads = threading.active_count()
print(json.dumps({"texts": texts, "threads": threads, "kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""


class Asked:
    """What arrived, by prompt."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, record: RequestRecord) -> None:
        """Count it; the simulator answers."""
        self.counts[record.payload["messages"][-1]["content"]] += 1


def start(number: int, equal: int, different: int, simulator: Simulator, folder: Path) -> subprocess.Popen[str]:
    """One process."""
    environ = {**os.environ, "PYTHONPATH": str(Path(llm_sync.__file__).parents[1])}
    words = [str(number), str(equal), str(different), simulator.url("openai"), str(folder)]
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *words], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What it printed."""
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return json.loads(out)


def crowd(folder: Path, *, processes: int, equal: int, different: int, rounds: int, kills: int) -> dict[str, Any]:
    """Run all processes, ``rounds`` times; in the first round ``kills`` of them are killed midway, and started again."""
    asked = Asked()
    figures: list[dict[str, Any]] = []
    with Simulator(on_request=asked, latency=0.01) as simulator:
        for turn in range(rounds):
            running = [start(number, equal, different, simulator, folder) for number in range(processes)]
            if turn == 0 and kills:
                while sum(asked.counts.values()) < (equal + processes * different) // 3:
                    time.sleep(0.005)
                for process in running[:kills]:
                    process.send_signal(signal.SIGKILL)
                for process in running[:kills]:
                    process.communicate()
                again = [start(number, equal, different, simulator, folder) for number in range(kills)]
                running = [*again, *running[kills:]]
            figures += [finish(process) for process in running]
            if turn == 0:
                first = Counter(asked.counts)
        assert simulator.faults == []
    assert asked.counts == first  # whatever was asked in the first round is stored: nothing is sent in the others
    by_prompt: dict[int, set[str]] = {}
    for one in figures:
        for position, text in enumerate(one["texts"][:equal]):
            by_prompt.setdefault(position, set()).add(text)
    assert all(len(texts) == 1 for texts in by_prompt.values())  # everybody has the same answer to an equal request
    return {
        "distinct": len(asked.counts),
        "sent": sum(asked.counts.values()),
        "threads": max(one["threads"] for one in figures),
        "kib": [min(one["kib"] for one in figures), max(one["kib"] for one in figures)],
    }


def check_files(folder: Path, count: int) -> int:
    """Every file is whole; the number of leftovers of killed processes."""
    stored = sorted(folder.rglob("*.json"))
    assert len(stored) == count
    for path in stored:
        decode(path.read_bytes())
    return sum(1 for path in folder.rglob(".*.tmp"))


def test_a_few_processes_send_each_request_once(folder: Path) -> None:
    """Three processes, twice, none killed: exactly the different ones, each once."""
    told = crowd(folder, processes=3, equal=6, different=4, rounds=2, kills=0)
    assert told["distinct"] == told["sent"] == 6 + 3 * 4
    assert check_files(folder, 18) == 0


def test_a_killed_process_is_waited_for_no_longer(folder: Path) -> None:
    """Its locks are free with its death; only what it had in flight is sent again."""
    told = crowd(folder, processes=3, equal=8, different=6, rounds=2, kills=2)
    assert told["distinct"] == 8 + 3 * 6
    assert told["sent"] - told["distinct"] <= 2 * CONCURRENCY
    assert check_files(folder, 26) <= 2 * CONCURRENCY


@pytest.mark.soak
def test_twenty_processes_ten_of_them_killed(folder: Path) -> None:
    """Twenty processes, fifty equal and fifty different requests each, three times, ten killed midway."""
    began = time.monotonic()
    told = crowd(folder, processes=20, equal=50, different=50, rounds=3, kills=10)
    leftovers = check_files(folder, 50 + 20 * 50)
    print(f"cache soak: {told}, {leftovers} leftovers, {time.monotonic() - began:.0f} s")
    assert told["distinct"] == 50 + 20 * 50
    assert told["sent"] - told["distinct"] <= 10 * CONCURRENCY
    assert leftovers <= 10 * CONCURRENCY


@pytest.mark.soak
def test_memory_and_threads_stay_flat(folder: Path) -> None:
    """Ten thousand hits and two thousand misses in one process."""
    code = """
import gc, resource, sys, threading
from llm_sync import LLMClient
from llm_sync.config import ConfigLoader
config = f"providers: {{openai: {{api_key: test-key, base_url: '{sys.argv[1]}'}}}}"

def rss():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * 4

with LLMClient(ConfigLoader().load_text(config), cache=sys.argv[2]) as client:
    for number in range(500):
        client.generate(f"warm {number % 100}", "openai/gpt-4o-mini")
    before = rss(), threading.active_count()
    for number in range(10_000):
        client.generate(f"warm {number % 100}", "openai/gpt-4o-mini")
    hits = rss(), threading.active_count()
    for number in range(2_000):
        client.generate(f"new {number}", "openai/gpt-4o-mini")
    print(before, hits, (rss(), threading.active_count()))
    assert hits[0] - before[0] < 4_000 and rss() - hits[0] < 8_000, "memory grows"
    assert threading.active_count() == before[1]
"""
    environ = {**os.environ, "PYTHONPATH": str(Path(llm_sync.__file__).parents[1])}
    with Simulator() as simulator:
        words = [sys.executable, "-c", code, simulator.url("openai"), str(folder)]
        done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=600, check=False)
    print("cache memory (KiB) and threads:", done.stdout.strip())
    assert done.returncode == 0, done.stderr
    with contextlib.suppress(FileNotFoundError):
        assert check_files(folder, 2_100) == 0
