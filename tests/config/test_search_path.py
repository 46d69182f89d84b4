from __future__ import annotations

from pathlib import Path

import pytest

from llm_sync.config import ConfigLoader, search_path
from llm_sync.config.search_path import ConfigFile


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a current folder with nothing in them."""
    for name in (search_path.CONFIG_VARIABLE, search_path.FOLDER_VARIABLE, "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def test_the_search_path(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable's folder, the project's, the user's; a folder that is given stands alone. ``~`` is the home."""
    assert [str(folder) for folder in search_path.search_path()] == ["config/llms", f"{elsewhere}/home/.config/llm-sync"]
    monkeypatch.setenv(search_path.FOLDER_VARIABLE, "~/llms")
    assert str(search_path.search_path()[0]) == f"{elsewhere}/home/llms"
    assert [str(folder) for folder in search_path.search_path("~/x")] == [f"{elsewhere}/home/x"]


def test_where_a_new_folder_belongs(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is looked for from every folder; never unasked in the current one, but where there is no home."""
    assert str(search_path.new_folder()) == f"{elsewhere}/home/.config/llm-sync"
    assert str(search_path.new_folder("here")) == "here"
    monkeypatch.setenv(search_path.FOLDER_VARIABLE, "/etc/llms")
    assert str(search_path.new_folder()) == "/etc/llms"
    monkeypatch.delenv(search_path.FOLDER_VARIABLE)
    monkeypatch.setattr(search_path, "user_folder", list)
    assert str(search_path.new_folder()) == "config/llms"


def test_what_is_found(elsewhere: Path) -> None:
    """Files of the two suffixes; the second of a name by its path; hidden files, folders and others not."""
    folder, user = elsewhere / "work/config/llms", elsewhere / "home/.config/llm-sync"
    for path in (
        folder / "a.yaml",
        folder / "a.yml",
        folder / ".hidden.yaml",
        folder / "notes.txt",
        user / "a.yaml",
        user / "b.yml",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (folder / "folder.yaml").mkdir()
    assert search_path.available() == [
        ConfigFile("a", "config/llms/a.yaml"),
        ConfigFile("./config/llms/a.yml", "config/llms/a.yml"),
        ConfigFile(f"{user}/a.yaml", f"{user}/a.yaml"),
        ConfigFile("b", f"{user}/b.yml"),
    ]
    assert ConfigLoader().list_available_configs() == [file.name for file in search_path.available()]


def test_every_name_found_leads_to_its_file(elsewhere: Path) -> None:
    """Also names with a dot in them, and the hidden ones by their paths."""
    folder = elsewhere / "work"
    for name in ("a", "b.c", "d.yaml"):
        (folder / f"{name}.yaml").write_text("")
    loader = ConfigLoader(".")
    for file in search_path.available("."):
        assert loader.find(file.name).samefile(file.path)
