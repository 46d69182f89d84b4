"""Every block of README.md and docs/ is run, and what it shows is what comes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("the pages speak to bash", allow_module_level=True)

from docs_blocks import Page  # type: ignore[import-not-found]
from docs_world import ROOT  # type: ignore[import-not-found]

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples/README.md"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_is_true(open_page: Callable[[Path], Page], path: Path) -> None:
    """Its commands, scripts and configurations work in the order they stand there, and give what is shown."""
    failures = open_page(path).failures()
    assert not failures, "\n\n".join(failures)
