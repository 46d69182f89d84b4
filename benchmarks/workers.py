#!/usr/bin/env python3
"""A batch on one process, on worker processes and on Dask: lines a second, and what each process's CPU costs a line.

The far end is nginx with a fixed answer of 1 KB, so that it is not what limits; with --realistic it answers as providers do: TLS,
chunks, gzip and two dozen headers. Each way runs in a process of its own, in turn, round after round. CPU is user and system time
over a run of many lines less that over a run of one, divided by the lines: of the coordinator (with Dask, of the scheduler too),
of all workers together, and of nginx. Lines a second count from the first request to the last outcome.
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
FIELDS = {"name": {"type": "string"}, "page": {"type": "integer"}, "score": {"type": "number"}, "sure": {"type": "boolean"}}
ITEM = {"type": "object", "properties": FIELDS, "required": [*FIELDS], "additionalProperties": False}
SCHEMA = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": ITEM}},
    "required": ["items"],
    "additionalProperties": False,
}
ITEMS = {"items": [{"name": f"item {number}", "page": number, "score": number / 8, "sure": True} for number in range(100)]}


def run_once(url: str, authority: str, on: str, lines: int, in_flight: int, *, structured: bool) -> dict[str, float]:
    """One batch of so many lines in this process. ``authority``: the file of nginx's certificate authority, or empty."""
    from llm_sync import LLMClient, batch
    from llm_sync.config import ConfigLoader

    entry = {"type": "openai", "concurrency": in_flight, "base_url": url, "api_key": f"${{{KEY_VARIABLE}}}", "models": ["m"]}
    if authority:
        entry["ca_bundle"] = authority
    prompt = ("What is the answer to this question, in one sentence and in plain words? " * 13)[:900]
    with (
        tempfile.TemporaryDirectory() as folder,
        LLMClient(ConfigLoader().load_text(json.dumps({"providers": {"p": entry}}))) as client,
    ):
        source = Path(folder, "in.jsonl")
        more = {"response_schema": SCHEMA} if structured else {}
        content = (json.dumps({"prompt": f"{number} {prompt}", "model": "p/m", **more}) + "\n" for number in range(lines))
        source.write_text("".join(content))
        began = _cpu()
        summary = batch.run(source, Path(folder, "out.jsonl"), client, on=on or None)
        ended = _cpu()  # workers have ended, too
        assert summary.tally.answered == lines  # noqa: S101
        return {**{name: ended[name] - began[name] for name in ended}, "seconds": summary.lanes["p"].seconds}


def _cpu() -> dict[str, float]:
    """Seconds, so far."""
    own, workers = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "coordinator": own.ru_utime + own.ru_stime,
        "workers": workers.ru_utime + workers.ru_stime,
        "nginx": sum(map(_cpu_of_nginx, Path("/proc").glob("[0-9]*/stat"))),
    }


def _cpu_of_nginx(path: Path) -> float:
    """Seconds of a process, by its file of Linux; none if it is another program."""
    try:
        name, _, values = path.read_text().rpartition(")")
    except OSError:  # it has just ended
        return 0.0
    return sum(map(int, values.split()[11:13])) / os.sysconf("SC_CLK_TCK") if name.endswith("(nginx") else 0.0


def once(url: str, authority: str, way: str, lines: int, in_flight: int, *, structured: bool) -> dict[str, float] | None:
    """A run of one line and one of many, in a process each."""
    on = WAYS[way]
    python = str(ENVIRONMENT) if on == "dask" else sys.executable
    if not Path(python).exists():
        return None
    figures = []
    for count in (1, lines):
        command = [python, __file__, "--once", url, "--on", on, "--lines", str(count), "--in-flight", str(in_flight)]
        command += ["--authority", authority, *(["--structured"] if structured else [])]
        environment = {**os.environ, KEY_VARIABLE: "sk-loopback-0123456789abcdef"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
        if done.returncode:
            print(f"{way}: {done.stderr.strip()[-500:]}", file=sys.stderr)
            return None
        figures.append(json.loads(done.stdout.splitlines()[-1]))
    one, many = figures
    costs = {f"{name}_us": (many[name] - one[name]) / (lines - 1) * 1e6 for name in ("coordinator", "workers", "nginx")}
    return {"lines_s": lines / many["seconds"], **costs, "seconds": many["seconds"]}


def main() -> None:
    """Measure, print, write results/workers.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="(3)")
    parser.add_argument("--lines", type=int, default=20_000, help="(20000)")
    parser.add_argument("--in-flight", type=int, default=64, help="(64)")
    parser.add_argument("--realistic", action="store_true", help="answers as providers give them")
    parser.add_argument("--structured", action="store_true", help="answers of 100 items, held against a response_schema")
    parser.add_argument("--once", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--authority", default="", help=argparse.SUPPRESS)
    parser.add_argument("--on", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        given = arguments.once, arguments.authority, arguments.on, arguments.lines, arguments.in_flight
        print(json.dumps(run_once(*given, structured=arguments.structured)))
        return
    answer = far_ends.with_text(json.dumps(ITEMS)) if arguments.structured else far_ends.ANSWER
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with far_ends.nginx(realistic=arguments.realistic, answer=answer) as (url, authority):
        for _ in range(arguments.rounds):
            for way in WAYS:
                given = url, authority or "", way, arguments.lines, arguments.in_flight
                figures = once(*given, structured=arguments.structured)
                if figures is not None:
                    found[way].append(figures)
                time.sleep(0.5)
    rows: dict[str, Any] = {
        way: {name: statistics.median(each[name] for each in all_) for name in all_[0]} for way, all_ in found.items() if all_
    }
    measuring.table(
        ["", "lines/s", "CPU µs a line: coordinator", "workers", "nginx", "seconds"],
        [
            [
                way,
                *(f"{row[name]:,.0f}" for name in ("lines_s", "coordinator_us", "workers_us", "nginx_us")),
                f"{row['seconds']:.2f}",
            ]
            for way, row in rows.items()
        ],
    )
    gain = rows["processes:2"]["lines_s"] / rows["processes:1"]["lines_s"]
    checks = [
        measuring.bound("two processes: CPU of the coordinator, µs a line", rows["processes:2"]["coordinator_us"], MOST_CPU_US),
        measuring.bound("one process over two: lines a second", 1 / gain, 1 / LEAST_GAIN),
    ]
    measuring.show_bounds(checks)
    measuring.write("workers", {**measuring.facts(), "rows": rows, "bounds": checks})


if __name__ == "__main__":
    main()
