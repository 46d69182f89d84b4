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


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run make in the checkout or a copy of it, away from the make that may run these tests."""
    command = ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=50, check=False)


def rooms() -> set[str]:
    """The folders of tests/ with tests that `make test` runs."""
    return {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")} - OWN_TARGETS


def test_help_lists_every_target_under_its_theme() -> None:
    """`make help` shows each phony target once, below one of the themes."""
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


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A folder with what the targets of a release read: version 1.2.3, and its section of the changelog."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "llm_sync").mkdir()
    (tmp_path / "llm_sync/__init__.py").write_text('__version__ = "1.2.3"\n', encoding="utf-8")
    changes = [
        "# Changelog",
        "## [Unreleased]",
        "- later",
        "## [1.2.3] - 2026-11-30",
        "### Added",
        "- this",
        "## [1.2.2] - 2026-01-02",
    ]
    (tmp_path / "CHANGELOG.md").write_text("\n\n".join([*changes, "- before\n"]), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("tag", "heading", "said"),
    [
        ("v1.2.3", "## [1.2.3] - 2026-11-30", None),
        ("v1.2.4", "## [1.2.3] - 2026-11-30", "the version in llm_sync/__init__.py is 1.2.3"),
        ("1.2.3", "## [1.2.3] - 2026-11-30", "TAG is '1.2.3'"),
        ("v1.2.3", "## [1.2.3]", "no heading: ## [1.2.3] - YEAR-MONTH-DAY"),
    ],
)
def test_a_release_needs_one_version_everywhere(release: Path, tag: str, heading: str, said: str | None) -> None:
    """A tag that is not the version in the code, or a version without a dated section in the changelog, is refused."""
    path = release / "CHANGELOG.md"
    path.write_text(path.read_text("utf-8").replace("## [1.2.3] - 2026-11-30", heading), encoding="utf-8")
    done = make("release-check", f"TAG={tag}", folder=release)
    assert (done.returncode == 0) == (said is None), done.stderr
    assert said is None or said in done.stderr


def test_release_notes_are_the_version_s_section(release: Path) -> None:
    """Neither what is unreleased nor what came before is in them."""
    assert make("release-notes", "TAG=v1.2.3", folder=release).stdout.split("\n") == ["", "### Added", "", "- this", "", ""]
