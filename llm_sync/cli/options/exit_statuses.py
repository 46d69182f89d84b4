"""The table of exit statuses at the end of a command's help.

A module of its own, because only the help of a command needs it: the options before the command do not.
"""

from __future__ import annotations

from llm_sync.cli.exit_codes import EXIT_CODES

NO_REQUEST = (4, 5, 6, 7, 8, 9, 10)
"""The statuses that a command which sends no request never ends with."""


def exit_statuses(*never: int, good: str = EXIT_CODES[0]) -> str:
    """The table without the statuses that the command ``never`` ends with; ``good`` is the meaning of 0."""
    meanings = {**EXIT_CODES, 0: good}
    return "\n".join(["exit status:", *(f"  {code:<3}  {text}" for code, text in meanings.items() if code not in never)])
