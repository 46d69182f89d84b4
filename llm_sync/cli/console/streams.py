"""The standard streams themselves: reopened if the caller closed them, silenced once they are broken.

Imports next to nothing: ``--version`` loads it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs as much as a bare start of Python
if TYPE_CHECKING:
    from typing import IO


def reopen_closed() -> None:
    """Occupy the standard streams that the caller closed, so that no socket or file gets their descriptors.

    Writing to a closed standard output then fails as it should; a closed standard error swallows everything.
    """
    if sys.stdin is None:
        _occupy(0, os.O_WRONLY)
    if sys.stdout is None and _occupy(1, os.O_RDONLY):
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  (it lasts as long as the process)
    if sys.stderr is None and _occupy(2, os.O_WRONLY):
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115


def _occupy(number: int, flags: int) -> bool:
    opened = os.open(os.devnull, flags)
    if opened != number:
        os.close(opened)
    return opened == number


def silence(stream: IO[str], number: int) -> None:
    """Redirect a broken stream to /dev/null, so that the interpreter's own flush at exit raises nothing."""
    try:
        if stream.fileno() == number:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    except (OSError, ValueError, AttributeError):
        return
