#!/usr/bin/env python3
"""How the cost grows with the size: queued requests, lines of a batch, providers, models, bytes of a response.

Each point is measured in processes of its own, in rounds over all points; its median is told. ``growth`` is the power of the
size with which the whole cost grows from one size to the next: 0 is flat, 1 is linear, 2 would be quadratic.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))  # python -I leaves it out

import measuring

MOST_GROWTH = 1.15  # over the last step of a curve; noise and the collector are a part of it
MOST_BYTES = 3072  # for each request that waits


class Curve(NamedTuple):
    """``figures``: the probe's, with their titles; ``each``: those that are per item."""

    probe: str
    title: str
    sizes: tuple[int, ...]
    figures: tuple[tuple[str, str], ...]
    each: tuple[str, ...]


CURVES = (
    Curve(
        "queued", "requests that wait", (1_000, 10_000, 100_000, 300_000),
        (("submit_us", "CPU µs to submit one"), ("cancel_us", "CPU µs to cancel one"), ("bytes", "bytes each")),
        ("submit_us", "cancel_us", "bytes"),
    ),
    Curve(
        "providers", "providers in a configuration", (1, 5, 20, 50, 100, 200),
        (("load_us", "CPU µs to load, each"), ("call_us", "CPU µs of a call"), ("status_us", "CPU µs of status(), each")),
        ("load_us", "status_us"),
    ),
    Curve(
        "models", "models of a provider", (1, 10, 100, 1_000),
        (("load_us", "CPU µs to load, each"), ("call_us", "CPU µs of a call")),
        ("load_us",),
    ),
    Curve("answer", "bytes of an answer", (1_024, 10_240, 102_400, 1_024_000, 10_240_000), (("call_us", "CPU µs a call"),), ()),
    Curve(
        "batch", "lines of a batch", (1_000, 10_000, 100_000),
        (("cpu_us", "CPU µs a line"), ("wall_us", "wall µs a line"), ("peak_mb", "most memory, MB")),
        ("cpu_us", "wall_us"),
    ),
)  # fmt: skip
MILLION = 1_000_000


def point(probe: str, size: int, root: str) -> dict[str, float]:
    """One measurement."""
    command = [sys.executable, str(measuring.HERE / "probes.py"), probe, str(size), root]
    done = subprocess.run(command, cwd=sys.prefix, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stderr[-3000:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def growth(curve: Curve, name: str, rows: list[dict[str, Any]]) -> list[float | None]:
    """The exponent with which the total cost grows up to each size; None for the first."""
    whole = [row[name] * (row["size"] if name in curve.each else 1) for row in rows]
    sizes = [row["size"] for row in rows]
    powers: list[float | None] = [None]
    for (low, high), (cheap, dear) in zip(itertools.pairwise(sizes), itertools.pairwise(whole), strict=True):
        powers.append(round(math.log(max(dear, 1e-9) / max(cheap, 1e-9)) / math.log(high / low), 2))
    return powers


def measured(curve: Curve, root: str, rounds: int, million: bool) -> dict[str, Any]:
    """One curve: a row for each size."""
    if curve.probe == "batch" and importlib.util.find_spec("llm_sync.batch") is None:
        return {"probe": curve.probe, "title": curve.title, "failed": "absent: this llm_sync has no batch"}
    sizes = (*curve.sizes, MILLION) if million and curve.probe == "batch" else curve.sizes
    found: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for number in range(rounds):
        for size in sizes:
            if number == 0 or size < curve.sizes[-1] or curve.probe != "batch":
                found[size].append(point(curve.probe, size, root))
    rows: list[dict[str, Any]] = [
        {"size": size, **{name: float(f"{statistics.median(p[name] for p in points):.4g}") for name, _ in curve.figures}}
        for size, points in found.items()
    ]
    powers = {name: growth(curve, name, rows) for name, _ in curve.figures}
    return {"probe": curve.probe, "title": curve.title, "figures": dict(curve.figures), "rows": rows, "growth": powers}


def show(result: dict[str, Any]) -> None:
    """One curve's table."""
    print(result["title"])
    if "failed" in result:
        print(f"  {result['failed']}\n")
        return
    head = [""]
    for title in result["figures"].values():
        head += [title, "growth"]
    rows = []
    for number, row in enumerate(result["rows"]):
        cells: list[object] = [f"{row['size']:,}"]
        for name in result["figures"]:
            power = result["growth"][name][number]
            cells += [f"{row[name]:,.4g}" if row[name] < 1000 else f"{row[name]:,.0f}", "" if power is None else f"{power:.2f}"]
        rows.append(cells)
    measuring.table(head, rows)


def bounds(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The limits, and whether they are met."""
    checks = []
    for result in results:
        if "failed" in result:
            continue
        for name, title in result["figures"].items():
            checks.append(measuring.bound(f"{result['title']}: growth of {title}", result["growth"][name][-1], MOST_GROWTH))
        if result["probe"] == "queued":
            checks.append(
                measuring.bound("bytes of a request that waits", max(row["bytes"] for row in result["rows"]), MOST_BYTES)
            )
    return checks


def main() -> int:
    """Measure, print the tables, write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each point is measured (3)")
    parser.add_argument("--million", action="store_true", help="also a batch of a million lines, which takes some ten minutes")
    parser.add_argument("--only", choices=[curve.probe for curve in CURVES], help="this curve alone; nothing is written")
    options = parser.parse_args()
    facts = measuring.facts()
    results = []
    with measuring.far_end() as places:
        for curve in CURVES:
            if options.only in (None, curve.probe):
                results.append(measured(curve, places["plain"], options.rounds, options.million))
                show(results[-1])
    checks = bounds(results)
    measuring.show_bounds(checks)
    if not options.only:
        measuring.write("scale", {**facts, "rounds": options.rounds, "curves": results, "bounds": checks})
    return 0


if __name__ == "__main__":
    sys.exit(main())
