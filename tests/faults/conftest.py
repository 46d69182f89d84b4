"""The table of faults, which these tests, the soak and reliability.py share."""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path

import pytest

# The tests are no package; the table goes by a name of its own.
for _name in ("table",):
    if f"faults_{_name}" not in sys.modules:
        _spec = importlib.util.spec_from_file_location(f"faults_{_name}", Path(__file__).with_name(f"{_name}.py"))
        assert _spec is not None
        assert _spec.loader is not None
        sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_spec.name])


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no CA bundle of the machine the tests run on."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _without_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of requests fail here as they should: a soak's report has room for its figures only."""
    caplog.set_level(logging.CRITICAL + 1, "llm_sync")
