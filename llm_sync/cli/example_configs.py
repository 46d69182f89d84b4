"""The folder of example configurations that ``init`` creates: complete or not at all, also if several processes do it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from llm_sync.cli.console.confirm import confirm
from llm_sync.cli.console.messages import print_note
from llm_sync.cli.console.output_files import without_umask
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.config import search_path
from llm_sync.errors import ConfigurationError


def offer(config_dir: str | None) -> bool:
    """Offer to create the examples; whether the user at the terminal accepted."""
    folder = search_path.new_folder(config_dir)
    if not confirm(f"There is no configuration yet. Create {folder} with examples?"):
        return False
    create(folder)
    print_note(f"created {folder}: edit the files in it, or remove those you do not need")
    return True


def create(folder: Path) -> list[str]:
    """Create ``folder`` with every example, or add the missing ones; return the names of the files added.

    Raises UsageError if that is impossible. Several processes may do it at once: a new folder appears complete, and no file
    appears half-written or replaces another.
    """
    source = search_path.examples()
    if source is None:
        raise ConfigurationError("the example configurations are missing", guidance="Install llm-sync again.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return _add_missing(source, folder) if folder.is_dir() else _create_folder(source, folder)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{os.fspath(folder)!r} cannot be created: {reason}") from None


def _create_folder(source: Path, folder: Path) -> list[str]:
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:100]}."))
    try:
        names = _add_missing(source, temporary)
        temporary.chmod(without_umask(0o777))
        try:
            temporary.rename(folder)  # this also replaces an empty folder, but no other
        except OSError:
            if not folder.is_dir():
                raise
            return _add_missing(source, folder)  # another process created the folder first
        return names
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _add_missing(source: Path, folder: Path) -> list[str]:
    return [path.name for path in sorted(source.glob("*.yaml")) if not (folder / path.name).exists() and _add(path, folder)]


def _add(example: Path, folder: Path) -> bool:
    """Copy the example as a whole, unless a file of its name has appeared; whether it was copied."""
    number, temporary = tempfile.mkstemp(dir=folder, prefix=f".{example.name}.")
    try:
        with open(number, "wb") as file:
            file.write(example.read_bytes())
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, without_umask(0o666))
        with contextlib.suppress(FileExistsError):
            _name(temporary, folder / example.name)
            return True
        return False
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _name(temporary: str, target: Path) -> None:
    """Give the file its name. Raises FileExistsError if there is a file of that name."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # no hard links here; a race between check and rename can only replace an example by the same example
        if os.path.lexists(target):
            raise FileExistsError from None
        os.rename(temporary, target)
