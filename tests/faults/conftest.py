"""Loads the table of faults, which these tests, the soak and reliability.py share."""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path

import pytest

# The tests are not a package, so the table is loaded under a name of its own.
for _name in ("table",):
    if f"faults_{_name}" not in sys.modules:
        _spec = importlib.util.spec_from_file_location(f"faults_{_name}", Path(__file__).with_name(f"{_name}.py"))
        assert _spec is not None
        assert _spec.loader is not None
        sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_spec.name])


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore proxies and CA bundles of the machine that runs the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _without_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """No log: thousands of requests fail here as expected, and would fill the soak's report."""
    caplog.set_level(logging.CRITICAL + 1, "llm_sync")
