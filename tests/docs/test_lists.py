"""Lists that the documentation shares with the code: variables, dialects, commands and options, here and in the man page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from docs_world import ROOT  # type: ignore[import-not-found]

from llm_sync.cli.parser import COMMANDS, build_parser
from llm_sync.providers import ProviderFactory
from llm_sync.streaming import PARAMETERS

SOURCES = {path: path.read_text("utf-8") for path in sorted((ROOT / "llm_sync").rglob("*.py"))}
PAGES = {path.name: path.read_text("utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
DOCS = "\n".join(PAGES.values())
CONFIGURATION = PAGES["configuration.md"]
MAN = (ROOT / "man/llm-sync.1.include").read_text("utf-8")
CLI = PAGES.get("cli.md")
# Those of the package itself: other tests, and pages, register more.
_KNOWN = {kind: ProviderFactory.provider_class(kind) for kind in ProviderFactory.types_for(())}
DIALECTS = {kind: found for kind, found in _KNOWN.items() if found.__module__.startswith("llm_sync.")}


def variables() -> set[str]:
    """Every environment variable that the code names: its own, and those that hold keys."""
    own = {name for text in SOURCES.values() for name in re.findall(r"[\"'](LLM_SYNC_[A-Z_]+)[\"']", text)}
    return own | {name for kind in DIALECTS.values() for name in kind.key_variables}


@pytest.mark.parametrize("name", sorted(variables()))
def test_a_variable_is_documented(name: str) -> None:
    """In the table of variables."""
    assert re.search(rf"^\|[^|]*`{name}`", CONFIGURATION, re.MULTILINE)


def test_no_variable_is_documented_that_nothing_reads() -> None:
    """A name of ours that is nowhere in the code is stale."""
    assert set(re.findall(r"\bLLM_SYNC_[A-Z_]+\b", DOCS)) <= variables()


def test_every_dialect_is_in_the_table_of_dialects() -> None:
    """With its key variable, and no other name."""
    table = PAGES["providers.md"].split("\n|---")[1].split("\n\n")[0]
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.+)$", table, re.MULTILINE))
    assert set(rows) == set(DIALECTS)
    for kind, row in rows.items():
        assert all(f"`{name}`" in row for name in DIALECTS[kind].key_variables)


@pytest.mark.parametrize("switch", sorted(PARAMETERS))
def test_a_streaming_switch_is_documented(switch: str) -> None:
    """Whoever searches for it learns what becomes of it."""
    assert f"`{switch}`" in CONFIGURATION


def options() -> Iterator[tuple[str, Any]]:
    """Every option of every command: the command and the option's action."""
    (commands,) = (action.choices for action in build_parser()._actions if isinstance(action.choices, dict))
    for name, parser in commands.items():
        for action in parser._actions:
            if action.option_strings and action.dest != "help":
                yield name, action


@pytest.mark.parametrize("command", COMMANDS if CLI else ())
def test_a_command_has_a_section(command: str) -> None:
    """Under a heading that names it."""
    assert re.search(rf"^#+ .*\b{command}\b", CLI or "", re.MULTILINE)


def test_an_option_is_documented() -> None:
    """Each of its spellings, in code."""
    spellings = {spelling for _, action in options() if CLI for spelling in action.option_strings}
    assert spellings or not CLI
    assert {each for each in spellings if not re.search(rf"`[^`\n]*(?<![\w-]){each}(?![\w-])[^`\n]*`", CLI or "")} == set()
