"""A report of a million records: its memory, and its time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

RECORDS = int(os.environ.get("LLM_SYNC_SOAK_RECORDS", "1000000"))
MAX_MEGABYTES = 120
_REPORT = """
import resource, sys, time
from llm_sync.reports import summarize
from llm_sync.reports.writing import write_table
begun = time.perf_counter()
with summarize(sys.argv[1], expect="want") as report:
    first = time.perf_counter() - begun
    write_table(report, sys.argv[2])
    write_table(report, sys.argv[3], long=True)
print(report.records, round(first, 1), round(time.perf_counter() - begun, 1),
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_records(tmp_path: Path) -> None:
    """The figures, a wide and a long table, in the memory that a thousandth of the records needs, nearly."""
    peaks = []
    for records in (RECORDS // 1000, RECORDS):
        output = tmp_path / f"{records}.jsonl"
        with output.open("w") as file:
            for n in range(records):
                usage = {"input_tokens": 3, "output_tokens": 2}
                response = {
                    "text": f"answer {n % 3}",
                    "usage": usage,
                    "latency_ms": n % 977,
                    "attempts": 1,
                    "cost_estimate": 0.001,
                }
                record = {
                    "id": n // 2,
                    "index": n // 2,
                    "provider": "p",
                    "model": f"m{n % 2}",
                    "response": response,
                    "error": None,
                }
                file.write(json.dumps({**record, "input": {"want": "answer 1", "other": "x" * 40}}) + "\n")
        targets = [str(tmp_path / name) for name in ("wide.csv", "long.csv")]
        done = subprocess.run(
            [sys.executable, "-I", "-c", _REPORT, output, *targets], capture_output=True, text=True, check=True, timeout=1500
        )
        count, first, total, megabytes = done.stdout.split()
        print(f"{int(count):,} records: figures after {first} s, tables after {total} s, {megabytes} MB at most")
        peaks.append(int(megabytes))
    assert peaks[1] < MAX_MEGABYTES
    assert peaks[1] < peaks[0] + 60
