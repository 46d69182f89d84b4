"""The installed package, as `make test` runs the suite against it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

import llm_sync
import llm_sync.config

pytestmark = pytest.mark.usefixtures("installed")

SCRIPTS = Path(sysconfig.get_path("scripts"))


def test_the_tests_see_the_installed_package() -> None:
    """Not the checkout's: what was built and installed is what passes or fails."""
    assert Path(sysconfig.get_path("purelib")) in Path(llm_sync.__file__).parents


def test_the_command_is_installed() -> None:
    """`llm-sync` stands beside Python and is the version that its metadata say."""
    done = subprocess.run([str(SCRIPTS / "llm-sync"), "--version"], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == f"llm-sync {metadata.version('llm-sync')}\n"


def test_the_example_configs_are_installed_beside_the_code_that_reads_them(root: Path) -> None:
    """Code finds the shipped examples in the folder llms of llm_sync.config; they are those of the checkout."""
    shipped = Path(llm_sync.config.__file__).parent / "llms"
    examples = root / "config" / "llms"
    assert {path.name: path.read_text("utf-8") for path in shipped.glob("*.yaml")} == {
        path.name: path.read_text("utf-8") for path in examples.iterdir()
    }


def test_man_finds_the_page() -> None:
    """`man llm-sync` works as soon as the command itself is found."""
    man = shutil.which("man")
    if man is None:
        pytest.skip("man is not installed")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAN")}
    environ["PATH"] = os.pathsep.join([str(SCRIPTS), environ.get("PATH", os.defpath)])
    done = subprocess.run([man, "-w", "llm-sync"], env=environ, capture_output=True, text=True, timeout=30, check=False)
    page = Path(sysconfig.get_path("data")) / "share/man/man1/llm-sync.1"
    assert done.stdout.strip() == str(page), done.stderr
    assert page.is_file()
