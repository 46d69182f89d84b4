#!/usr/bin/env python3
"""What starting costs: CPU of `--version`, `--help` and `import llm_sync` as multiples of `python -c pass`.

Standard library only. Each case runs many times, interleaved with the others so that a busy moment strikes all alike;
the least of its CPU times (user and system, of the process and its children) is what the work costs undisturbed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
from pathlib import Path

BASE = "python -c pass"
BUDGETS = {"llm-sync --version": 1.3, "llm-sync --help": 3.0, "import llm_sync": 1.1}


def cases(python: str, command: str) -> dict[str, list[str]]:
    """The commands by name; what is compared with comes first."""
    return {
        BASE: [python, "-c", "pass"],
        "import llm_sync": [python, "-c", "import llm_sync"],
        "llm-sync --version": [command, "--version"],
        "python -m llm_sync --version": [python, "-m", "llm_sync", "--version"],
        "llm-sync --help": [command, "--help"],
    }


def cpu_seconds(command: list[str]) -> float:
    """CPU seconds of one run, away from the checkout, whose llm_sync is not the installed one."""
    with subprocess.Popen(
        command, cwd=sys.prefix, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        said = process.stdout.read() if process.stdout else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}:\n{said.decode(errors='replace')}")
    return usage.ru_utime + usage.ru_stime


def measure(commands: dict[str, list[str]], runs: int) -> dict[str, list[float]]:
    """CPU seconds of every run by case, after one round that only warms the caches."""
    for command in commands.values():
        cpu_seconds(command)
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            times[name].append(cpu_seconds(command))
    return times


def report(times: dict[str, list[float]]) -> list[dict[str, object]]:
    """One row a case: least and median milliseconds, ratio to the base, budget."""
    base = min(times[BASE])
    rows = []
    for name, values in times.items():
        ratio, budget = min(values) / base, BUDGETS.get(name)
        rows.append(
            {
                "case": name,
                "least_ms": round(min(values) * 1000, 2),
                "median_ms": round(statistics.median(values) * 1000, 2),
                "ratio": round(ratio, 3),
                "budget": budget,
                "within_budget": None if budget is None else ratio <= budget,
            }
        )
    return rows


def main() -> int:
    """Measure, print the table, write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=40, help="how often each case runs (40)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures to FILE as JSON")
    parser.add_argument("--check", action="store_true", help="end with status 1 when a budget is broken")
    options = parser.parse_args()
    command = Path(sysconfig.get_path("scripts"), "llm-sync")
    if not command.exists():
        raise SystemExit("llm-sync is not installed for this Python: run make bench")
    rows = report(measure(cases(sys.executable, str(command)), options.runs))
    print(f"Python {platform.python_version()}, {options.runs} runs each, CPU time")
    print(f"{'case':<30}{'least ms':>10}{'median ms':>11}{'ratio':>8}{'budget':>8}")
    for row in rows:
        over = "  over" if row["within_budget"] is False else ""
        print(f"{row['case']:<30}{row['least_ms']:>10}{row['median_ms']:>11}{row['ratio']:>8}{row['budget'] or '':>8}{over}")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        facts = {"python": platform.python_version(), "machine": platform.machine(), "runs": options.runs, "cases": rows}
        options.output.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return int(options.check and any(row["within_budget"] is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
