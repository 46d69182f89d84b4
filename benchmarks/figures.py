#!/usr/bin/env python3
"""Writes the figures of README.md and docs/performance.md, between their markers, from benchmarks/figures/*.json.

Standard library only. With --check it writes nothing and ends with status 1 when a page says something else.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

TOP = Path(__file__).parent.parent
PAGES = ("README.md", "docs/performance.md")
_BLOCK = re.compile(r"(<!-- figures: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_IMPORTS = {
    "llm-sync": "import llm_sync",
    "requests": "import requests",
    "any-llm-sdk": "import any_llm",
    "openai": "import openai",
    "anthropic": "import anthropic",
    "google-genai": "import google.genai",
    "aisuite": "import aisuite",
    "langchain-openai": "import langchain_openai",
    "litellm": "import litellm",
}

Part = Mapping[str, Any]
MEASURED = ("call", "start", "fleet", "in_flight", "scale")


def kept(name: str) -> dict[str, Any]:
    """The figures of one benchmark."""
    figures: dict[str, Any] = json.loads((TOP / "benchmarks" / "figures" / f"{name}.json").read_text(encoding="utf-8"))
    return figures


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, the first column to the left."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def middle(figures: Mapping[str, float]) -> str:
    """A median."""
    return number(figures["median"])


def spread(figures: Mapping[str, float]) -> str:
    """A median and its quartiles."""
    return f"{middle(figures)} ({number(figures['low'])}–{number(figures['high'])})"


def comparison() -> str:
    """README's table: one call, one import, and how recorded unusable answers are treated."""
    told = kept("call")
    call = next(part for part in told["scenarios"] if part["name"] == "1 KB, 1 thread")
    calls = {row["way"]: row for row in call["rows"] if "failed" not in row}
    starts = {row["case"]: row for row in kept("start")["rows"] if "failed" not in row}
    answers = kept("answers")["clients"]
    rows, versions = [], []
    for way in sorted(calls.keys() & _IMPORTS.keys(), key=lambda way: (calls[way]["cpu_ratio"]["median"], way)):
        start = starts.get(_IMPORTS[way])
        raised, said = answers.get(way, ("", ""))
        rows.append([way, middle(calls[way]["cpu_ratio"]), middle(start["ratio"]) if start else "", raised, said])
        versions.append(f"{way} {calls[way]['version']}")
    head = [
        "client",
        "CPU of one call, × `http.client`",
        "import, × bare Python",
        "bad answers with HTTP 200: reported",
        "cut answers: reported",
    ]
    where = f"{told['system']} with {told['cores']} cores, Python {told['python']}"
    return f"{markdown(head, rows)}\nMeasured on {told['date']} on {where}: {', '.join(versions)}.\n"


def call_tables(figures: Part) -> str:
    """Every scenario except the parts."""
    out = []
    for part in figures["scenarios"]:
        if any(row["way"] == "llm-sync: transport" for row in part["rows"]):
            continue
        rows = []
        for row in part["rows"]:
            if "failed" in row:
                rows.append([row["way"], row["failed"], "", "", "", ""])
                continue
            ours = spread(row["ours_to_this"]) if "ours_to_this" in row else ""
            times = [middle(row["cpu_us"]), middle(row["wall_us"])]
            rows.append([f"{row['way']} {row['version']}", spread(row["cpu_ratio"]), ours, *times])
        head = [part["name"], "CPU × http.client", "llm-sync ÷ this", "CPU µs", "wall µs"]
        out.append(markdown(head, rows))
    return "\n".join(out)


def parts(figures: Part) -> str:
    """The parts of a call, each measured alone, and the whole."""
    part = next(part for part in figures["scenarios"] if part["name"] == "the parts of llm-sync")
    cost = {row["way"]: row["cpu_ratio"]["median"] for row in part["rows"]}
    whole, transport, provider, queue = (
        cost[way] for way in ("llm-sync", "llm-sync: transport", "llm-sync: provider", "llm-sync: queue")
    )
    hops = [
        ("transport: pool, deadline, one write, one read, and json on both sides", transport),
        ("provider: payload, guards, gate, retry policy, schema, checked answer", provider - transport),
        ("queue: future, hand-over to the worker thread and back, events, status", queue),
        ("front door: request, route, defaults; and waking a thread that waited for the network", whole - provider - queue),
    ]
    rows = [[name, number(own), f"{own / whole:.0%}"] for name, own in hops]
    return markdown(["", "CPU × http.client", "share"], [*rows, ["a whole `client.generate`", number(whole), "100%"]])


def start_table(figures: Part) -> str:
    """All cases."""
    rows = [
        [f"`{row['case']}`", row["failed"], ""]
        if "failed" in row
        else [f"`{row['case']}`", spread(row["ratio"]), middle(row["cpu_ms"])]
        for row in figures["rows"]
    ]
    return markdown(["", "CPU × `python -c pass`", "CPU ms"], rows)


def fleet_tables(figures: Part) -> str:
    """Every scenario, a row each."""
    ways = [row["way"] for row in figures["scenarios"][0]["rows"]]
    rows = []
    for part in figures["scenarios"]:
        found = {row["way"]: row for row in part["rows"]}
        cells = [found[way]["failed"] if "failed" in found[way] else spread(found[way]["makespan"]) for way in ways]
        rows.append([part["name"], *cells])
    names = {
        "openai": "openai, ThreadPoolExecutor",
        "litellm": "litellm.batch_completion",
        "langchain-openai": "langchain .batch",
    }
    return markdown(["makespan ÷ the slowest provider's own time", *(names.get(way, way) for way in ways)], rows)


def scale_tables(figures: Part) -> str:
    """Every curve."""
    out = []
    for curve in figures["curves"]:
        if "failed" in curve:
            out.append(f"{curve['title']}: {curve['failed']}\n")
            continue
        head = [curve["title"]]
        for title in curve["figures"].values():
            head += [title, "growth"]
        rows = []
        for place, row in enumerate(curve["rows"]):
            cells = [f"{row['size']:,}"]
            for name in curve["figures"]:
                power = curve["growth"][name][place]
                cells += [number(row[name]), "" if power is None else f"{power:.2f}"]
            rows.append(cells)
        out.append(markdown(head, rows))
    return "\n".join(out)


def flight_tables(figures: Part) -> str:
    """Many in flight: every scenario, a row for each way."""
    out = []
    for part in figures.get("scenarios", ()):
        rows = [
            [way, *(number(row[name]) for name in ("calls_s", "cpu_us", "seconds", "mb", "threads"))]
            for way, row in part["rows"].items()
        ]
        out.append(markdown([part["name"], "calls/s", "CPU µs a call", "seconds", "MB", "threads"], rows))
    return "\n".join(out) or "Not measured yet.\n"


def measured(name: str) -> bool:
    """Whether there are figures of this benchmark."""
    return (TOP / "benchmarks" / "figures" / f"{name}.json").exists()


def bounds() -> str:
    """The limits of all benchmarks."""
    rows = [
        [check["what"], number(check["measured"]), number(check["at_most"]), "yes" if check["met"] else "**no**"]
        for name in MEASURED
        if measured(name)
        for check in kept(name)["bounds"]
    ]
    return markdown(["", "measured", "at most", "held"], rows)


def facts() -> str:
    """Where and when it was measured."""
    lines = []
    for name in filter(measured, MEASURED):
        told = kept(name)
        lines.append(
            f"* {name}: {told['date']}, llm-sync {told['llm_sync']}, Python {told['python']}, {told['system']}, "
            f"{told['cores']} cores, {told['environment_variables']} environment variables, load {told['load_at_start']} before\n"
        )
    return "".join(lines)


BLOCKS: dict[str, Callable[[], str]] = {
    "comparison": comparison,
    "facts": facts,
    "bounds": bounds,
    "call": lambda: call_tables(kept("call")),
    "parts": lambda: parts(kept("call")),
    "start": lambda: start_table(kept("start")),
    "fleet": lambda: fleet_tables(kept("fleet")),
    "flight": lambda: flight_tables(kept("in_flight") if measured("in_flight") else {}),
    "scale": lambda: scale_tables(kept("scale")),
}


def rewritten(text: str) -> str:
    """A page with its figures filled in."""

    def block(found: re.Match[str]) -> str:
        return f"{found[1]}\n{BLOCKS[found[2]]()}\n{found[3]}"

    return _BLOCK.sub(block, text)


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; end with status 1 when a page says something else")
    options = parser.parse_args()
    stale = []
    for name in PAGES:
        page = TOP / name
        text = page.read_text(encoding="utf-8")
        fresh = rewritten(text)
        if fresh != text:
            stale.append(name)
            if not options.check:
                page.write_text(fresh, encoding="utf-8")
    print(f"{'not up to date' if options.check else 'written'}: {', '.join(stale) or 'nothing'}")
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
