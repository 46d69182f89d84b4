"""Links between the pages: each leads to a file, and to a heading, that is there. Nothing is fetched."""

from __future__ import annotations

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


def links() -> list[tuple[str, Path, str]]:
    """Every link: where it stands, the page, the target."""
    return [(f"{path.name}->{target}", path, target) for path in PAGES for target in dict.fromkeys(LINK.findall(prose(path)))]


def test_there_are_links() -> None:
    """The pattern finds them: README leads to the pages it lists."""
    assert sum(path.name == "README.md" for _, path, _ in links()) >= 5


@pytest.mark.parametrize(("path", "target"), [pytest.param(path, target, id=name) for name, path, target in links()])
def test_a_link_resolves(path: Path, target: str) -> None:
    """What it names is there, inside the project; links elsewhere are https."""
    parts = urlsplit(target)
    if parts.scheme:
        assert parts.scheme == "https"
        assert parts.netloc
        return
    named = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    assert named.is_relative_to(ROOT)
    if (ROOT / "PKG-INFO").exists() and any(part.startswith(".") for part in named.relative_to(ROOT).parts):
        pytest.skip("an sdist has no files of the repository's host")
    assert named.exists(), f"{named} is not there"
    if parts.fragment:
        assert parts.fragment in anchors(named), f"{named.name} has no heading for #{parts.fragment}"


def test_every_page_is_linked_from_the_readme_or_another_page() -> None:
    """No page is an island: who reads finds it."""
    reached = {(path.parent / urlsplit(target).path).resolve() for _, path, target in links() if not urlsplit(target).scheme}
    assert {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "README.md"} <= reached
