#!/usr/bin/env python3
"""Many requests in flight: calls a second and client CPU a call, beside other clients that do the same.

Each way runs in a process of its own, in turn, round after round, against the same far end (in_flight_far_end.py). CPU is user
and system time of the client's process. Needs nginx; peers that are not installed (make bench-peers) are absent.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))  # python -I leaves it out

import in_flight_caller
import in_flight_far_end as far_ends
import measuring

OURS, CALLING, EIGHT = "llm-sync map", "llm-sync, calling threads", "llm-sync map, 8 providers"
AIOHTTP, THREADS, TENSORZERO = "aiohttp", "http.client, threads", "TensorZero embedded"
PACKAGES = {AIOHTTP: "aiohttp", "httpx.AsyncClient": "httpx", "AsyncOpenAI": "openai", TENSORZERO: "tensorzero"}
ALL = (OURS, CALLING, AIOHTTP, THREADS, "httpx.AsyncClient", "AsyncOpenAI", TENSORZERO)
BESIDE = (OURS, AIOHTTP, THREADS)


class Scenario(NamedTuple):
    """``far_end``: "nginx", "realistic" (TLS, chunks, gzip, 23 headers) or the seconds that each answer takes."""

    name: str
    far_end: str
    in_flight: int
    calls: int
    ways: tuple[str, ...]


SCENARIOS = (
    Scenario("1 KB, 1 in flight", "nginx", 1, 3000, (OURS, AIOHTTP, THREADS)),
    Scenario("1 KB, 64 in flight", "nginx", 64, 6000, ALL),
    Scenario("as providers answer (TLS, chunks, gzip, 23 headers), 64 in flight", "realistic", 64, 6000, ALL[:-1]),
    Scenario("1 KB, 512 in flight", "nginx", 512, 8000, (OURS, EIGHT, AIOHTTP)),
    Scenario("answers that take 50 ms, 500 in flight", "0.05", 500, 10_000, BESIDE[:2]),
    Scenario("answers that take 50 ms, 2,000 in flight", "0.05", 2000, 20_000, BESIDE[:2]),
    Scenario("answers that take 1 s, 2,000 in flight", "1.0", 2000, 10_000, BESIDE[:2]),
)


def measured(scenario: Scenario, rounds: int) -> dict[str, dict[str, Any]]:
    """The figures of each way: medians over the rounds, in which the ways take turns."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in scenario.ways}
    realistic = scenario.far_end == "realistic"
    at_once = realistic or scenario.far_end == "nginx"
    far_end: Any = far_ends.nginx(realistic=realistic) if at_once else far_ends.slow(float(scenario.far_end))
    with far_end as (url, authority):
        for _ in range(rounds):
            for way in scenario.ways:
                figures = once(way, url, authority or "-", scenario)
                if figures is not None:
                    found[way].append(figures)
    return {
        way: {name: statistics.median(each[name] for each in all_) for name in all_[0]} for way, all_ in found.items() if all_
    }


def once(way: str, url: str, authority: str, scenario: Scenario) -> dict[str, float] | None:
    """One process of one way; None if its package is not installed or it fails."""
    python = measuring.python_of(PACKAGES.get(way, "llm-sync"))
    if python is None:
        return None
    caller = str(measuring.HERE / "in_flight_caller.py")
    command = [python, caller, way, url, authority, str(scenario.in_flight), str(scenario.calls), "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode or not done.stdout.strip():
        print(f"{way}: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def checks_of(scenario: Scenario, rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The limits that the issue sets."""
    checks: list[dict[str, Any]] = []
    ours = rows.get(OURS)
    if ours is None:
        return checks

    def check(what: str, measured: float, most: float) -> None:
        checks.append(measuring.bound(f"{scenario.name}: {what}", measured, most))

    if scenario.in_flight == 64 and AIOHTTP in rows:
        check("CPU over aiohttp", ours["cpu_us"] / rows[AIOHTTP]["cpu_us"], 1.2)
    if TENSORZERO in rows:
        check("calls/s of TensorZero over ours", rows[TENSORZERO]["calls_s"] / ours["calls_s"], 0.5)
    if CALLING in rows and THREADS in rows:
        check("calling threads: CPU over http.client", rows[CALLING]["cpu_us"] / rows[THREADS]["cpu_us"], 1.0)
    if scenario.in_flight == 1 and THREADS in rows:
        check("CPU over http.client", ours["cpu_us"] / rows[THREADS]["cpu_us"], 2.0)
    if EIGHT in rows:
        check("CPU with 8 providers over one", rows[EIGHT]["cpu_us"] / ours["cpu_us"], 1.15)
    if scenario.far_end not in ("nginx", "realistic"):
        ideal = max(scenario.calls / scenario.in_flight * float(scenario.far_end), scenario.calls / 5000)
        check("makespan over ideal", ours["seconds"] / ideal, 1.15)
        check("threads", ours["threads"], 1 + 1 + 8)
    return checks


def _shown(row: dict[str, float]) -> list[str]:
    formats = {"calls_s": ",.0f", "cpu_us": ",.0f", "seconds": ".2f", "mb": ".0f", "threads": ".0f"}
    return [format(row[name], how) for name, how in formats.items()]


def main() -> None:
    """Measure, print, write results/in_flight.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="(5)")
    parser.add_argument("--only", default="", help="the scenarios whose name contains this")
    parser.add_argument("--ways", nargs="+", metavar="WAY", help="these only (all); results are not written then")
    arguments = parser.parse_args()
    unknown = set(arguments.ways or ()) - set(in_flight_caller.WAYS)
    if unknown:
        parser.error(f"no such way: {', '.join(sorted(unknown))}; there are {', '.join(in_flight_caller.WAYS)}")
    facts, results, checks = measuring.facts(), [], []
    for scenario in SCENARIOS:
        if arguments.only not in scenario.name:
            continue
        if arguments.ways:
            scenario = scenario._replace(ways=tuple(way for way in scenario.ways if way in arguments.ways))  # noqa: PLW2901
        rows = measured(scenario, arguments.rounds)
        print(scenario.name)
        head = ["", "calls/s", "CPU µs a call", "seconds", "MB", "threads"]
        measuring.table(head, [[way, *_shown(row)] for way, row in rows.items()])
        results.append({"name": scenario.name, "rows": rows})
        checks += checks_of(scenario, rows)
    measuring.show_bounds(checks)
    if not arguments.ways:
        measuring.write("in_flight", {**facts, "scenarios": results, "bounds": checks})


if __name__ == "__main__":
    main()
