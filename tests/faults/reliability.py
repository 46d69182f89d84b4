"""Runs the whole table of faults and writes what came of it as docs/reliability.md (``make reliability``)."""

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

What a caller of llm-sync gets when a provider misbehaves. Every fault below is an action of the [simulator](testing.md); a
real client met it, in every dialect and in every kind of call for which it makes sense, with one retry allowed and no wait
between attempts.

For every cell, these were checked and are true:

* the outcome is the one in the row, and the provider saw as many requests as it says (an attempt that finds nobody to
  connect to counts as none);
* the call ended within its timeouts ({short} s for each attempt if time is what goes wrong), and nothing hung;
* no request asked for a stream;
* it is known what the simulator would have billed: a listing costs nothing, an unusable answer is paid for;
* the same client's next, normal request was answered, over one open connection at most;
* after closing the client, no connection, thread or file descriptor was left.

"answered" is a response, "truncated" a response whose `truncated` is true; the rest are the error classes of
`llm_sync.errors`. A batch does not repeat requests that timed out, because they might be billed twice. "after" is the slowest
cell of the row, in seconds. A dialect is named if it differs.

"""
BOTTOM = """
{cells} cells, run by Python {python} on {system}; `make reliability` runs them and writes this page, `make soak` runs them as
tests, and the default suite has each fault once.
"""


def main() -> int:
    """Writes the page; 1 when a cell did not come to what the table says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="docs/reliability.md")
    path = parser.parse_args().output
    table = _table()
    findings: dict[Any, Any] = {}
    wrong = []
    for cell in table.cells():
        found = table.meet(cell)
        findings[cell.fault.name, cell.door, cell.dialect] = found
        if not table.held(cell, found):
            wrong.append(f"{cell.title}: {found}")
            print(wrong[-1], file=sys.stderr)
    if wrong:
        return 1
    count = len(findings)
    system = f"{platform.system()} {platform.machine()}"
    page = TOP.format(short=table.SHORT_S) + _rows(table, findings)
    page += BOTTOM.format(cells=count, python=platform.python_version(), system=system)
    Path(path).write_text(page, "utf-8")
    print(f"{count} cells held; {path} is written")
    return 0


def _rows(table: Any, findings: Mapping[Any, Any]) -> str:
    doors = list(table.DOORS)
    lines = ["| fault | " + " | ".join(f"{door} | requests" for door in doors) + " | after |"]
    lines.append("|---|" + "---|---:|" * len(doors) + "---:|")
    for fault in table.TABLE:
        columns = [f"`{fault.name}`" if ":" in fault.name or "_" in fault.name else fault.name]
        taken = [0.0]
        for door in doors:
            met = {dialect: found for (name, way, dialect), found in findings.items() if (name, way) == (fault.name, door)}
            taken += [found.took for found in met.values()]
            columns += [_told(met, lambda found: found.ends.what), _told(met, lambda found: str(found.ends.sent))]
        columns.append(f"{max(taken):.1f}")
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def _told(met: Mapping[str, Any], part: Callable[[Any], str]) -> str:
    """What all dialects have in common, and which differ."""
    if not met:
        return "–"
    words = {dialect: part(found) for dialect, found in met.items()}
    usual = _most(words.values())
    others = [f"{dialect}: {word}" for dialect, word in words.items() if word != usual]
    return f"{usual} ({', '.join(others)})" if others else usual


def _most(words: Iterable[str]) -> str:
    found = list(words)
    return max(found, key=found.count)


def _table() -> Any:
    """table.py, which stands beside this file."""
    spec = importlib.util.spec_from_file_location("faults_table", Path(__file__).with_name("table.py"))
    if spec is None or spec.loader is None:
        raise SystemExit("table.py is not there")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
