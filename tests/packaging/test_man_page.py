"""The man pages against the parser it is built from, and against those who render it."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from llm_sync.cli import exit_codes
from llm_sync.cli import parser as command_line

MACROS = {"TH", "SH", "SS", "TP", "TQ", "PP", "B", "I", "BR", "IR", "RS", "RE", "EX", "EE", "in", "nf", "fi"}


def plain(roff: str) -> str:
    """Text without fonts and escapes, blanks as one."""
    text = (
        re.sub(r"\\f[BIR]|\\,|\\/", "", roff)
        .replace("\\-", "-")
        .replace("\\e", "\\")
        .replace("\\(aq", "'")
        .replace("\\&", "")
        .replace("\\\\", "\\")
    )
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


def test_every_command_is_listed_and_has_a_page(page: str, pages: dict[str, str]) -> None:
    """COMMANDS names the page of each command, with the summary that --help prints."""
    assert set(pages) == set(command_line.COMMANDS)
    entries = " ".join(f"llm-sync-{name} (1) {summary}" for name, summary in command_line.COMMANDS.items())
    assert section(page, "COMMANDS") == entries


def test_the_main_pages_options_are_those_before_a_command(page: str) -> None:
    """OPTIONS has all of them, --help included, each with its help."""
    assert options_of(command_line.build_parser()) == described(section(page, "OPTIONS"), command_line.build_parser())


@pytest.mark.parametrize("name", command_line.COMMANDS)
def test_a_commands_page_has_all_its_options_with_their_help(pages: dict[str, str], name: str) -> None:
    """Nothing that --help tells is missing: no line was dropped for beginning with a dot or a quote."""
    parser = command_line.build_parser().commands()[name]
    text = section(pages[name], "OPTIONS")
    assert options_of(parser) == described(text, parser)
    assert len(options_of(parser)) >= 8


@pytest.mark.parametrize("name", command_line.COMMANDS)
def test_a_commands_page_is_whole(pages: dict[str, str], name: str) -> None:
    """Name, synopsis, description, options, exit statuses, examples; what --help says beside them is in the description."""
    page = pages[name]
    names = re.findall(r"^\.SH (.*)$", page, re.MULTILINE)
    assert names == ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]
    assert section(page, "NAME") == f"llm-sync-{name} - {command_line.COMMANDS[name]}"
    epilog = command_line.build_parser().commands()[name].epilog or ""
    text, _, rest = epilog.partition("examples:\n")
    examples, _, statuses = rest.partition("exit status:\n")
    assert section(page, "SYNOPSIS").startswith(f"llm-sync {name} [-h]")
    assert section(page, "DESCRIPTION").endswith(" ".join(text.split()))
    assert section(page, "EXAMPLES").removeprefix("+4 ") == " ".join(examples.split())
    assert section(page, "EXIT STATUS") == " ".join(statuses.split())


def options_of(parser: argparse.ArgumentParser) -> list[tuple[str, ...]]:
    """The spellings of each option, or an argument's name, in the order of the help's groups."""
    shown = [action for group in parser._action_groups for action in group._group_actions]
    shown = [action for action in shown if not isinstance(action, argparse._SubParsersAction)]
    return sorted(tuple(action.option_strings) or (str(action.metavar),) for action in shown)


def described(text: str, parser: argparse.ArgumentParser) -> list[tuple[str, ...]]:
    """Those of ``options_of`` that a section describes: the name, followed by the help's text."""
    found = []
    for action in (action for group in parser._action_groups for action in group._group_actions):
        if isinstance(action, argparse._HelpAction):
            known = "-h, --help show the help and exit" in text
        else:
            name = action.option_strings[-1] if action.option_strings else str(action.metavar)
            help_text = " ".join((str(action.help) % vars(action)).split())
            known = re.search(rf"(?:^|[ ,]){re.escape(name)}(?: \S+)*? {re.escape(help_text)}", text) is not None
        if known and not isinstance(action, argparse._SubParsersAction):
            found.append(tuple(action.option_strings) or (str(action.metavar),))
    return sorted(found)


def test_every_exit_status_is_on_the_page_as_the_code_has_it(page: str) -> None:
    """The table in the code and the EXIT STATUS section say the same, in the same order."""
    codes = " ".join(f"{code} {meaning}" for code, meaning in exit_codes.EXIT_CODES.items())
    assert section(page, "EXIT STATUS").startswith(codes + " ")


def test_only_known_requests_begin_lines(page: str, pages: dict[str, str]) -> None:
    """A line of text that begins with a dot or a quote would vanish when the page is shown."""
    requests = [line for text in (page, *pages.values()) for line in text.splitlines() if line.startswith((".", "'"))]
    assert requests
    assert [line for line in requests if (re.split(r"[ .]", line[1:]) or [""])[0] not in MACROS or line.startswith("'")] == []


def test_the_pages_do_not_depend_on_the_terminal_they_were_built_on(pages: dict[str, str]) -> None:
    """They were built at 40 columns, where argparse would have broken usage lines and texts."""
    assert "[--machine-wide] [--fail-fast]" in section(pages["generate"], "SYNOPSIS")
    lengths = [len(line) for line in pages["generate"].splitlines() if not line.startswith(".")]
    assert 60 < max(lengths) <= 80


@pytest.mark.parametrize(
    "command",
    [
        ["groff", "-ww", "-man", "-Tutf8", "-z"],
        ["mandoc", "-Tlint"],
    ],
    ids=["groff", "mandoc"],
)
def test_the_pages_have_no_faults(page: str, pages: dict[str, str], tmp_path: Path, command: list[str]) -> None:
    """Neither of the two programs that show man pages finds anything to warn about."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    paths = []
    for name, text in {"": page, **pages}.items():
        paths.append(tmp_path / f"llm-sync{name and '-'}{name}.1")
        paths[-1].write_text(text, encoding="utf-8")
    done = subprocess.run([*command, *map(str, paths)], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
