"""The figures of README.md and docs/performance.md are those of benchmarks/figures/, and nobody's memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from docs_world import ROOT  # type: ignore[import-not-found]

SCRIPT = ROOT / "benchmarks/figures.py"


def test_the_pages_say_what_was_measured() -> None:
    """What the script would write stands there."""
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_page_that_says_something_else_is_found(tmp_path: Path) -> None:
    """In a copy whose figures have changed, both pages are told, and mended."""
    (tmp_path / "benchmarks/figures").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/performance.md", "benchmarks/figures.py"):
        (tmp_path / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")
    for path in (ROOT / "benchmarks/figures").glob("*.json"):
        figures = json.loads(path.read_text("utf-8"))
        for scenario in figures.get("scenarios", ()):
            for row in scenario["rows"]:
                if "cpu_ratio" in row:
                    row["cpu_ratio"]["median"] = 123.0
        (tmp_path / "benchmarks/figures" / path.name).write_text(json.dumps(figures), "utf-8")
    check, write = [[sys.executable, str(tmp_path / "benchmarks/figures.py"), *more] for more in (["--check"], [])]
    assert "README.md, docs/performance.md" in subprocess.run(check, capture_output=True, text=True, check=False).stdout
    subprocess.run(write, capture_output=True, check=True)
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0
    assert "| llm-sync | 123 |" in (tmp_path / "README.md").read_text("utf-8")
