"""What to do next, for who runs ``llm-sync`` bare, or has no configuration yet. Costs little: nothing of the library's rest."""

from __future__ import annotations

import os
from argparse import Namespace

from llm_sync.cli import exit_codes
from llm_sync.cli.console import streams
from llm_sync.config import search_path

_SIMULATED = 'llm-sync simulate -- llm-sync generate "Say hello"'


def run(args: Namespace) -> int:
    """Bare ``llm-sync``: three things to do next; no command was named, which is a usage error."""
    if not configured(args.config_dir):
        streams.complain("no command is given, and there is no configuration yet; see 'llm-sync --help'")
    else:
        streams.complain("no command is given; see 'llm-sync --help'")
    streams.say(steps(args.config_dir), "INFO", streams.DIM)
    return exit_codes.USAGE


def configured(config_dir: str | None) -> bool:
    """Whether there is any configuration, or one is named by the environment."""
    return bool(os.environ.get(search_path.CONFIG_VARIABLE) or search_path.available(config_dir))


def steps(config_dir: str | None) -> str:
    """The three things to do next, with or without a configuration."""
    if not configured(config_dir):
        things = (
            (init_command(config_dir), "makes a folder of example configurations; edit default-llms.yaml in it"),
            ("export OPENAI_API_KEY=…", "and any other key the configuration names"),
            ('llm-sync generate "Say hello"', f"asks; without a key: {_SIMULATED}"),
        )
    else:
        things = (
            ("llm-sync configs", "lists the configurations, their providers and models"),
            ("llm-sync validate", "checks them, and the keys they need"),
            ('llm-sync generate "Say hello"', f"asks; without a key: {_SIMULATED}"),
        )
    lines = [f"  {number}. {command}\n     {why}" for number, (command, why) in enumerate(things, 1)]
    return "what to do next:\n" + "\n".join(lines)


def init_command(config_dir: str | None) -> str:
    """The command that makes the folder configurations are looked for in."""
    import shlex

    return f"llm-sync init {shlex.quote(str(search_path.new_folder(config_dir)))}"
