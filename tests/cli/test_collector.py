"""The garbage collector rests while a command loads, and works while it runs."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from llm_sync.cli.main import main

SCRIPT = """
import gc, sys
from llm_sync.cli.commands import models
from llm_sync.cli.main import main
def run(args):
    print("at work" if gc.isenabled() else "at rest", gc.get_freeze_count() > 1000)
    return 7
models.run = run
sys.argv = ["llm-sync", "models"]
assert main() == 7
"""


def test_a_command_runs_with_the_collector_at_work() -> None:
    """What was loaded before it counts as kept for good."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == "at work True\n"


def test_a_caller_s_collector_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """``main`` with arguments is a call like any other: it freezes nothing of its process."""
    before = gc.get_freeze_count()
    assert main(["--version"]) == 0
    assert main(["models", "--config", "/nowhere/x.yaml"]) != 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == before
    capsys.readouterr()
