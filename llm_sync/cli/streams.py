"""The standard streams: messages on standard error, and what happens when one of them is closed, full or broken.

Imports next to nothing: ``--version`` loads it.
"""

from __future__ import annotations

import os
import sys

from llm_sync.cli import exits

TYPE_CHECKING = False  # what type checkers take for True; typing itself costs as much as a bare start of Python
if TYPE_CHECKING:
    from typing import IO

STDOUT = "standard output"

# C0 but tab and newline, DEL, C1: shown as pictures (U+2400…) or escapes, never obeyed by the terminal.
_HARMLESS: dict[int, int | str] = {code: 0x2400 + code for code in range(32) if code not in (9, 10)}
_HARMLESS[127] = 0x2421
_HARMLESS.update({code: f"\\x{code:02x}" for code in range(0x80, 0xA0)})


class Unwritable(Exception):
    """Something cannot be written; ``name`` says what, ``error`` why."""

    def __init__(self, name: str, error: OSError) -> None:
        super().__init__(name, error)
        self.name = name
        self.error = error


def shown(text: str) -> str:
    """``text`` as a terminal may see it: control characters are made visible, line ends are plain."""
    return text.replace("\r\n", "\n").translate(_HARMLESS)


def complain(message: str) -> None:
    """One message on standard error, where it can be written at all."""
    tell(f"llm-sync: {message}")


def tell(line: str) -> None:
    """One line as it is on standard error. A standard error that cannot be written changes nothing else."""
    try:
        sys.stderr.write(f"{shown(line) if sys.stderr.isatty() else line}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        _silence(sys.stderr, 2)


def say_version() -> int:
    """What ``--version`` prints; the exit status."""
    from llm_sync import __version__

    try:
        print(f"llm-sync {__version__}")
    except OSError as error:
        return lost(error)
    return finished(exits.ANSWERED)


def finished(status: int) -> int:
    """Flush standard output while its failure can still be told: a full disk must not look like success."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return lost(error)
    return status


def lost(error: OSError, name: str = STDOUT) -> int:
    """Say that ``name`` cannot be written, unless its reader just went away; the exit status."""
    if name == STDOUT:
        _silence(sys.stdout, 1)
    if isinstance(error, BrokenPipeError):
        return exits.CLOSED_PIPE
    complain(f"{name} cannot be written: {error.strerror or error}")
    return exits.UNEXPECTED


def check_stdout() -> None:
    """Raise Unwritable when standard output is closed: better before anything is paid for."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):  # not a file, in a test
        return
    try:
        os.write(number, b"")
    except OSError as error:
        raise Unwritable(STDOUT, error) from None


def reopen_closed() -> None:
    """Occupy standard streams the caller closed, so that no socket or file is opened in their place.

    Writing to a closed standard output fails as it should; a closed standard error swallows everything.
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


def _silence(stream: IO[str], number: int) -> None:
    """Point a broken stream at nothing, so that the interpreter's own flush at exit stays quiet."""
    try:
        if stream.fileno() == number:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    except (OSError, ValueError, AttributeError):
        return
