"""How to resume a batch that was interrupted: printed at the first Ctrl-C, and once more at the second."""

from __future__ import annotations

import os
import shlex
import sys

from llm_sync.cli.console.messages import print_warning, write_stderr
from llm_sync.cli.console.output_settings import settings

SIMULATE_VARIABLE = "LLM_SYNC_SIMULATE_COMMAND"
"""Set by ``llm-sync simulate`` for its command: how it was called, up to and with the ``--``."""


class ResumeHint:
    """The hint for a batch that writes ``output``."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._part = f"{os.path.realpath(output)}.part"

    def print(self, so_far: str = "") -> None:
        """Print it, if there is a journal to resume from. ``so_far``: how far the batch came, in words."""
        if not os.path.exists(self._part):
            return
        if settings.as_json:
            print_warning(f"{so_far}{self._message} {_command()}")
        else:
            print_warning(f"{so_far}{self._message}")
            write_stderr(f"  {_command()}")  # in one piece, to be copied

    def at_once(self) -> str:
        """What to write before the process ends without any more steps; empty without a journal."""
        if not os.path.exists(self._part):
            return ""
        if not settings.as_json:
            return f"\nllm-sync: {self._message}\n  {_command()}\n"
        from llm_sync.cli.console.log_format import json_line

        return json_line("WARNING", "llm_sync.cli", f"{self._message} {_command()}") + "\n"

    @property
    def _message(self) -> str:
        return f"the answers so far are in {self._output}.part; to resume:"


def _command() -> str:
    """The same command again, without --restart; a simulation is one again."""
    words = [word for word in sys.argv[1:] if word != "--restart"]
    if not {"batch", "embed"} & set(words):
        return "(the same command again)"
    simulate = os.environ.get(SIMULATE_VARIABLE) if os.environ.get("LLM_SYNC_SIMULATOR_URL") else None
    return " ".join(filter(None, (simulate, shlex.join(["llm-sync", *words]))))


def simulate_command(words: list[str], child: list[str]) -> str:
    """The value of SIMULATE_VARIABLE. ``words``: the arguments of ``llm-sync``; they end in the command ``child``."""
    own = words[: len(words) - len(child)]
    return shlex.join(["llm-sync", *own, *(() if own[-1:] == ["--"] else ("--",))])
