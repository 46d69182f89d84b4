"""The Makefile: what `make help` lists, and `make test-ROOM`."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
THEMES = ["Demo and tests", "Checks", "Documentation", "Benchmarks", "Interop", "Packaging", "Variables"]
OWN_TARGETS = {"interop", "soak"}  # folders whose tests need another target than test-ROOM
# Parts of `make interop`, which is the one in the list.
UNLISTED = {"help", "interop-sdks", "interop-shims"}

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in the checkout, away from the make that may run these tests."""
    command = ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


def rooms() -> set[str]:
    """The folders of tests/ with tests that `make test` runs."""
    return {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")} - OWN_TARGETS


def test_help_lists_every_target_under_its_theme() -> None:
    """Whoever types `make help` sees each phony target once, below one of the themes."""
    shown = make("help").stdout
    phony = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    targets = set(phony[0].replace("\\\n", " ").split()) - UNLISTED
    assert re.findall(r"^\S.*$", shown, re.MULTILINE) == THEMES
    assert sorted(re.findall(r"^  make (\S+) +\S", shown, re.MULTILINE)) == sorted(targets | {"test-ROOM"})


def test_a_room_s_tests_are_run_alone() -> None:
    """`make test-config` hands pytest the folder tests/config and no other."""
    shown = make("-n", "test-config").stdout
    assert "TESTS=tests/config" in shown
    assert re.findall(r'"\$top/(tests[^"]*)"', shown) == ["tests/config"]


@pytest.mark.parametrize("room", ["nowhere", *sorted(OWN_TARGETS)])
def test_an_unknown_room_fails_and_the_known_ones_are_named(room: str) -> None:
    """The message names the word that was typed and every room that there is."""
    done = make(f"test-{room}")
    assert done.returncode == 2
    assert f"there is no room '{room}'" in done.stderr
    named = re.findall(r"rooms: ([a-z_ ]+);", done.stderr)
    assert set(named[0].split()) == rooms()
