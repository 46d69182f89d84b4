"""docs/testing.md beside the code: every example in it runs, and its tables name what there is."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llm_sync.simulator import RequestRecord
from llm_sync.simulator.behaviour import load_script, shipped
from llm_sync.simulator.behaviour.draws import DISTRIBUTIONS
from llm_sync.simulator.behaviour.hints import HINTS
from llm_sync.simulator.behaviour.refusals import WORDS
from llm_sync.simulator.behaviour.schema import _WHEN, ACTIONS, PROVIDERS

PAGE = (Path(__file__).parents[1] / "docs" / "testing.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FILES = {found[1]: text for kind, text in BLOCKS if kind == "python" and (found := re.match(r"# (\w+\.py)\n", text))}


def columns(heading: str) -> list[list[str]]:
    """The rows of the table that begins with this column."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\|\n)+)", PAGE, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def words(cell: str) -> list[str]:
    """What stands in code marks."""
    return re.findall(r"`([^`]+)`", cell)


def ran(folder: Path, *argv: str) -> str:
    """The output of a command in a folder of its own, with this environment's programs first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "HOME": str(folder)}
    done = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_block_is_one_that_runs() -> None:
    """A block of another kind, or Python without the name of its file, would be looked at by nobody."""
    assert {kind for kind, _ in BLOCKS} == {"console", "python", "yaml"}
    assert len(FILES) == sum(kind == "python" for kind, _ in BLOCKS)


@pytest.mark.skipif(not os.environ.get("LLM_SYNC_TEST_INSTALLED"), reason="the command is that of an installation")
def test_the_command_runs(tmp_path: Path) -> None:
    """As it stands there, with the program it names; and the log tells."""
    for name in ("report.py", "tell.py"):
        (tmp_path / name).write_text(FILES[name])
    for line in next(text for kind, text in BLOCKS if kind == "console").splitlines():
        output = ran(tmp_path, *line.removeprefix("$ ").split())
        assert len(output.splitlines()) >= 20
    assert "'ok': " in ran(tmp_path, sys.executable, "tell.py")


def test_the_script_in_code_runs(tmp_path: Path) -> None:
    """And prints what its comments say."""
    (tmp_path / "in_code.py").write_text(FILES["in_code.py"])
    told = re.findall(r"# (2|\[.*\])$", FILES["in_code.py"], re.MULTILINE)
    assert ran(tmp_path, sys.executable, "in_code.py").splitlines() == told


@pytest.mark.skipif(not os.environ.get("LLM_SYNC_TEST_INSTALLED"), reason="only an installed package is a plugin of pytest")
def test_the_tests_pass(tmp_path: Path) -> None:
    """All that are shown, as a suite."""
    names = [name for name in FILES if name.startswith("test_")]
    for name in names:
        (tmp_path / name).write_text(FILES[name])
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider -p no:xdist\n")
    count = sum(FILES[name].count("def test_") for name in names)
    assert f"{count} passed" in ran(tmp_path, sys.executable, "-I", "-m", "pytest", "-q")


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "yaml"])
def test_the_scripts_are_good_ones(text: str, tmp_path: Path) -> None:
    """Each loads."""
    (tmp_path / "script.yaml").write_text(text)
    assert load_script(tmp_path / "script.yaml").rules


def test_the_tables_name_what_there_is() -> None:
    """Scripts, conditions, actions, errors, hints, distributions and fields: none is missing, none is made up."""
    assert sorted(words(row[0])[0] for row in columns("script")) == shipped()
    assert [words(row[0])[0] for row in columns("condition")] == list(_WHEN)
    assert all(name in columns("condition")[0][1] for name in PROVIDERS)
    actions = {words(row[0])[0]: row for row in columns("action")}
    assert set(actions) == set(ACTIONS)
    assert words(actions["error"][2]) == list(WORDS)
    assert {word for row in columns("hint") for word in words(row[0])} == set(HINTS)
    assert all(f"{name}:" in PAGE for name in DISTRIBUTIONS if name != "seconds")
    fields = {field.name for field in dataclasses.fields(RequestRecord)} - {"arrived", "ended"}
    assert {word for row in columns("field") for word in words(row[0])} == fields | {"ended_at", "billed"}
