"""Programs that use the installed package are type-checked, as their authors would."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("installed")

CONSUMER = Path(__file__).parents[1] / "typing_consumer"


@pytest.mark.timeout(300)  # mypy reads the whole package without a cache
def test_programs_pass_a_strict_type_checker_and_their_mistakes_do_not(tmp_path: Path) -> None:
    """py.typed and the annotations of every public name serve ``mypy --strict``; each marked mistake is found.

    In mistakes.py every mistake has a ``type: ignore`` with its code: strict mypy reports a mark that nothing needs.
    """
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed: make lint installs it")
    shutil.copytree(CONSUMER, tmp_path / "programs")  # away from the checkout, whose llm_sync would be found first
    command = [sys.executable, "-I", "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path / "cache"), "."]
    done = subprocess.run(command, cwd=tmp_path / "programs", capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"in {len(list(CONSUMER.glob('*.py')))} source files" in done.stdout
