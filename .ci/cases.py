"""Runs each case of a folder (``*.py``; exit 0 is right), each within two minutes. Exit 0 if all are right.

usage: cases.py FOLDER
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT_S = 120


def wrong(case: Path) -> str | None:
    """The last line of what a case says if it is not right; None if it is."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            ran = subprocess.run(
                [sys.executable, "-I", case], cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return f"not done after {LIMIT_S} s"
    said = (ran.stdout + ran.stderr).strip().splitlines() or [f"exit status {ran.returncode}"]
    return said[-1][:200] if ran.returncode else None


def main() -> int:
    """Run all, and print those that are not right."""
    cases = sorted(Path(sys.argv[1]).resolve().glob("*.py"))
    found = {case.name: problem for case in cases if (problem := wrong(case)) is not None}
    for name, problem in found.items():
        print(f"{name}: {problem}")
    print(f"{len(cases) - len(found)} of {len(cases)} cases are right")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
