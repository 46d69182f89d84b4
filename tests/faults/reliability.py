"""Runs the whole fault table and writes the results to docs/reliability.md (``make reliability``)."""

from __future__ import annotations

import argparse
import importlib.util
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

TOP = """\
# Reliability

This page shows what a caller of llm-sync gets when a provider misbehaves. Every fault below is an action of the
[simulator](testing.md). A real client ran into it, in every dialect and every kind of call to which it applies, with one retry
and no wait between attempts.

For every cell the following was checked:

* the outcome is the one in the row, and the provider received the number of requests in the row (an attempt that could not
  connect is not counted);
* the call ended within its timeouts ({short} s per attempt for faults that delay the response), and nothing hung;
* no request asked for a stream;
* the simulator billed what it should: nothing for a listing, an unusable answer like any other;
* the same client's next, normal request was answered, over at most one open connection;
* after the client was closed, no connection, thread or file descriptor was left.

"answered" is a response, "truncated" a response whose `truncated` is true; the others are error classes of `llm_sync.errors`.
A batch does not send a request again that timed out, because it might be billed twice. "seconds" is the time of the slowest
cell of the row. A dialect is named where it differs.

"""
BOTTOM = """
{cells} cells, run with Python {python} on {system}. `make reliability` runs them and writes this page; `make soak` runs them as
tests; the default test suite runs each fault once.
"""


def main() -> int:
    """Write the page; returns 1 if the result of a cell differs from the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="docs/reliability.md")
    path = parser.parse_args().output
    table = _table()
    findings: dict[Any, Any] = {}
    wrong = []
    for cell in table.cells():
        result = table.run_cell(cell)
        findings[cell.fault.name, cell.call_kind, cell.dialect] = result
        if not table.is_as_expected(cell, result):
            wrong.append(f"{cell.title}: {result}")
            print(wrong[-1], file=sys.stderr)
    if wrong:
        return 1
    count = len(findings)
    system = f"{platform.system()} {platform.machine()}"
    page = TOP.format(short=table.SHORT_S) + _rows(table, findings)
    page += BOTTOM.format(cells=count, python=platform.python_version(), system=system)
    Path(path).write_text(page, "utf-8")
    print(f"{count} cells are as expected; {path} is written")
    return 0


def _rows(table: Any, findings: Mapping[Any, Any]) -> str:
    call_kinds = list(table.CALL_KINDS)
    lines = ["| fault | " + " | ".join(f"{call_kind} | requests" for call_kind in call_kinds) + " | seconds |"]
    lines.append("|---|" + "---|---:|" * len(call_kinds) + "---:|")
    for fault in table.TABLE:
        columns = [f"`{fault.name}`" if ":" in fault.name or "_" in fault.name else fault.name]
        taken = [0.0]
        for call_kind in call_kinds:
            met = {dialect: found for (name, way, dialect), found in findings.items() if (name, way) == (fault.name, call_kind)}
            taken += [found.took for found in met.values()]
            columns += [_summary(met, lambda found: found.outcome.what), _summary(met, lambda found: str(found.outcome.sent))]
        columns.append(f"{max(taken):.1f}")
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def _summary(met: Mapping[str, Any], part: Callable[[Any], str]) -> str:
    """The result of most dialects, then those that differ."""
    if not met:
        return "–"
    words = {dialect: part(found) for dialect, found in met.items()}
    usual = _most_frequent(words.values())
    others = [f"{dialect}: {word}" for dialect, word in words.items() if word != usual]
    return f"{usual} ({', '.join(others)})" if others else usual


def _most_frequent(words: Iterable[str]) -> str:
    found = list(words)
    return max(found, key=found.count)


def _table() -> Any:
    """The module table.py in this folder."""
    spec = importlib.util.spec_from_file_location("faults_table", Path(__file__).with_name("table.py"))
    if spec is None or spec.loader is None:
        raise SystemExit("table.py is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
