"""tests/house/api.txt, the list of public names with their signatures, is what the package has."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("griffe")

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests/house/api.txt"
WHAT_NEXT = """
The public API is not what tests/house/api.txt says. If that is not meant, undo the change. If it is:
  1. run: make docs
  2. say in CHANGELOG.md what users get or have to change
  3. for a name or parameter that goes away or changes its meaning, follow docs/deprecation.md
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """docs/api.py as a module."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("script_api", ROOT / "docs/api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("reference")


def entries(text: str) -> dict[str, str]:
    """The entries of the file by the name each declares; a signature may have several lines."""
    found = re.findall(r"^(?:class )?\w+\..*(?:\n[ )].*)*", text, re.MULTILINE)
    return {re.split(r"[^\w. ]", entry, maxsplit=1)[0]: entry for entry in found}


def difference(before: str, after: str) -> str:
    """Each public name that came, went or changed; of a long signature the parameters that changed, marked by + and -."""
    old, new = entries(before), entries(after)
    lines: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name, "").splitlines(), new.get(name, "").splitlines()
        if was != now:
            lines += [line for line in difflib.ndiff(was, now) if not line.startswith("?")]
    return "\n".join(lines)


def test_the_public_api_is_what_the_file_says(script: ModuleType) -> None:
    """A public name, parameter, default, type or base that comes, goes or changes is shown, with what to do about it."""
    written, found = FILE.read_text("utf-8"), script.api()
    if written != found:
        pytest.fail(f"{WHAT_NEXT}\n{difference(written, found) or 'The order or the heading differs.'}", pytrace=False)


def test_every_name_that_programs_can_import_is_in_the_file(script: ModuleType) -> None:
    """What Python finds in ``__all__`` is listed, although the file is written from the source alone."""
    listed = {name.rpartition(".")[2] for name in entries(FILE.read_text("utf-8"))}
    for room in ("llm_sync", *(f"llm_sync.{name}" for name in script.ROOMS)):
        exported = getattr(importlib.import_module(room), "__all__", ())
        assert set(exported) - {"__version__"} <= listed, room


def test_a_difference_names_what_changed_and_nothing_else() -> None:
    """A new parameter, a removed name and a changed type each stand on a line of their own."""
    before = "class a.C\na.C.kept(\n    one: int,\n    two: int = 2,\n) -> None\na.C.gone: str\na.g() -> int\na.same() -> int\n"
    after = before.replace("two: int = 2,", "two: int = 3,").replace("a.C.gone: str\n", "").replace("g() -> int", "g() -> str")
    assert difference(before, after).splitlines() == [
        "- a.C.gone: str",
        "  a.C.kept(",
        "      one: int,",
        "-     two: int = 2,",
        "+     two: int = 3,",
        "  ) -> None",
        "- a.g() -> int",
        "+ a.g() -> str",
    ]
