"""What the wheel and the sdist hold: these files and no others."""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import llm_sync
from llm_sync.cli.parser import COMMANDS


def files(root: Path, *folders: str) -> Iterator[str]:
    """The files under the folders that exist, as paths from the root."""
    for folder in folders:
        for path in (root / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and "results" not in path.parts:
                yield path.relative_to(root).as_posix()


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """The wheel's METADATA."""
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(f"llm_sync-{llm_sync.__version__}.dist-info/METADATA").decode())


def test_the_wheel_holds_the_package_the_examples_the_man_page_and_the_completions(root: Path, wheel: Path) -> None:
    """A file added to the package is shipped, one removed is gone, and tests, docs and leftovers stay out."""
    stem = f"llm_sync-{llm_sync.__version__}"
    expected = {
        *files(root, "llm_sync"),
        *(f"llm_sync/{name}" for name in files(root, "config/llms")),
        f"{stem}.data/data/share/man/man1/llm-sync.1",
        *(f"{stem}.data/data/share/man/man1/llm-sync-{name}.1" for name in COMMANDS),
        f"{stem}.data/data/share/bash-completion/completions/llm-sync",
        f"{stem}.data/data/share/zsh/site-functions/_llm-sync",
        f"{stem}.data/data/share/fish/vendor_completions.d/llm-sync.fish",
        *(f"llm_sync/cli/completions/llm-sync.{shell}" for shell in ("bash", "zsh", "fish")),
        *(f"{stem}.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt")),
        f"{stem}.dist-info/licenses/LICENSE",
    }
    assert "llm_sync/py.typed" in expected
    assert "llm_sync/config/llms/default-llms.yaml" in expected
    with zipfile.ZipFile(wheel) as archive:
        held = [name for name in archive.namelist() if not name.endswith("/")]
    assert sorted(held) == sorted(expected)


def test_the_sdist_holds_what_building_and_testing_need(root: Path, sdist: Path) -> None:
    """The sdist is the checkout without what only a clone needs; the wheel above was built from it."""
    pages = [path.name for path in root.glob("*.md")]
    tops = [*pages, "LICENSE", "MANIFEST.in", "Makefile", "pyproject.toml", "requirements.txt", "setup.py"]
    assert {"README.md", "CONTRIBUTING.md", "SECURITY.md"} <= set(pages)
    informed = [
        "PKG-INFO",
        "SOURCES.txt",
        "dependency_links.txt",
        "entry_points.txt",
        "not-zip-safe",
        "requires.txt",
        "top_level.txt",
    ]
    expected = {
        *tops,
        *("PKG-INFO", "setup.cfg"),  # written by setuptools
        *(f"llm_sync.egg-info/{name}" for name in informed),
        *("man/llm-sync.1.include", "man/pages.py"),
        *files(root, "llm_sync", "config/llms", "tests", "benchmarks", "docs", "examples"),
    }
    with tarfile.open(sdist) as archive:
        held = [member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()]
    assert sorted(held) == sorted(expected)


def test_the_metadata_say_what_the_files_say(root: Path, metadata: Message) -> None:
    """The version is the package's own, and the dependencies are those of requirements.txt."""
    lines = [line.partition("#")[0].strip() for line in (root / "requirements.txt").read_text("utf-8").splitlines()]
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert metadata["Version"] == llm_sync.__version__
    assert sorted(needed) == sorted(filter(None, lines))
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"


def test_tests_bring_the_build_requirements(root: Path, metadata: Message) -> None:
    """Who has the test extra can build without a network: it names all that the build-system table names."""
    (listed,) = re.findall(r"^requires = \[(.*)\]$", (root / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    required = re.findall(r'"([^"]+)"', listed)
    extra = [line.partition(";")[0].strip() for line in metadata.get_all("Requires-Dist", []) if 'extra == "test"' in line]
    assert required
    assert set(required) <= set(extra)


def test_metadata_stand_in_one_place(root: Path) -> None:
    """pyproject.toml has no project table that could contradict setup.py, and there is no setup.cfg."""
    assert not re.search(r"^\[project[].]", (root / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    in_sdist = (root / "PKG-INFO").exists()  # setuptools adds a setup.cfg there
    assert in_sdist or not (root / "setup.cfg").exists()
