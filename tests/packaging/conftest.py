"""The sdist and the wheel, built once from a copy of the checkout; and whether the tests run against an installation."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEFT_BEHIND = shutil.ignore_patterns(".?*", "__pycache__", "*.pyc", "build", "dist", "results", "*.egg-info")
EPOCH = 1_000_000_000  # 2001-09-09


def under_make() -> bool:
    """Whether `make test` runs this: then the installed package is what is tested, and nothing may be missing."""
    return "LLM_SYNC_TEST_INSTALLED" in os.environ


def _can_build() -> bool:
    found = importlib.util.find_spec("build") and importlib.util.find_spec("build_manpages")
    return bool(found) and int(metadata.version("setuptools").partition(".")[0]) >= 77


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout, or the unpacked sdist, that the tests lie in."""
    return ROOT


@pytest.fixture(scope="session")
def installed() -> None:
    """Only for runs against an installation."""
    if not under_make():
        pytest.skip("the package is not installed: run make test")


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that was built from it, on a narrow terminal and with a fixed date."""
    if not under_make() and not _can_build():
        pytest.skip("the build requirements are not installed: run make test")
    source = tmp_path_factory.mktemp("source") / "a checkout"
    shutil.copytree(ROOT, source, ignore=LEFT_BEHIND)
    out = tmp_path_factory.mktemp("dist")
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), "COLUMNS": "40"}
    command = [sys.executable, "-I", "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    """The wheel."""
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(dist: Path) -> Path:
    """The sdist."""
    (path,) = dist.glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def page(wheel: Path) -> str:
    """The man page in the wheel."""
    return _man_pages(wheel)["llm-sync"]


@pytest.fixture(scope="session")
def pages(wheel: Path) -> dict[str, str]:
    """The page of each command in the wheel, by the command's name."""
    return {name.removeprefix("llm-sync-"): text for name, text in _man_pages(wheel).items() if name != "llm-sync"}


def _man_pages(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if "/share/man/man1/" in name and name.endswith(".1")]
        return {Path(name).stem: archive.read(name).decode() for name in names}
