"""The standard streams: messages and colours, and what happens when one of them is closed, full or broken.

Imports next to nothing: ``--version`` loads it.
"""

from __future__ import annotations

import os
import sys

from llm_sync.cli import exit_codes

TYPE_CHECKING = False  # what type checkers take for True; typing itself costs as much as a bare start of Python
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import IO, Any

STDOUT = "standard output"

# C0 but tab and newline, DEL, C1, and what turns the direction of text round: shown as pictures (U+2400…) or escapes, never
# obeyed by the terminal.
_HARMLESS: dict[int, int | str] = {code: 0x2400 + code for code in range(32) if code not in (9, 10)}
_HARMLESS[127] = 0x2421
_HARMLESS.update({code: f"\\x{code:02x}" for code in range(0x80, 0xA0)})
_HARMLESS.update({code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))})

RED, YELLOW, BOLD, DIM = "31", "33", "1", "2"


class Alone:
    """Nothing else is drawn on the terminal."""

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        return


class Manner:
    """How messages are written; set once a run, by the command line."""

    quiet = False
    as_json = False
    color = "auto"
    beside: Callable[[], AbstractContextManager[Any]] = Alone  # entered around what is written to the terminal: it makes room


manner = Manner()


class Unwritable(Exception):
    """Something cannot be written; ``name`` says what, ``error`` why, ``instead`` where it is now, if anywhere."""

    def __init__(self, name: str, error: OSError, instead: str = "") -> None:
        super().__init__(name, error, instead)
        self.name = name
        self.error = error
        self.instead = instead


def shown(text: str) -> str:
    """``text`` as a terminal may see it: control characters are made visible, line ends are plain."""
    return text.replace("\r\n", "\n").translate(_HARMLESS)


def painted(text: str, color: str, stream: IO[Any]) -> str:
    """``text`` in a colour, where ``stream`` is to have any."""
    return f"\x1b[{color}m{text}\x1b[0m" if colourful(stream) else text


def colourful(stream: IO[Any]) -> bool:
    """Whether a stream is to have colours: by --color, else on a terminal that knows them, unless $NO_COLOR has a value."""
    if manner.color != "auto":
        return manner.color == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and not dumb()


def dumb() -> bool:
    """Whether terminals here know neither colours nor movements."""
    return os.environ.get("TERM", "" if os.name == "nt" else "dumb") == "dumb"


def complain(message: str) -> None:
    """What fails, on standard error, where it can be written at all."""
    say(message, "ERROR", RED)


def note(message: str) -> None:
    """What a user may want to know, on standard error; with --quiet nobody does."""
    if not manner.quiet:
        say(message, "INFO", DIM)


def say(message: str, level: str, color: str) -> None:
    """One message on standard error, in words or as a JSON object, with ``llm-sync:`` in ``color`` before it."""
    if manner.as_json:
        from llm_sync.cli.console.log_format import json_line

        tell(json_line(level, "llm_sync.cli", message))
    elif sys.stderr is not None and sys.stderr.isatty():
        from llm_sync.cli.options.argument_parser import columns, fitted  # loaded by now, but for --version alone

        first, *more = shown(f"llm-sync: {message}").split("\n")
        lines = [fitted(first, columns(2), hanging="  "), *(fitted(line, columns(2)) for line in more)]
        tell("\n".join(lines).removeprefix("llm-sync:"), painted("llm-sync:", color, sys.stderr))
    else:
        tell(f" {message}", painted("llm-sync:", color, sys.stderr))


def tell(line: str, mark: str = "") -> None:
    """One line on standard error, after a ``mark`` of our own. A standard error that cannot be written changes nothing else."""
    try:
        text = mark + (shown(line) if sys.stderr.isatty() else line)
        if (getattr(sys.stderr, "encoding", None) or "utf-8").lower() not in ("utf-8", "utf8"):
            text = _in_ascii(text)
        with manner.beside():
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
    except (OSError, ValueError):
        _silence(sys.stderr, 2)


def _in_ascii(text: str) -> str:
    """With escapes that are JSON's, too: Python's own are not, and would break a line of it."""
    from json import dumps

    return "".join(character if character.isascii() else dumps(character)[1:-1] for character in text)


def say_version() -> int:
    """What ``--version`` prints; the exit status."""
    from llm_sync import __version__

    return say_lines(f"llm-sync {__version__}")


def say_lines(text: str) -> int:
    """Print a text that is all a command has to say; the exit status."""
    try:
        print(text)
    except OSError as error:
        return lost(error)
    return finished(exit_codes.ANSWERED)


def finished(status: int) -> int:
    """Flush standard output while its failure can still be told: a full disk must not look like success."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return lost(error)
    return status


def lost(error: OSError, name: str = STDOUT, instead: str = "") -> int:
    """Say that ``name`` cannot be written, and where to look ``instead``, unless its reader just went away; the exit status."""
    if name == STDOUT:
        _silence(sys.stdout, 1)
    if isinstance(error, BrokenPipeError):
        return exit_codes.CLOSED_PIPE
    complain(f"{name} cannot be written: {error.strerror or error}" + (f"; {instead}" if instead else ""))
    return exit_codes.UNEXPECTED


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


def leave() -> None:
    """End the line that is drawn on the terminal, if there is one: the process ends at once. Takes no lock, flushes nothing.

    The cursor is shown again: the drawing may just have hidden it, and nobody else would bring it back.
    """
    if manner.beside is not Alone:
        try:
            os.write(2, b"\x1b[?25h\n")
        except OSError:
            return


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
