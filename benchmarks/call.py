#!/usr/bin/env python3
"""The cost of one blocking call for the client: CPU and wall time compared with other clients, and where it is spent.

All ways ask the same far end on loopback, in turn, block by block. CPU is user and system time of the calling process. A
ratio is taken in each round and its median told, with the quartiles in brackets.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))  # python -I leaves it out

import measuring
from measuring import Child

FLOOR, REQUESTS, OURS, ONE_LANE = "http.client", "requests", "llm-sync", "llm-sync (one lane)"
LIBRARIES = (FLOOR, "urllib3", REQUESTS, "httpx", OURS)
PEERS = ("openai", "anthropic", "google-genai", "aisuite", "langchain-openai", "litellm", "any-llm-sdk")
PARTS = ("llm-sync: transport", "llm-sync: provider", "llm-sync: queue")
STAND_INS = (
    "llm-sync as openai",
    "llm-sync as openai 0.x",
    "llm-sync as openai, responses",
    "llm-sync as anthropic",
    "llm-sync as litellm",
)
PACKAGE = {ONE_LANE: OURS, **dict.fromkeys((*PARTS, *STAND_INS), OURS)}


class Scenario(NamedTuple):
    """A scenario: which responses, over which connection, by how many threads."""

    name: str
    ways: tuple[str, ...]
    size: str = "1024"
    threads: int = 1
    tls: bool = False


SCENARIOS = (
    Scenario("1 KB, 1 thread", (*LIBRARIES, *PEERS)),
    Scenario("1 KB, 1 thread, TLS", (*LIBRARIES, *PEERS), tls=True),
    Scenario("1 KB as providers send it (gzip, chunks, 23 headers), 1 thread", (*LIBRARIES, *PEERS), size="1024z"),
    Scenario("100 KB, 1 thread", (*LIBRARIES, *PEERS), size="102400"),
    Scenario("100 KB, 1 thread, TLS", LIBRARIES, size="102400", tls=True),
    Scenario("1 KB, 8 threads", (*LIBRARIES, ONE_LANE, *PEERS), threads=8),
    Scenario("1 KB, 64 threads", (*LIBRARIES, ONE_LANE, *PEERS), threads=64),
    Scenario("1 KB, 64 threads, TLS", LIBRARIES, threads=64, tls=True),
    Scenario("100 KB, 64 threads", LIBRARIES, size="102400", threads=64),
    Scenario("the parts of llm-sync", (FLOOR, *PARTS, OURS)),
    Scenario("the stand-ins for other packages", (FLOOR, *STAND_INS, OURS)),
)
# CPU per call, as a multiple of another client's; with TLS 15 % more.
STAND_IN_BOUND = 1.15  # times the CPU of the same call with client.generate
BOUNDS = ((FLOOR, 4.0), (REQUESTS, 0.8), ("openai", 0.45), ("litellm", 0.12))


def started(ways: set[str]) -> Iterator[tuple[str, Child | None]]:
    """A calling process for each client; None if its package is not installed."""
    for way in ways:
        python = measuring.python_of(PACKAGE.get(way, way))
        yield way, None if python is None else Child([python, str(measuring.HERE / "caller.py"), way])


def measured(
    scenario: Scenario, children: Mapping[str, Child | None], places: Mapping[str, str], rounds: int, block_s: float
) -> dict[str, Any]:
    """One scenario's rows."""
    root = f"{places['tls' if scenario.tls else 'plain']}/{scenario.size}/0"
    rows: dict[str, dict[str, Any]] = {}
    ready: dict[str, Child] = {}
    for way in scenario.ways:
        child = children[way]
        said = {"failed": "absent"} if child is None else child.ask(root=root, ca=places["ca"], threads=scenario.threads)
        rows[way] = {"way": way, **said}
        if child is not None and "failed" not in said:
            ready[way] = child
    blocks = measuring.interleaved(ready, rounds=rounds, block_s=block_s)
    for way, own in blocks.items():
        rows[way] |= {
            "cpu_ratio": measuring.ratios(own, blocks[FLOOR]),
            "wall_ratio": measuring.ratios(own, blocks[FLOOR], "wall"),
            "cpu_us": measuring.per_call(own, "cpu"),
            "wall_us": measuring.per_call(own, "wall"),
        }
        if way != OURS:
            rows[way]["ours_to_this"] = measuring.ratios(blocks[OURS], own)
    return {**scenario._asdict(), "rows": list(rows.values())}


def show(result: Mapping[str, Any]) -> None:
    """One scenario's table."""
    print(result["name"])
    rows = []
    for row in result["rows"]:
        if "failed" in row:
            rows.append([row["way"], row["failed"][:40], "", "", "", ""])
            continue
        ours = measuring.spread(row["ours_to_this"]) if "ours_to_this" in row else ""
        times = [measuring.spread(row[name], 0) for name in ("cpu_us", "wall_us")]
        rows.append([row["way"], measuring.spread(row["cpu_ratio"]), measuring.spread(row["wall_ratio"]), ours, *times])
    measuring.table(["", "CPU × http.client", "wall × http.client", "llm-sync ÷ this", "CPU µs", "wall µs"], rows)


def bounds(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The limits, and whether they are met."""
    found: dict[str, dict[str, Any]] = {result["name"]: {row["way"]: row for row in result["rows"]} for result in results}
    checks: list[dict[str, Any]] = []
    for name, factor in (("1 KB, 1 thread", 1.0), ("1 KB, 1 thread, TLS", 1.15)):
        for way, most in BOUNDS:
            row = found.get(name, {}).get(way, {})
            if "ours_to_this" in row:
                measured = row["ours_to_this"]["median"]
                checks.append(measuring.bound(f"{name}: CPU of llm-sync over {way}", measured, round(most * factor, 3)))
    for way, row in found.get("the stand-ins for other packages", {}).items():
        if way in STAND_INS and "ours_to_this" in row:
            measured = round(1 / row["ours_to_this"]["median"], 3)
            checks.append(measuring.bound(f"CPU of {way} over client.generate", measured, STAND_IN_BOUND))
    one = found.get("1 KB, 1 thread", {}).get(OURS)
    for way in (OURS, ONE_LANE):
        many = found.get("1 KB, 64 threads", {}).get(way)
        if one and many and "cpu_us" in many:
            measured = many["cpu_us"]["median"] / one["cpu_us"]["median"]
            checks.append(measuring.bound(f"CPU a call of {way}, 64 threads over one", measured, 2.0))
    return checks


def main() -> int:
    """Measure, print the tables, write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=25, help="blocks of each way in each scenario (25)")
    parser.add_argument("--block", type=float, default=0.05, metavar="S", help="CPU seconds of a block, about (0.05)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only scenarios whose name holds TEXT; nothing is written")
    parser.add_argument("--no-peers", action="store_true", help="without the SDKs; nothing is written")
    options = parser.parse_args()
    chosen = [scenario for scenario in SCENARIOS if options.only in scenario.name]
    if options.no_peers:
        chosen = [scenario._replace(ways=tuple(way for way in scenario.ways if way not in PEERS)) for scenario in chosen]
    facts = measuring.facts()
    with measuring.far_end(tls=True) as places:
        children = dict(started({way for scenario in chosen for way in scenario.ways}))
        try:
            results = []
            for scenario in chosen:
                results.append(measured(scenario, children, places, options.rounds, options.block))
                show(results[-1])
        finally:
            for child in children.values():
                if child is not None:
                    child.end()
    checks = bounds(results)
    measuring.show_bounds(checks)
    if not options.only and not options.no_peers:
        measuring.write("call", {**facts, "rounds": options.rounds, "scenarios": results, "bounds": checks})
    return 0


if __name__ == "__main__":
    sys.exit(main())
