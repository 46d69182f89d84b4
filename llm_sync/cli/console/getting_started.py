"""The first steps, for a bare ``llm-sync`` or a user without a configuration. Loads nothing else of the library."""

from __future__ import annotations

import os
from argparse import Namespace

from llm_sync.cli import exit_codes
from llm_sync.cli.console.messages import print_error, print_message
from llm_sync.cli.console.terminal import DIM
from llm_sync.config import search_path

_WITHOUT_KEY = (
    'without a key: llm-sync simulate -- llm-sync generate "Say hello"\n     or, with a small real model: llm-sync local -- …'
)


def run(args: Namespace) -> int:
    """Print the first steps for a bare ``llm-sync``; return the status of a usage error, as no command was given."""
    if is_configured(args.config_dir):
        print_error("no command is given; see 'llm-sync --help'")
    else:
        print_error("no command is given, and there is no configuration yet; see 'llm-sync --help'")
    print_message(first_steps(args.config_dir), "INFO", DIM)
    return exit_codes.USAGE


def is_configured(config_dir: str | None) -> bool:
    """Whether there is any configuration, or the environment names one."""
    return bool(os.environ.get(search_path.CONFIG_VARIABLE) or search_path.available(config_dir))


def first_steps(config_dir: str | None) -> str:
    """Three things to do next, with or without a configuration."""
    if not is_configured(config_dir):
        steps = (
            ("export OPENAI_API_KEY=…", "or ANTHROPIC_API_KEY, GEMINI_API_KEY, OPENROUTER_API_KEY …"),
            ('llm-sync generate -m openai/gpt-4o-mini "Say hello"', f"sends a prompt; {_WITHOUT_KEY}"),
            (init_command(config_dir), "creates a folder of example configurations; edit default-llms.yaml in it"),
        )
    else:
        steps = (
            ("llm-sync configs", "lists the configurations, their providers and models"),
            ("llm-sync validate", "checks them, and the keys they need"),
            ('llm-sync generate "Say hello"', f"sends a prompt; {_WITHOUT_KEY}"),
        )
    lines = [f"  {number}. {command}\n     {why}" for number, (command, why) in enumerate(steps, 1)]
    return "what to do next:\n" + "\n".join(lines)


def init_command(config_dir: str | None) -> str:
    """The command that creates the folder in which configurations are looked up."""
    import shlex

    return f"llm-sync init {shlex.quote(str(search_path.new_folder(config_dir)))}"
