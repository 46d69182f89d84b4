"""docs/architecture.md and the import rules describe the tree there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import llm_sync

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/architecture.md").read_text("utf-8")
ROOMS = {
    path.stem
    for path in Path(llm_sync.__file__).parent.iterdir()
    if not path.stem.startswith("__") and (path.suffix == ".py" or (path / "__init__.py").exists())
}


def described() -> set[str]:
    """The names in the drawing of the rooms: each begins a line or stands after a wide gap, its description two blanks on."""
    drawing = TEXT.split("```text\n")[1].split("```")[0]
    return set(re.findall(r"(?:^|\s{2,})([a-z_]+)(?=\s{2,})", drawing, re.MULTILINE))


def test_every_room_is_in_the_drawing() -> None:
    """Whoever looks for a thing finds its room; a room that is not there is a room nobody knows of."""
    assert described() >= ROOMS


def test_the_drawing_shows_no_room_that_is_not_there() -> None:
    """A renamed or removed room is removed from the page too."""
    assert described() <= ROOMS


def test_the_import_rules_name_every_room() -> None:
    """Each has its place in the layers; those that are not built yet stand in brackets."""
    layers = (ROOT / "pyproject.toml").read_text("utf-8").split("\nlayers = [")[1].split("]")[0]
    named = set(re.findall(r"[a-z_]+", re.sub(r"\(\w+\)|#.*", "", layers))) - {"__main__"}
    optional = set(re.findall(r"\((\w+)\)", layers))
    assert named <= ROOMS
    assert (named | optional) >= ROOMS


@pytest.mark.parametrize("mentioned", sorted(set(re.findall(r"`((?:llm_sync/)?[a-z_]+/[a-z_]+\.py)`", TEXT))))
def test_every_file_the_page_names_exists(mentioned: str) -> None:
    """A reader follows it there."""
    assert (ROOT / "llm_sync" / mentioned.removeprefix("llm_sync/")).exists()


@pytest.mark.parametrize("mentioned", sorted(set(re.findall(r"`([A-Z]\w+|_[a-z_]+)(?:\.(\w+))?`", TEXT))))
def test_every_name_the_page_mentions_is_defined(mentioned: tuple[str, str]) -> None:
    """The story of a request names classes and methods that are really there."""
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "llm_sync").rglob("*.py"))
    for name in filter(None, mentioned):
        assert re.search(rf"\b(?:class|def) {name}\b", source)
