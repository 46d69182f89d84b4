"""Messages on standard error: in words, or as JSON with --log-json."""

from __future__ import annotations

import sys

from llm_sync.cli.console import streams, terminal
from llm_sync.cli.console.output_settings import settings
from llm_sync.cli.console.terminal import DIM, RED, YELLOW


def print_error(message: str) -> None:
    """Print an error."""
    print_message(message, "ERROR", RED)


def print_warning(message: str) -> None:
    """Print a warning, with --quiet too."""
    print_message(message, "WARNING", YELLOW)


def print_note(message: str) -> None:
    """Print a note that --quiet suppresses."""
    if not settings.quiet:
        print_message(message, "INFO", DIM)


def print_message(message: str, level: str, color: str) -> None:
    """Print one message, in words or as a JSON object, after ``llm-sync:`` in ``color``."""
    if settings.as_json:
        from llm_sync.cli.console.log_format import json_line

        write_stderr(json_line(level, "llm_sync.cli", message))
    elif sys.stderr is not None and sys.stderr.isatty():
        columns = terminal.width(2)
        first, *more = terminal.escape_controls(f"llm-sync: {message}").split("\n")
        lines = [terminal.wrap(first, columns, hanging="  "), *(terminal.wrap(line, columns) for line in more)]
        write_stderr("\n".join(lines).removeprefix("llm-sync:"), terminal.colored("llm-sync:", color, sys.stderr))
    else:
        write_stderr(f" {message}", terminal.colored("llm-sync:", color, sys.stderr))


def write_stderr(line: str, prefix: str = "") -> None:
    """Write one line after ``prefix``, which is written as it is. A standard error that cannot be written is ignored."""
    try:
        text = prefix + (terminal.escape_controls(line) if sys.stderr.isatty() else line)
        if (getattr(sys.stderr, "encoding", None) or "utf-8").lower() not in ("utf-8", "utf8"):
            text = _in_ascii(text)
        with settings.pause_progress():
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
    except (OSError, ValueError):
        streams.silence(sys.stderr, 2)


def _in_ascii(text: str) -> str:
    """With JSON's escapes for other characters: Python's own escapes would make a JSON line invalid."""
    from json import dumps

    return "".join(character if character.isascii() else dumps(character)[1:-1] for character in text)
