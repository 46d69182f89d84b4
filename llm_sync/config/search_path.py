"""The folders that configurations are looked up in, and the files there. Reads names of files, not their content."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

CONFIG_VARIABLE = "LLM_SYNC_CONFIG"
FOLDER_VARIABLE = "LLM_SYNC_CONFIG_DIR"
DEFAULT_NAME = "default-llms"
SUFFIXES = (".yaml", ".yml")
_PROJECT_FOLDER = Path("config", "llms")


class ConfigFile(NamedTuple):
    """A configuration file. ``name``: what ``load_config`` accepts for it: its path if another file of its name comes first."""

    name: str
    path: str


class Folder(NamedTuple):
    """A folder of the search path. ``of_project``: it is in the working folder, whose content somebody else may have written."""

    path: Path
    of_project: bool = False


def folders(config_dir: str | os.PathLike[str] | None = None) -> list[Folder]:
    """The folders names are looked up in, whether they exist or not: ``config_dir`` alone, where it is given."""
    if config_dir is not None:
        return [Folder(Path(config_dir).expanduser())]
    named = os.environ.get(FOLDER_VARIABLE)
    own = [Folder(Path(named).expanduser())] if named else []
    return [*own, Folder(_PROJECT_FOLDER, of_project=True), *map(Folder, user_folder())]


def is_of_project(path: Path) -> bool:
    """Whether a file is in the folder of the search path that belongs to the working folder."""
    return os.path.realpath(path.parent) == os.path.realpath(_PROJECT_FOLDER)


def search_path(config_dir: str | os.PathLike[str] | None = None) -> list[Path]:
    """The paths of ``folders``."""
    return [folder.path for folder in folders(config_dir)]


def user_folder() -> list[Path]:
    """The user's configuration folder, as a list; empty if the system knows no home folder."""
    from platformdirs import user_config_dir

    try:
        folder = Path(user_config_dir("llm-sync", appauthor=False))
    except (OSError, RuntimeError):  # no HOME and no account: there is no such folder
        return []
    return [folder] if folder.is_absolute() else []


def new_folder(config_dir: str | os.PathLike[str] | None = None) -> Path:
    """Where to create a folder of configurations: the first of the search path that does not belong to the working folder."""
    folders = search_path(config_dir)
    return next((folder for folder in folders if folder.is_absolute() or config_dir is not None), folders[0])


def available(config_dir: str | os.PathLike[str] | None = None) -> list[ConfigFile]:
    """Every configuration that can be found, in the order of the search path, then by name."""
    files: list[ConfigFile] = []
    names: set[str] = set()
    for folder in search_path(config_dir):
        try:
            entries = sorted(os.listdir(folder), key=lambda file: (os.path.splitext(file)[0], file))
        except OSError:
            continue
        for file in entries:
            name, suffix = os.path.splitext(file)
            if suffix not in SUFFIXES or file.startswith(".") or not os.path.isfile(folder / file):
                continue
            hidden = name in names or is_path(name)
            files.append(ConfigFile(os.path.join(".", folder, file) if hidden else name, os.path.join(folder, file)))
            names.add(name)
    return files


def is_path(text: str) -> bool:
    """Whether a text is a path to a configuration, and not a name."""
    return "/" in text or os.sep in text or bool(os.altsep and os.altsep in text) or text.endswith(SUFFIXES)


def examples() -> Path | None:
    """The folder of the example configurations: beside the installed package, or at the top of its checkout."""
    room = Path(__file__).parent
    folders = (room / "llms", room.parent.parent / "config" / "llms")
    return next((folder for folder in folders if folder.is_dir()), None)
