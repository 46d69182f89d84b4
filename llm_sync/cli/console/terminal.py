"""What a terminal needs: colours, its width, wrapped lines, and control characters made visible.

Imports next to nothing: every command loads it.
"""

from __future__ import annotations

import os

from llm_sync.cli.console.output_settings import NoProgress, settings

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs as much as a bare start of Python
if TYPE_CHECKING:
    from typing import IO, Any

RED, YELLOW, BOLD, DIM = "31", "33", "1", "2"

# C0 but tab and newline, DEL, C1, line and paragraph separators, and the characters that change the direction or the shape of
# the text after them. The marks of right-to-left languages (U+200E, U+200F, U+061C) change nothing else, and stay.
_VISIBLE: dict[int, int | str] = {code: 0x2400 + code for code in range(32) if code not in (9, 10)}
_VISIBLE[127] = 0x2421
_VISIBLE.update({code: f"\\x{code:02x}" for code in range(0x80, 0xA0)})
_VISIBLE.update({code: f"\\u{code:04x}" for code in (*range(0x2028, 0x202F), *range(0x2066, 0x2070), *range(0xFFF9, 0xFFFC))})


def escape_controls(text: str) -> str:
    """``text`` as it may go to a terminal: control characters as symbols (U+2400 …) or escapes, line ends as newlines."""
    return text.replace("\r\n", "\n").translate(_VISIBLE)


def colored(text: str, color: str, stream: IO[Any]) -> str:
    """``text`` in a colour, if ``stream`` is to have colours."""
    return f"\x1b[{color}m{text}\x1b[0m" if uses_color(stream) else text


def uses_color(stream: IO[Any]) -> bool:
    """Whether a stream is to have colours: as --color says, else on a terminal with colours, unless $NO_COLOR has a value."""
    if settings.color != "auto":
        return settings.color == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and not is_dumb()


def is_dumb() -> bool:
    """Whether the terminal supports neither colours nor cursor movements, by $TERM."""
    return os.environ.get("TERM", "" if os.name == "nt" else "dumb") == "dumb"


def width(stream: int) -> int:
    """The columns of the terminal behind a file descriptor, else 80. Like shutil's, which imports every compression module."""
    try:
        return int(os.environ["COLUMNS"]) or 80
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(stream).columns or 80
    except OSError:
        return 80


def wrap(line: str, columns: int, hanging: str = "") -> str:
    """Break a line between words; an indented one (of a table or an example) continues with a deeper indent.

    ``hanging``: the indent of the continuation lines of a line that is not indented itself.
    """
    import textwrap  # for help and terminals only

    text = line.lstrip()
    margin = " " * (len(line) - len(text))
    rest = f"{margin}     " if margin else hanging
    return textwrap.fill(
        text, columns, initial_indent=margin, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    )


def restore() -> None:
    """End the progress line and show the cursor again, because the process ends at once. Takes no lock, flushes nothing.

    The progress display may just have hidden the cursor, and nothing else would show it again.
    """
    if settings.pause_progress is not NoProgress:
        try:
            os.write(2, b"\x1b[?25h\n")
        except OSError:
            return
