"""The pictures of the documentation: drawn by scripts that work, of what there is, and for those who cannot see them too."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
from docs_world import ROOT  # type: ignore[import-not-found]

FOLDER = ROOT / "docs/pictures"
PICTURES = sorted(FOLDER.glob("*.svg"))
Script = Callable[[str], ModuleType]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", ["rooms", "path"])
def test_the_house_is_drawn_as_it_stands(script: Script, name: str) -> None:
    """A room that comes or goes makes a new picture: run docs/pictures/house.py, and look at it."""
    assert script("pictures/house").PICTURES[name]().svg() == (FOLDER / f"{name}.svg").read_text("utf-8")


def test_the_way_names_what_is_there(script: Script) -> None:
    """Every hop is a class of the code, and its method."""
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "llm_sync").rglob("*.py"))
    for hop in script("pictures/house").HOPS:
        name, _, method = hop.name.partition(".")
        assert re.search(rf"^class {name}\b", source, re.MULTILINE)
        assert not method or re.search(rf"^    def {method}\b", source, re.MULTILINE)


@pytest.mark.parametrize("name", ["sequential-and-concurrent", "more-for-one", "retries"])
def test_a_timeline_is_measured(script: Script, name: str) -> None:
    """The script asks simulated providers, quicker than for the page; as many exchanges as in the picture that is shown."""
    timelines = script("pictures/timelines")
    measured = ElementTree.fromstring(timelines.PICTURES[name](0.02).svg())
    shown = ElementTree.parse(FOLDER / f"{name}.svg").getroot()
    for kind in ("work", "fault"):
        bars = f"{SVG}rect[@class='{kind}']"
        assert len(measured.findall(bars)) == len(shown.findall(bars))
    assert len(shown.findall(f"{SVG}rect[@class='work']")) >= 12


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_a_picture_can_be_read_and_is_shown(picture: Path) -> None:
    """It is well-formed, tells what is in it in words, loads nothing from elsewhere, and stands on a page with its words."""
    text = picture.read_text("utf-8")
    root = ElementTree.fromstring(text)
    assert root.findtext(f"{SVG}title")
    assert len(root.findtext(f"{SVG}desc") or "") > 40
    assert "href" not in text
    assert "url(" not in text
    shown = [re.findall(rf"!\[([^\]]+)\]\(pictures/{picture.name}\)", page.read_text("utf-8")) for page in ROOT.glob("docs/*.md")]
    assert any(len(words) > 20 for each in shown for words in each)
