"""``llm-sync init``: create or complete a folder of example configurations."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from pathlib import Path

from llm_sync.cli import example_configs, exit_codes
from llm_sync.cli.console import getting_started
from llm_sync.cli.console.confirm import confirm
from llm_sync.cli.console.messages import print_note
from llm_sync.cli.console.output import open_output
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.client.simulation import URL_VARIABLE
from llm_sync.config import search_path
from llm_sync.errors import ConfigurationError


def run(args: Namespace) -> int:
    """Create or complete the folder, print its path, return the exit status.

    Raises ConfigurationError if no folder is named, there is none yet, and no terminal user agrees to create one.
    """
    if args.folder == "":
        raise UsageError("DIR is empty: name a folder")
    folder = Path(args.folder).expanduser() if args.folder else _user_folder(args.config_dir)
    with open_output(None) as output:
        added = example_configs.create(folder)
        if args.json:
            names = sorted(path.name for path in folder.iterdir() if path.suffix in search_path.SUFFIXES)
            output.write(json.dumps({"folder": str(folder), "added": added, "files": names}, ensure_ascii=False))
        else:
            output.write(str(folder))
    files = "1 file" if len(added) == 1 else f"{len(added)} files"
    print_note(f"{files} added: {', '.join(added)}" if added else "nothing to add: all examples exist already")
    if _is_in_working_folder(folder):
        print_note("what you change here may need your trust before it is used, see 'llm-sync trust --help'")
    return exit_codes.ANSWERED


def _is_in_working_folder(folder: Path) -> bool:
    """Whether configurations are found there because it is in the working folder, so that they may need trust."""
    return any(each.of_project and each.path.absolute() == folder.absolute() for each in search_path.folders())


def _user_folder(config_dir: str | None) -> Path:
    """The first existing folder of the search path, or a new one that the user agrees to. Raises UsageError in a simulation,
    whose folder comes first there."""
    if config_dir is None and os.environ.get(URL_VARIABLE) and os.environ.get(search_path.FOLDER_VARIABLE):
        raise UsageError(
            "within a simulation, name a folder: llm-sync init DIR "
            f"({search_path.FOLDER_VARIABLE} is the simulator's, which is removed at its end)"
        )
    folders = search_path.search_path(config_dir)
    existing = next((folder for folder in folders if folder.is_dir()), None)
    if existing is not None:
        return existing
    folder = search_path.new_folder(config_dir)
    if not confirm(f"There is no configuration folder yet. Create {folder}?"):
        raise ConfigurationError(
            "there is no configuration folder yet", guidance=f"Create one: {getting_started.init_command(config_dir)}"
        )
    return folder
