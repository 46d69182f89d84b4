#!/usr/bin/env python3
"""A batch on one process, on worker processes and on Dask: lines a second, and what the coordinator's CPU costs a line.

The far end is nginx with a fixed answer of 1 KB, so that it is not what limits. Each way runs in a process of its own, in turn,
round after round. CPU is user and system time of the coordinator over a run of many lines less that over a run of one, divided by
the lines; of Dask it includes the scheduler. Lines a second count from the first request to the last outcome.
Needs nginx; Dask is absent where `make interop-dask` was not run.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # python -I leaves it out

import in_flight_far_end as far_ends
import measuring

KEY_VARIABLE = "LLM_SYNC_BENCHMARK_KEY"
WAYS = {"no engine": "", "processes:1": "processes:1", "processes:2": "processes:2", "dask, 2 workers": "dask"}
ENVIRONMENT = Path(__file__).resolve().parents[1] / ".venvs/interop-dask/bin/python"
MOST_CPU_US, LEAST_GAIN = 150.0, 1.8


def run_once(url: str, on: str, lines: int, in_flight: int) -> dict[str, float]:
    """One batch of so many lines in this process."""
    from llm_sync import LLMClient, batch
    from llm_sync.config import ConfigLoader

    entry = {"type": "openai", "concurrency": in_flight, "base_url": url, "api_key": f"${{{KEY_VARIABLE}}}", "models": ["m"]}
    prompt = ("What is the answer to this question, in one sentence and in plain words? " * 13)[:900]
    with (
        tempfile.TemporaryDirectory() as folder,
        LLMClient(ConfigLoader().load_text(json.dumps({"providers": {"p": entry}}))) as client,
    ):
        source = Path(folder, "in.jsonl")
        source.write_text("".join(json.dumps({"prompt": f"{number} {prompt}", "model": "p/m"}) + "\n" for number in range(lines)))
        began = _cpu()
        summary = batch.run(source, Path(folder, "out.jsonl"), client, on=on or None)
        cpu = _cpu() - began
        assert summary.tally.answered == lines  # noqa: S101
        return {"cpu": cpu, "seconds": summary.lanes["p"].seconds}


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def once(url: str, way: str, lines: int, in_flight: int) -> dict[str, float] | None:
    """A run of one line and one of many, in a process each."""
    on = WAYS[way]
    python = str(ENVIRONMENT) if on == "dask" else sys.executable
    if not Path(python).exists():
        return None
    figures = []
    for count in (1, lines):
        command = [python, __file__, "--once", url, "--on", on, "--lines", str(count), "--in-flight", str(in_flight)]
        environment = {**os.environ, KEY_VARIABLE: "sk-loopback-0123456789abcdef"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
        if done.returncode:
            print(f"{way}: {done.stderr.strip()[-500:]}", file=sys.stderr)
            return None
        figures.append(json.loads(done.stdout.splitlines()[-1]))
    one, many = figures
    return {
        "lines_s": lines / many["seconds"],
        "cpu_us": (many["cpu"] - one["cpu"]) / (lines - 1) * 1e6,
        "seconds": many["seconds"],
    }


def main() -> None:
    """Measure, print, write results/workers.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="(3)")
    parser.add_argument("--lines", type=int, default=20_000, help="(20000)")
    parser.add_argument("--in-flight", type=int, default=64, help="(64)")
    parser.add_argument("--once", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--on", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(run_once(arguments.once, arguments.on, arguments.lines, arguments.in_flight)))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with far_ends.nginx(realistic=False) as (url, _):
        for _ in range(arguments.rounds):
            for way in WAYS:
                figures = once(url, way, arguments.lines, arguments.in_flight)
                if figures is not None:
                    found[way].append(figures)
                time.sleep(0.5)
    rows: dict[str, Any] = {
        way: {name: statistics.median(each[name] for each in all_) for name in all_[0]} for way, all_ in found.items() if all_
    }
    measuring.table(
        ["", "lines/s", "coordinator CPU µs a line", "seconds"],
        [[way, f"{row['lines_s']:,.0f}", f"{row['cpu_us']:,.0f}", f"{row['seconds']:.2f}"] for way, row in rows.items()],
    )
    gain = rows["processes:2"]["lines_s"] / rows["processes:1"]["lines_s"]
    checks = [
        measuring.bound("two processes: CPU of the coordinator, µs a line", rows["processes:2"]["cpu_us"], MOST_CPU_US),
        measuring.bound("one process over two: lines a second", 1 / gain, 1 / LEAST_GAIN),
    ]
    measuring.show_bounds(checks)
    measuring.write("workers", {**measuring.facts(), "rows": rows, "bounds": checks})


if __name__ == "__main__":
    main()
