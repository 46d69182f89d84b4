"""The man pages: llm-sync(1), and a page for each command, from the command line's own parser.

argparse-manpage lays out names, synopsis and options. The rest of a command's page is in the epilog of its help: what else there
is to know, the examples, and the exit statuses. setup.py calls this; it needs nothing but argparse-manpage.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from argparse_manpage.manpage import Manpage

_WIDTH = 80
_HELP = ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nshow the help and exit"


def main_page(parser: argparse.ArgumentParser, commands: Mapping[str, str], data: dict[str, Any]) -> str:
    """llm-sync(1). ``commands``: name -> summary; ``data``: what [tool.build_manpages] and setup.py define for the page."""
    rest, parser.epilog = parser.epilog or "", None
    page = _in_options(str(Manpage(parser, _data=data, format="single-commands-section")))
    entries = [f".TP\n.BR llm\\-sync\\-{_escape(name)} (1)\n{_escape(summary)}" for name, summary in commands.items()]
    page = re.sub(r"^\.SH\nCOMMANDS\n.*?(?=^\.SH )", lambda _: _section("COMMANDS", *entries), page, flags=re.M | re.S)
    return _tidy(page.replace("\n.SH OPTIONS", f"\n.PP\n{_paragraphs(rest)}\n.SH OPTIONS", 1))


def command_page(name: str, parser: argparse.ArgumentParser, summary: str, data: dict[str, Any]) -> str:
    """The page of one command, such as llm-sync-batch(1)."""
    text, examples, statuses = _parts(parser.epilog or "")
    parser.epilog = None
    # The title and the NAME line have the page's name; the synopsis is the parser's, which has the words that are typed.
    manual = Manpage(parser, _data={**data, "description": summary, "include": None, "authors": [], "url": None}, format="pretty")
    manual.synopsis = [parser.prog, *manual.synopsis[len(parser.prog.split()) :]]
    manual.prog = f"llm-sync-{name}"
    page = _in_options(str(manual))
    if text:
        page = page.replace("\n.SH OPTIONS", f"\n.PP\n{_paragraphs(text)}\n.SH OPTIONS", 1)
    return _tidy(
        page
        + _section("EXIT STATUS", *(f".TP\n{_escape(code)}\n{_escape(meaning)}" for code, meaning in statuses))
        + _section("EXAMPLES", ".in +4\n.EX", *map(_escape, examples), ".EE\n.in")
        + _section("SEE ALSO", ".BR llm\\-sync (1)")
    )


def _parts(epilog: str) -> tuple[str, list[str], list[tuple[str, str]]]:
    """The epilog of a command's help: its text, the lines of the examples, and exit statuses with their meanings."""
    text, _, rest = epilog.partition("examples:\n")
    examples, _, table = rest.partition("exit status:\n")
    statuses = re.findall(r"^  (\S+) +(.+)$", table, re.MULTILINE)
    return text.strip(), [line.removeprefix("  ") for line in examples.strip("\n").splitlines()], statuses


def _in_options(page: str) -> str:
    """The page with all arguments and options under OPTIONS: each group of options is a subsection there."""
    before, description, after = page.partition("\n.SH DESCRIPTION\n")
    start = after.index("\n.TP")  # the first argument or option
    stop = re.search(r"^\.SH(?: (?:EXIT|AUTHOR|COMMENTS)|$)", after, re.MULTILINE)
    end = stop.start() if stop else len(after)
    options = re.sub(r"^\.SH OPTIONS\n", "", after[start + 1 : end], flags=re.MULTILINE)
    options = re.sub(r"^\.SH (.*)$", lambda title: f".SS {title[1].capitalize()}", options, flags=re.MULTILINE)
    intro = after[:start].replace("\n.SH OPTIONS", "")
    return f"{before}{description}{intro}\n.SH OPTIONS\n{_HELP}\n{options}{after[end:]}"


def _section(title: str, *lines: str) -> str:
    return "\n".join([f".SH {title}", *lines, ""])


def _paragraphs(text: str) -> str:
    return "\n.PP\n".join(_escape(" ".join(part.split())) for part in text.strip().split("\n\n"))


def _escape(text: str) -> str:
    """Text that roff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{text}" if text.startswith(".") else text


def _tidy(page: str) -> str:
    """The page without empty lines, with a date that mandoc can parse, and with hyphens in the synopsis that can be copied."""
    title, newline, rest = page.partition("\n")
    synopsis = re.search(r"^\.SH SYNOPSIS\n\.B .*\n(.*)\n", rest, re.MULTILINE)
    if synopsis:
        rest = rest[: synopsis.start(1)] + synopsis[1].replace("-", "\\-") + rest[synopsis.end(1) :]
    rest = re.sub(r"\n\n+(?=\.)", "\n", rest)
    rest = re.sub(r"\n\n+", "\n.PP\n", rest.strip("\n"))
    return title.replace("\\-", "-") + newline + "\n".join(_short_lines(rest.split("\n"))) + "\n"


def _short_lines(lines: list[str]) -> Iterator[str]:
    """Lines of text broken at blanks, as mandoc wants them; macros, examples and the terms of lists stay whole."""
    as_typed = term = False
    for line in lines:
        as_typed = line == ".EX" or (as_typed and line != ".EE")
        if as_typed or term or line.startswith(".") or len(line) <= _WIDTH:
            yield line
        else:
            parts = textwrap.wrap(line, _WIDTH - 2, break_long_words=False, break_on_hyphens=False)
            yield from (f"\\&{part}" if part.startswith((".", "'")) else part for part in parts)
        term = line in (".TP", ".TQ")
