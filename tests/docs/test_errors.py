"""docs/errors.md beside the code: every class, what it carries, its exit status, and every status."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from docs_world import ROOT  # type: ignore[import-not-found]

from llm_sync import errors
from llm_sync.cli.exit_codes import EXIT_CODES
from llm_sync.cli.outcome import status_of
from llm_sync.errors import LLMConnectorError

PAGE = (ROOT / "docs/errors.md").read_text("utf-8")
CLASSES = {
    name: found for name, found in vars(errors).items() if isinstance(found, type) and issubclass(found, LLMConnectorError)
}
SECTIONS = dict(re.findall(r"^### (\w+)\n\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
FACTS = re.compile(r"Exit status (\d+); (not )?retried(?:; carries (.+))?\.$")


def test_every_class_has_a_section_and_no_other_name_has() -> None:
    """In the order of the tree, so that it is found."""
    assert list(SECTIONS) == list(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_a_section_begins_with_the_facts(name: str) -> None:
    """Exit status, whether it is retried by itself, and the attributes that no class above it has."""
    found = FACTS.match(SECTIONS.get(name, "").partition("\n")[0])
    assert found, f"{name}: write 'Exit status N; retried; carries `attribute`.'"
    kind = CLASSES[name]
    own = list(inspect.get_annotations(kind))
    assert int(found[1]) == status_of(kind("it fails"))
    assert (found[2] is None) == (kind.retryable is True and name != "QueueFullError")
    assert re.findall(r"`(\w+)`", found[3] or "") == own


@pytest.mark.parametrize("name", CLASSES)
def test_a_section_says_what_to_do(name: str) -> None:
    """Every class that is raised itself names causes, or the way out, in a list."""
    assert name == "UnusableAnswerError" or "\n* **" in SECTIONS[name]


def test_the_tree_is_drawn_as_it_is() -> None:
    """Each class under its base."""

    def drawn(kind: type, margin: str) -> list[str]:
        children = [child for child in CLASSES.values() if child.__bases__ == (kind,)]
        lines = []
        for child in children:
            last = child is children[-1]
            lines += [
                f"{margin}{'└── ' if last else '├── '}{child.__name__}",
                *drawn(child, margin + ("    " if last else "│   ")),
            ]
        return lines

    tree = "\n".join(["LLMConnectorError", *drawn(LLMConnectorError, "")])
    assert f"```text\n{tree}\n```" in PAGE


def test_what_every_error_carries_is_listed() -> None:
    """The attributes of the root, in its order."""
    table = PAGE.split("## What every error carries")[1].split("\n\n")[1]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(inspect.get_annotations(LLMConnectorError))


def test_every_exit_status_is_listed() -> None:
    """With the words of the help."""
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert {int(status): meaning for status, meaning in rows} == EXIT_CODES


def test_the_man_page_lists_every_exit_status() -> None:
    """With the same words, in roff."""
    page = Path(ROOT / "man/llm-sync.1.include").read_text("utf-8")
    section = page.split("[=EXIT STATUS]")[1].split(".PP")[0].replace("\\-", "-")
    rows = re.findall(r"\.TP\n(\d+)\n(.+)", section)
    assert {int(status): meaning for status, meaning in rows} == EXIT_CODES
