"""docs/cli.md, the man page's hand-written part, the parser and the table of exit statuses, read against each other."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

import llm_sync
from llm_sync.cli.exit_codes import EXIT_CODES
from llm_sync.cli.parser import COMMANDS, build_parser, parse

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
MANUAL = (ROOT / "man" / "llm-sync.1.include").read_text("utf-8").replace("\\-", "-").replace("\\e", "\\")
SECTIONS = {name: text for name, _, text in (part.partition("\n") for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:])}
EVERYWHERE = "Before or after every command"


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Each command's parser; the whole one's under ""."""
    whole = build_parser()
    (commands,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    return {"": whole, **commands.choices}


def options(parser: argparse.ArgumentParser) -> set[str]:
    """The long options of a parser, without those that stand everywhere."""
    return {
        name
        for action in parser._actions
        for name in action.option_strings
        if name.startswith("--") and name != "--help" and not getattr(action, "repeated", False)
    }


def told(text: str) -> set[str]:
    """The long options a text names."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def test_the_page_lists_every_command_as_help_does() -> None:
    """Name and summary, in the same order, and nothing else."""
    rows = re.findall(r"^\| \[`([a-z-]+)`\]\(#([a-z-]+)\) \| (.*) \|$", PAGE, re.MULTILINE)
    assert [(name, summary) for name, _, summary in rows] == list(COMMANDS.items())
    assert all(name == anchor and name in SECTIONS for name, anchor, _ in rows)


def test_what_stands_everywhere_is_told_once() -> None:
    """The whole parser's own options, all of them, and no other."""
    assert told(SECTIONS[EVERYWHERE]) - {"--help"} == options(parsers()[""])
    repeated = {
        name
        for action in parsers()["generate"]._actions
        for name in action.option_strings
        if getattr(action, "repeated", False) and name.startswith("--")
    }
    assert repeated == options(parsers()[""]) - {"--version", "--list-llm-configs"}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_options_are_told(name: str) -> None:
    """Each in the command's section; none there that the command, or every command, has not."""
    parser = parsers()[name]
    prose = re.sub(r"^```\w*\n.*?^```$", "", SECTIONS[name], flags=re.DOTALL | re.MULTILINE)
    assert options(parser) - told(prose) == set()
    assert told(prose) - options(parser) - options(parsers()[""]) == set()


def test_no_section_names_an_option_there_is_not() -> None:
    """Nothing stale on the page, in the README or in the manual."""
    known = {name for parser in parsers().values() for name in options(parser)} | {"--help", "--no-deps"}  # the latter is pip's
    for text in (PAGE, README, MANUAL):
        assert told(text) - known == set()


def test_the_statuses_are_the_code_s() -> None:
    """The page's table says what the code says, in the same order."""
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", SECTIONS["Exit statuses"], re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == EXIT_CODES
    assert [int(code) for code, _ in rows] == list(EXIT_CODES)


def lines() -> list[str]:
    """Every line with llm-sync in it that page, README and manual show as typed, or have in a crontab."""
    blocks = re.findall(r"^```(?:console|crontab|text)\n(.*?)^```", PAGE + README, re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"^\.EX\n(.*?)^\.EE", MANUAL, re.MULTILINE | re.DOTALL)
    return [
        line
        for block in blocks
        for line in block.replace("\\\n", " ").splitlines()
        if re.search(r"(^|[ (])llm-sync [a-z-]", line)
    ]


def test_what_is_shown_can_be_typed() -> None:
    """Every llm-sync in it is a command line that parses."""
    for line in lines():
        commands = re.split(r"&&|\|", re.sub(r"[<>]\s*\S+|\$\(|\)\"?$", " ", line.removeprefix("$ ")).replace('eval "', ""))
        for command in commands:
            words = shlex.split(command)
            if "llm-sync" in words:
                parse(words[words.index("llm-sync") + 1 :])


def test_there_are_such_lines() -> None:
    """The pattern above finds them."""
    assert len(lines()) > 25


def test_every_variable_of_ours_is_in_the_manual() -> None:
    """Whatever LLM_SYNC_… the code reads stands under ENVIRONMENT, and nothing else does."""
    package = Path(llm_sync.__file__).parent
    read = {name for path in package.rglob("*.py") for name in re.findall(r"\bLLM_SYNC_[A-Z_]+\b", path.read_text("utf-8"))}
    section = MANUAL.partition("[=ENVIRONMENT]")[2].partition("[=FILES]")[0]
    assert set(re.findall(r"\bLLM_SYNC_[A-Z_]+\b", section)) == read


def test_links_lead_somewhere() -> None:
    """Files and headings the page points to exist."""
    for target in re.findall(r"\]\(([^)#:]*)(?:#[^)]*)?\)", PAGE):
        assert not target or (ROOT / "docs" / target).exists(), target
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]*)\)", PAGE):
        text = (ROOT / "docs" / target).read_text("utf-8") if target else PAGE
        headings = {
            re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        }
        assert anchor in headings, anchor
