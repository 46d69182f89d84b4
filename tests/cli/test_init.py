from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.cli import example_configs
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.config import ConfigLoader, search_path

Run = Callable[..., Any]


@pytest.fixture
def examples() -> dict[str, bytes]:
    """The files that are shipped, by name."""
    folder = search_path.examples()
    assert folder is not None
    return {path.name: path.read_bytes() for path in folder.glob("*.yaml")}


def held(folder: Path) -> dict[str, bytes]:
    """What a folder holds, hidden files too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_new_folder_is_complete(llm: Run, tmp_path: Path, examples: dict[str, bytes]) -> None:
    """Every example, its folders made too, no leftovers; the path on standard output, what was done beside it."""
    before = os.umask(0o027)
    try:
        ran = llm("init", str(tmp_path / "a" / "b"))
    finally:
        os.umask(before)
    assert (ran.status, ran.out) == (0, f"{tmp_path}/a/b\n")
    assert f"{len(list((tmp_path / 'a' / 'b').iterdir()))} files added" in ran.err
    assert held(tmp_path / "a" / "b") == examples
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o750
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a" / "b").iterdir()} == {0o640}


def test_what_is_there_stays(llm: Run, tmp_path: Path, examples: dict[str, bytes]) -> None:
    """Files of the user's own, changed examples, and links, even into nothing; the rest is added."""
    (tmp_path / "openai.yaml").write_text("mine")
    (tmp_path / "notes").write_text("mine too")
    (tmp_path / "gemini.yaml").symlink_to("nowhere")
    ran = llm("init", str(tmp_path))
    assert (ran.status, ran.out) == (0, f"{tmp_path}\n")
    assert (tmp_path / "gemini.yaml").is_symlink()
    (tmp_path / "gemini.yaml").unlink()
    rest = {name: content for name, content in examples.items() if name != "gemini.yaml"}
    assert held(tmp_path) == {**rest, "openai.yaml": b"mine", "notes": b"mine too"}
    assert llm("init", str(tmp_path)).err == "llm-sync: 1 file added: gemini.yaml\n"
    assert "nothing to add" in llm("init", str(tmp_path)).err


def test_the_folder_that_is_used_is_completed(llm: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without DIR, if one exists already, no question is asked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config" / "llms").mkdir(parents=True)
    assert llm("init").status == 0
    assert (tmp_path / "config" / "llms" / "default-llms.yaml").exists()


def test_the_folder_of_a_simulation_is_not_completed(llm: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is removed when the simulation ends; a folder that is named is completed there, too."""
    monkeypatch.setenv("LLM_SYNC_SIMULATOR_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("LLM_SYNC_CONFIG_DIR", str(tmp_path))
    ran = llm("init")
    assert (ran.status, ran.out, held(tmp_path)) == (2, "", {})
    assert "name a folder: llm-sync init DIR" in ran.err
    assert llm("init", str(tmp_path / "mine")).out == f"{tmp_path}/mine\n"


def test_a_script_gets_the_command(llm: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none exists and none is named: status 3, and nothing is written unasked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_SYNC_CONFIG_DIR", str(tmp_path / "a b"))
    ran = llm("init")
    assert (ran.status, ran.out) == (3, "")
    assert f"llm-sync init '{tmp_path}/a b'" in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("answer", "made"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)])
def test_a_terminal_is_asked(llm: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, made: bool) -> None:
    """Only a clear yes makes the folder."""
    import io
    import sys

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(type(sys.stderr), "isatty", lambda self: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    ran = llm("init", "--config-dir", str(tmp_path / "new"), stdin=Terminal(answer))
    assert ran.err.partition("[y/N] ")[2].startswith("\n") != bool(answer)  # Ctrl-D ends no line, so that is done for it
    assert ran.status == (0 if made else 3)
    assert (tmp_path / "new").exists() == made


@pytest.mark.parametrize(
    ("place", "why"), [("file", "Not a directory"), ("file/x", "File exists"), ("", "DIR is empty"), ("x\0y", "null")]
)
def test_a_folder_that_cannot_be_made(llm: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, why: str) -> None:
    """Status 2, the path and the reason; nothing lies about."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    ran = llm("init", place)
    assert (ran.status, ran.out) == (2, "")
    assert why in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("place", "hint"), [("config/llms", True), ("elsewhere", False)])
def test_in_the_working_folder_trust_is_mentioned(
    llm: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, hint: bool
) -> None:
    """Configurations are found there by name, and those that somebody changes may need trust."""
    monkeypatch.chdir(tmp_path)
    assert ("llm-sync trust --help" in llm("init", place).err) is hint


def test_the_slower_of_two_keeps_what_the_quicker_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: dict[str, bytes]
) -> None:
    """Both had seen no folder; between the look and the rename the other's appears, with a change of its user."""
    folder = tmp_path / "here"
    complete = example_configs._add_missing

    def slower(source: Path, target: Path) -> list[str]:
        names = complete(source, target)
        if not folder.exists():
            folder.mkdir()
            (folder / "openai.yaml").write_text("mine")
        return names

    monkeypatch.setattr(example_configs, "_add_missing", slower)
    assert "openai.yaml" not in example_configs.create(folder)
    assert held(folder) == {**examples, "openai.yaml": b"mine"}
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: dict[str, bytes]) -> None:
    """FAT has none: files are renamed into place then, and still replace nothing."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    (tmp_path / "openai.yaml").write_text("mine")
    example_configs.create(tmp_path)
    assert held(tmp_path) == {**examples, "openai.yaml": b"mine"}


def test_a_full_disk_leaves_no_half_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All or nothing."""

    def fail(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(UsageError, match="No space left on device"):
        example_configs.create(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_every_example_that_is_written_is_valid(tmp_path: Path) -> None:
    """What a newcomer starts from loads."""
    example_configs.create(tmp_path / "new")
    loader = ConfigLoader(tmp_path / "new")
    for name in loader.list_available_configs():
        assert loader.load_config(name).providers


def test_twenty_at_once(start: Callable[..., Any], tmp_path: Path, examples: dict[str, bytes]) -> None:
    """Twenty processes, one new folder: one complete set, no leftovers, all end well."""
    processes = [start("init", "a/new/folder") for _ in range(20)]
    seen: list[set[str]] = []
    done = threading.Event()

    def watch() -> None:  # whoever looks while they are at it sees nothing, or everything
        while not done.is_set():
            if (tmp_path / "a/new/folder").is_dir():
                seen.append({path.name for path in (tmp_path / "a/new/folder").glob("*.yaml")})

    watcher = threading.Thread(target=watch)
    watcher.start()
    for process in processes:
        process.communicate(timeout=50)
    done.set()
    watcher.join()
    assert [process.returncode for process in processes] == [0] * 20
    assert held(tmp_path / "a/new/folder") == examples
    assert [path.name for path in (tmp_path / "a/new").iterdir()] == ["folder"]
    assert all(names == set(examples) for names in seen)
