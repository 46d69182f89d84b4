"""Links between the pages: each leads to a file, and to a heading, that is there. Nothing is fetched."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from docs_world import ROOT  # type: ignore[import-not-found]

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").glob("*.md")),
]
LINK = re.compile(r"!?\[[^\]\[]*(?:!\[[^\]]*\]\([^)]*\)[^\]\[]*)?\]\(\s*<?([^)\s>]+)>?[^)]*\)")


def prose(path: Path) -> str:
    """A page without its blocks of code and its inline code."""
    text = re.sub(r"^( *)(```+|~~~+).*?^\1\2$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: code[0].translate(str.maketrans("[]()", "    ")), text)


@functools.cache
def anchors(path: Path) -> set[str]:
    """What follows # in a link to each heading, as GitHub makes it."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", prose(path), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        number = found.get(anchor, 0)
        found[anchor] = number + 1
        if number:
            found[f"{anchor}-{number}"] = 1
    return {*found, *re.findall(r'<a (?:id|name)="([^"]+)"', prose(path))}


@functools.cache
def links() -> list[tuple[str, Path, str]]:
    """Every link: where it stands, the page, the target."""
    return [(f"{path.name}->{target}", path, target) for path in PAGES for target in dict.fromkeys(LINK.findall(prose(path)))]


def test_there_are_links() -> None:
    """The pattern finds them: README leads to the pages it lists."""
    assert sum(path.name == "README.md" for _, path, _ in links()) >= 5


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_link_resolves(path: Path) -> None:
    """What it names is there, inside the project; links elsewhere are https."""
    assert {target: why for _, page, target in links() if page == path and (why := _wrong_with(page, target))} == {}


def _wrong_with(path: Path, target: str) -> str | None:
    """What is wrong with one link of a page."""
    parts = urlsplit(target)
    if parts.scheme:
        return None if parts.scheme == "https" and parts.netloc else "no https"
    named = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not named.is_relative_to(ROOT):
        return "outside the project"
    if (ROOT / "PKG-INFO").exists() and any(part.startswith(".") for part in named.relative_to(ROOT).parts):
        return None  # an sdist has no files of the repository's host
    if not named.exists():
        return "not there"
    return f"no heading for #{parts.fragment}" if parts.fragment and parts.fragment not in anchors(named) else None


def test_every_page_is_linked_from_the_readme_or_another_page() -> None:
    """No page is an island: who reads finds it."""
    reached = {(path.parent / urlsplit(target).path).resolve() for _, path, target in links() if not urlsplit(target).scheme}
    assert {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "README.md"} <= reached
