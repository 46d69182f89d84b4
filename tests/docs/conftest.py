"""Pages of the documentation, and the world they are tried in."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

# The tests are no package; what they share goes by names of its own.
for _name in ("world", "shell", "blocks"):
    if f"docs_{_name}" not in sys.modules:
        _spec = importlib.util.spec_from_file_location(f"docs_{_name}", Path(__file__).with_name(f"{_name}.py"))
        assert _spec is not None
        assert _spec.loader is not None
        sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_spec.name])

from docs_blocks import Page  # type: ignore[import-not-found]  # noqa: E402
from docs_shell import Shell  # type: ignore[import-not-found]  # noqa: E402
from docs_world import ROOT, Commands, Internet, clone, environment, free_port  # type: ignore[import-not-found]  # noqa: E402

import llm_sync  # noqa: E402
from llm_sync import ProviderFactory  # noqa: E402


@pytest.fixture(scope="session")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    """The providers' hosts, which must not have failed inside."""
    with Internet(tmp_path_factory.mktemp("internet")) as opened:
        yield opened
        assert opened.simulator.faults == []


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """What the pages run, ready to start."""
    with Commands(tmp_path_factory.mktemp("commands")) as opened:
        yield opened


@pytest.fixture
def checkout(internet: Internet, commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh clone to stand in, with a newcomer's environment."""
    folder = tmp_path / "llm-sync"
    folder.mkdir()
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in environment(internet, commands, folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(clone(folder))
    # What a page's scripts set for the whole process ends with the page.
    monkeypatch.setattr(ProviderFactory, "_classes", dict(ProviderFactory._classes))
    logger = logging.getLogger("llm_sync")
    level = logger.level
    yield folder
    logger.setLevel(level)
    llm_sync.close()


@pytest.fixture
def shell(checkout: Path) -> Iterator[Shell]:
    """A bash in the clone."""
    opened = Shell(checkout, os.environ)
    yield opened
    opened.close()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Loads a script of docs/, by its path there without ``.py``, as a module."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"script_{name.replace('/', '_')}", ROOT / "docs" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    sys.modules.pop("drawing", None)


@pytest.fixture
def open_page(checkout: Path, shell: Shell) -> Callable[[Path], Page]:
    """Makes a page ready to be run; port 8080 of the pages is a free one."""
    return lambda path: Page(path, checkout, shell, {"8080": str(free_port())})
