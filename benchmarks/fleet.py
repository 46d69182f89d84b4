#!/usr/bin/env python3
"""Many requests to several providers: makespan divided by the slowest provider's own time, and CPU per request.

A provider's own time is what it takes when it is asked alone, by http.client in a loop; where it serves several requests at
once, that loop makes its share of them. It is measured in each round anew.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))  # python -I leaves it out

import measuring
from measuring import Child

OURS, ALONE = "llm-sync", "http.client"
CALLED = {
    OURS: "llm-sync: generate_responses_concurrent",
    "openai": "openai: ThreadPoolExecutor",
    "langchain-openai": "langchain-openai: batch",
    "litellm": "litellm: batch_completion",
}


class Scenario(NamedTuple):
    """The providers' latencies in ms, requests in flight per provider, and how many times that number each gets."""

    latencies: tuple[int, ...]
    concurrency: int
    turns: int

    @property
    def name(self) -> str:
        """The scenario in words."""
        kinds = sorted(set(self.latencies))
        latency = f"{kinds[0]} ms" if len(kinds) == 1 else f"{', '.join(map(str, kinds))} ms"
        return f"{len(self.latencies)} × {self.concurrency * self.turns}, {self.concurrency} at once, {latency}"


SCENARIOS = (
    Scenario((50,), 1, 20),
    Scenario((50,) * 2, 1, 20),
    Scenario((50,) * 4, 1, 20),
    Scenario((50,) * 8, 1, 20),
    Scenario((10, 20, 40, 80), 1, 20),
    Scenario((50,), 8, 10),
    Scenario((50,) * 8, 8, 10),
    Scenario((50,), 64, 5),
    Scenario((50,) * 4, 64, 5),
    Scenario((500,) * 8, 64, 2),
)


def measured(scenario: Scenario, children: dict[str, Child | None], places: list[str], rounds: int) -> dict[str, Any]:
    """One scenario's rows."""
    roots = [f"{place}/1024/{latency}" for place, latency in zip(places, scenario.latencies, strict=False)]
    slowest = max(zip(scenario.latencies, roots, strict=True))[1]
    each = scenario.concurrency * scenario.turns
    costs: dict[str, list[dict[str, float]]] = {way: [] for way, child in children.items() if child is not None}
    for _ in range(rounds):
        for way, found in costs.items():
            child = children[way]
            assert child is not None  # noqa: S101
            if way == ALONE:
                found.append(child.ask(roots=[slowest], concurrency=1, each=scenario.turns))
            else:
                found.append(child.ask(roots=roots, concurrency=scenario.concurrency, each=each))
    own = [cost["wall"] for cost in costs[ALONE]]
    rows: list[dict[str, Any]] = []
    for way in CALLED:
        if way not in costs:
            rows.append({"way": way, "failed": "absent"})
            continue
        makespan = measuring.summary([cost["wall"] / alone for cost, alone in zip(costs[way], own, strict=True)])
        rows.append({"way": way, "makespan": measuring.rounded(makespan), "cpu_us": measuring.per_call(costs[way], "cpu")})
    return {"name": scenario.name, **scenario._asdict(), "own_s": measuring.rounded(measuring.summary(own)), "rows": rows}


def show(result: dict[str, Any]) -> None:
    """One scenario's table."""
    print(f"{result['name']}: the slowest provider's own time is {result['own_s']['median']:.3f} s")
    rows = [
        [CALLED[row["way"]], row["failed"], ""]
        if "failed" in row
        else [CALLED[row["way"]], measuring.spread(row["makespan"], 3), measuring.spread(row["cpu_us"], 0)]
        for row in result["rows"]
    ]
    measuring.table(["", "makespan ÷ own time", "CPU µs a request"], rows)


def bounds(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The limits, and whether they are met: one request at a time, the default of llm-sync."""
    return [
        measuring.bound(f"{result['name']}: makespan over own time", row["makespan"]["median"], 1.05)
        for result in results
        for row in result["rows"]
        if row["way"] == OURS and result["concurrency"] == 1
    ]


def main() -> int:
    """Measure, print the tables, write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each way runs each scenario (5)")
    parser.add_argument("--no-peers", action="store_true", help="llm-sync alone; nothing is written")
    options = parser.parse_args()
    facts = measuring.facts()
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(measuring.far_end())["plain"] for _ in range(8)]
        children: dict[str, Child | None] = {}
        for way in [ALONE, OURS] if options.no_peers else [ALONE, *CALLED]:
            python = measuring.python_of(way)
            children[way] = None if python is None else Child([python, str(measuring.HERE / "crowds.py"), way])
            if (child := children[way]) is not None:
                stack.callback(child.end)
        results = []
        for scenario in SCENARIOS:
            results.append(measured(scenario, children, places, options.rounds))
            show(results[-1])
    checks = bounds(results)
    measuring.show_bounds(checks)
    if not options.no_peers:
        measuring.write("fleet", {**facts, "rounds": options.rounds, "scenarios": results, "bounds": checks})
    return 0


if __name__ == "__main__":
    sys.exit(main())
