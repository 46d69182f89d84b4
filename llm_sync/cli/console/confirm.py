"""A yes-or-no question on the terminal."""

from __future__ import annotations

import sys

from llm_sync.cli.console import terminal
from llm_sync.cli.console.output_settings import settings


def confirm(question: str) -> bool:
    """Whether the user answers yes; False with --quiet, and unless both standard input and standard error are terminals."""
    if settings.quiet or sys.stdin is None or sys.stderr is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    sys.stderr.write(f"{terminal.wrap(terminal.escape_controls(question), terminal.width(2) - 8)} [y/N] ")
    sys.stderr.flush()
    answer = ""
    try:
        answer = sys.stdin.readline()
    except UnicodeError:  # not a yes
        return False
    finally:
        if not answer.endswith("\n"):  # Ctrl-D or Ctrl-C: later output begins on a new line
            sys.stderr.write("\n")
    return answer.strip().lower() in ("y", "yes")
