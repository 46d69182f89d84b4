"""The long tests (``make soak``), with the fixtures of ``endings``."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

if "endings_conftest" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("endings_conftest", Path(__file__).parents[1] / "endings/conftest.py")
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_spec.name])

from endings_conftest import (  # type: ignore[import-not-found]  # noqa: F401
    _plain_environment,
    authority,
    open_client,
    program,
    serve,
    upstream,
)

if "batch_apparatus" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("batch_apparatus", Path(__file__).parents[1] / "batch/apparatus.py")
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_spec.name])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is a soak test."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.soak)
            item.add_marker(pytest.mark.timeout(2400))
