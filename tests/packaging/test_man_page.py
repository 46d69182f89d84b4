"""The man page against the parser it is built from, and against those who render it."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_sync.cli import exit_codes
from llm_sync.cli import parser as command_line

MACROS = {"TH", "SH", "SS", "TP", "TQ", "PP", "B", "I", "BR", "IR", "RS", "RE", "EX", "EE", "in", "nf", "fi"}


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser and those of all its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from parsers(command)


def plain(roff: str) -> str:
    """Text without fonts and escapes, blanks as one."""
    text = re.sub(r"\\f[BIR]|\\,|\\/", "", roff).replace("\\-", "-").replace("\\\\", "\\")
    return " ".join(text.split())


def section(page: str, name: str) -> str:
    """The text of one section, without macros."""
    found = re.search(rf"^\.SH {name}\n(.*?)(?=^\.SH|\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return plain(re.sub(r"^\.[A-Za-z]+ ?", "", found.group(1), flags=re.MULTILINE))


def test_sections_stand_in_their_usual_order(page: str) -> None:
    """A reader finds each section where man pages have it."""
    names = [" ".join(name.split()) for name in re.findall(r"^\.SH[ \n](.*)$", page, re.MULTILINE)]
    order = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "COMMANDS",
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "EXAMPLES",
        "SEE ALSO",
    ]
    assert [name for name in names if name in order] == order


def test_the_page_is_dated_by_the_build_not_the_clock(page: str) -> None:
    """SOURCE_DATE_EPOCH makes the build repeatable; the date is plain, as mandoc wants it."""
    assert page.splitlines()[0].startswith('.TH LLM-SYNC "1" "2001-09-09" "llm-sync ')


def test_whatis_has_a_line(page: str) -> None:
    """`apropos llm` finds the page by its NAME line."""
    assert re.fullmatch(r"llm-sync - \S.{20,}", section(page, "NAME"))


def test_every_command_and_option_is_on_the_page_with_its_help(page: str) -> None:
    """All that --help tells is on the page: no line was dropped for beginning with a dot or a quote."""
    text, lines = plain(page), page.splitlines()
    shown = 0
    for parser in parsers(command_line.build_parser()):
        for action in parser._actions:
            if isinstance(action, argparse._HelpAction | argparse._SubParsersAction) or action.help == argparse.SUPPRESS:
                continue
            for name in action.option_strings:
                assert name in text, (parser.prog, name)
            assert action.help, (parser.prog, action.dest)
            assert (action.help % {**vars(action), "prog": parser.prog}).replace("-", "\\-") in lines, (parser.prog, action.dest)
            shown += 1
        assert parser.prog in text
    assert shown > 20


def test_every_exit_status_is_on_the_page_as_the_code_has_it(page: str) -> None:
    """The table in the code and the EXIT STATUS section say the same, in the same order."""
    codes = " ".join(f"{code} {meaning}" for code, meaning in exit_codes.EXIT_CODES.items())
    assert section(page, "EXIT STATUS").startswith(codes + " ")


def test_only_known_requests_begin_lines(page: str) -> None:
    """A line of text that begins with a dot or a quote would vanish when the page is shown."""
    requests = [line for line in page.splitlines() if line.startswith((".", "'"))]
    assert requests
    assert [line for line in requests if (re.split(r"[ .]", line[1:]) or [""])[0] not in MACROS or line.startswith("'")] == []


def test_the_page_does_not_depend_on_the_terminal_it_was_built_on(page: str) -> None:
    """It was built at 40 columns, where argparse would have broken its usage lines."""
    usages = [line for line in page.splitlines() if line.startswith("usage: ")]
    assert all(line.endswith(("]", " SHELL")) for line in usages)
    assert max(map(len, usages)) > 200


@pytest.mark.parametrize(
    "command",
    [
        ["groff", "-ww", "-man", "-Tutf8", "-z"],
        ["mandoc", "-Tlint", "-Wwarning"],
    ],
    ids=["groff", "mandoc"],
)
def test_the_page_has_no_faults(page: str, tmp_path: Path, command: list[str]) -> None:
    """Neither of the two programs that show man pages finds anything to warn about."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    path = tmp_path / "llm-sync.1"
    path.write_text(page, encoding="utf-8")
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
