"""docs/decisions: one page for each decision, complete, listed, and about code that exists."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from docs_world import ROOT  # type: ignore[import-not-found]

FOLDER = ROOT / "docs/decisions"
PAGES = sorted(FOLDER.glob("0*.md"))
SECTIONS = ["Decision", "Why", "Alternatives", "Code"]


def number(page: Path) -> int:
    """The number in a page's file name."""
    return int(page.name[:4])


def title(page: Path) -> str:
    """The heading of a page, without its number."""
    return page.read_text("utf-8").splitlines()[0].partition(". ")[2]


def decided(page: Path) -> str:
    """The date on which it was decided, as the page gives it."""
    (found,) = re.findall(r"^Decided on (\d{4}-\d{2}-\d{2})\b.*\. Status: .+\.$", page.read_text("utf-8"), re.MULTILINE)
    return str(found)


def sections(page: Path) -> dict[str, str]:
    """The text below each second-level heading of a page."""
    parts = re.split(r"^## (.+)\n", page.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_each_number_stands_once() -> None:
    """Also where work on several topics takes numbers before it is finished."""
    numbers = [number(page) for page in PAGES]
    assert numbers[:24] == list(range(1, 25))
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_dated_and_names_what_was_turned_down(page: Path) -> None:
    """Number, date, the four sections in their order, and at least two alternatives, each with a reason."""
    assert page.read_text("utf-8").startswith(f"# {number(page)}. ")
    assert date.fromisoformat(decided(page))
    found = sections(page)
    assert list(found) == SECTIONS
    assert all(text.strip() for text in found.values())
    alternatives = re.findall(r"^\* \*\*(.+?)\*\*(.*)", found["Alternatives"], re.MULTILINE)
    assert len(alternatives) >= 2
    assert all(len(reason.split()) >= 2 for _, reason in alternatives)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_it_names_exists(page: Path) -> None:
    """Every file and folder in its last section is in the package or the checkout."""
    for named in re.findall(r"`([a-z_/]+(?:\.py|/))`", sections(page)["Code"]):
        assert (ROOT / "llm_sync" / named).exists() or (ROOT / named).exists(), named


def test_the_index_lists_every_page() -> None:
    """With number, title and date, in the order of the numbers."""
    rows = re.findall(r"^\| (\d+) \| \[(.+)\]\((.+)\) \| (.+) \|$", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE)
    assert rows == [(str(number(page)), title(page), page.name, decided(page)) for page in PAGES]


def test_the_architecture_links_every_page() -> None:
    """Under its title."""
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    assert re.findall(r"^\* \[(.+)\]\(decisions/(.+)\)$", text, re.MULTILINE) == [(title(page), page.name) for page in PAGES]
