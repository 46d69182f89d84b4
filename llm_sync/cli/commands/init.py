"""``llm-sync init``: a folder of example configurations, whole or not at all, whoever else makes it at the same time."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

from llm_sync.cli import exit_codes
from llm_sync.cli.console import getting_started
from llm_sync.cli.console.output import opened, unmasked
from llm_sync.cli.console.streams import manner, note, shown
from llm_sync.cli.options.argument_parser import UsageError, columns, fitted
from llm_sync.config import search_path
from llm_sync.errors import ConfigurationError


def run(args: Namespace) -> int:
    """Make the folder, or complete it; print its path. Status 3 where it is unclear which one, and nobody can be asked."""
    if args.folder == "":
        raise UsageError("DIR is empty: name a folder")
    folder = Path(args.folder).expanduser() if args.folder else _usual(args.config_dir)
    with opened(None) as output:
        added = create(folder)
        if args.json:
            names = sorted(path.name for path in folder.iterdir() if path.suffix in search_path.SUFFIXES)
            output.write(json.dumps({"folder": str(folder), "added": added, "files": names}, ensure_ascii=False))
        else:
            output.write(str(folder))
    count = "1 file" if len(added) == 1 else f"{len(added)} files"
    note(f"{count} added: {', '.join(added)}" if added else "nothing to add: every example is there already")
    return exit_codes.ANSWERED


def _usual(config_dir: str | None) -> Path:
    folders = search_path.search_path(config_dir)
    found = next((folder for folder in folders if folder.is_dir()), None)
    if found is not None:
        return found
    folder = search_path.new_folder(config_dir)
    if not asked(f"There is no folder of configurations yet. Make {folder}?"):
        raise ConfigurationError(
            "there is no folder of configurations yet", guidance=f"Make one: {getting_started.init_command(config_dir)}"
        )
    return folder


def offered(config_dir: str | None) -> bool:
    """Where there is no configuration at all: whether a person at the terminal had some made."""
    folder = search_path.new_folder(config_dir)
    if not asked(f"There is no configuration yet. Make {folder} with examples?"):
        return False
    create(folder)
    note(f"made {folder}: edit the files in it, or remove those you do not need")
    return True


def asked(question: str) -> bool:
    """Whether a person at the terminal says yes; False where there is none."""
    if manner.quiet or sys.stdin is None or sys.stderr is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    sys.stderr.write(f"{fitted(shown(question), columns(2) - 8)} [y/N] ")
    sys.stderr.flush()
    answer = ""
    try:
        answer = sys.stdin.readline()
    except UnicodeError:  # whatever it is, it is no yes
        return False
    finally:
        if not answer.endswith("\n"):  # Ctrl-D or Ctrl-C: what follows begins a line of its own
            sys.stderr.write("\n")
    return answer.strip().lower() in ("y", "yes")


def create(folder: Path) -> list[str]:
    """Make ``folder`` with every example, or add those that are missing; the names of the files added.

    Raises UsageError where that cannot be. Several processes may do it at once: a new folder appears complete, and no file
    appears half-written or replaces another.
    """
    source = search_path.examples()
    if source is None:
        raise ConfigurationError("the example configurations are missing", guidance="Install llm-sync again.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return _complete(source, folder) if folder.is_dir() else _make(source, folder)
    except (OSError, ValueError) as error:
        raise UsageError(f"{os.fspath(folder)!r} cannot be made: {getattr(error, 'strerror', None) or error}") from None


def _make(source: Path, folder: Path) -> list[str]:
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:100]}."))
    try:
        names = _complete(source, made)
        made.chmod(unmasked(0o777))
        try:
            made.rename(folder)  # onto an empty folder, too, but onto no other
        except OSError:
            if not folder.is_dir():
                raise
            return _complete(source, folder)  # another process was quicker, and left what is there
        return names
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _complete(source: Path, folder: Path) -> list[str]:
    return [path.name for path in sorted(source.glob("*.yaml")) if not (folder / path.name).exists() and _add(path, folder)]


def _add(example: Path, folder: Path) -> bool:
    """Put a whole copy of the example there, unless something of its name has appeared; whether it was put."""
    number, temporary = tempfile.mkstemp(dir=folder, prefix=f".{example.name}.")
    try:
        with open(number, "wb") as file:
            file.write(example.read_bytes())
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, unmasked(0o666))
        with contextlib.suppress(FileExistsError):
            _put(temporary, folder / example.name)
            return True
        return False
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _put(temporary: str, target: Path) -> None:
    """Give the file its name; raises FileExistsError where there is one of it."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links; between the look and the rename another may put the same example
        if os.path.lexists(target):
            raise FileExistsError from None
        os.rename(temporary, target)
