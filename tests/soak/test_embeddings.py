"""Ten thousand texts embedded by processes that are killed, and what memory the number of texts costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import llm_sync
from llm_sync.simulator import Simulator

TEXTS, EQUAL, IN_REQUEST, CONCURRENCY, KILLS = 10_000, 500, 100, 4, 8
MODEL = "openai/text-embedding-3-small"
PEAK = """
import sys
from llm_sync import LLMClient
from llm_sync.batch.embedding import embed

with LLMClient.from_config(sys.argv[1]) as client:
    summary = embed(sys.argv[2], sys.argv[3], client, sys.argv[4], dimensions=16)
assert summary.complete
# not getrusage: its peak counts what the process was before exec
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


def environment() -> dict[str, str]:
    """That of a process which sees this llm_sync."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LLM_SYNC"))}
    return {**kept, "PYTHONPATH": str(Path(llm_sync.__file__).parents[1])}


def prepared(folder: Path, simulator: Simulator, count: int, equal: int = 0) -> tuple[Path, Path]:
    """A configuration for the simulator, and an input of so many texts, the last ``equal`` of them like the first ones."""
    entry = f"{{api_key: k-0123456789, concurrency: {CONCURRENCY}, base_url: {simulator.url('openai')}}}"
    (folder / "x.yaml").write_text(f"providers: {{openai: {entry}}}")
    lines = (json.dumps({"id": f"t{n}", "text": f"this is text number {n % (count - equal)}"}) for n in range(count))
    (folder / f"{count}.jsonl").write_text("\n".join(lines))
    return folder / "x.yaml", folder / f"{count}.jsonl"


def test_kills_cost_what_was_in_flight(tmp_path: Path) -> None:
    """Killed again and again, the command ends with all vectors in order, and has sent twice at most what was in flight."""
    with Simulator(on_request=lambda record: time.sleep(0.05)) as simulator:
        config, texts = prepared(tmp_path, simulator, TEXTS, EQUAL)
        words: list[Any] = ["embed", "--input", texts, "-o", tmp_path / "out.jsonl", "-m", MODEL, "--dimensions", "64", "--json"]
        words += ["--texts-per-request", IN_REQUEST, "--config", config]
        command = [sys.executable, "-m", "llm_sync", *map(str, words)]
        for kill in range(KILLS):
            process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            arrived = len(simulator.requests)
            while process.poll() is None and len(simulator.requests) < arrived + 6 + kill:
                time.sleep(0.01)
            process.kill()
            process.wait()
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
        sent = Counter(text for record in simulator.requests for text in record.payload["input"])
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    twice = sent.total() - len(sent)
    print(f"{KILLS} kills: {twice} of {len(sent)} texts sent twice; {done.stdout}")
    assert [record["id"] for record in records] == [f"t{number}" for number in range(TEXTS)]
    assert all(len(record["response"]["embedding"]) == 64 for record in records)
    assert records[0]["response"]["embedding"] == records[TEXTS - EQUAL]["response"]["embedding"]
    assert len(sent) == TEXTS - EQUAL
    assert 0 < twice <= KILLS * CONCURRENCY * IN_REQUEST


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the peak is read from /proc")
def test_memory_does_not_grow_with_the_texts(tmp_path: Path) -> None:
    """A hundred thousand texts take little more than ten thousand."""
    peaks = {}
    with Simulator() as simulator:
        for count in (10_000, 100_000):
            config, texts = prepared(tmp_path, simulator, count)
            arguments = [config, texts, tmp_path / f"{count}.out", MODEL]
            command = [sys.executable, "-c", PEAK, *map(str, arguments)]
            done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
            peaks[count] = int(done.stdout) / 1024
    print("peaks in MiB:", peaks)
    assert peaks[100_000] < peaks[10_000] + 16
