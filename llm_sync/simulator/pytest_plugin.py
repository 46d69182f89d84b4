"""The pytest fixture ``llm_simulator`` (docs/testing.md).

pytest loads this in every run of whoever has llm-sync installed: it imports nothing before the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from llm_sync.simulator.server import Simulator

_KEY = "sk-simulated"


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", "llm_simulator(**options): options of Simulator for the fixture llm_simulator")


@pytest.fixture
def llm_simulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Simulator]:
    """Simulated providers for one test, which llm-sync finds as its default configuration; all keys of the run are left out.

    Options (script, seed, keys, tls …) come from ``@pytest.mark.llm_simulator(script="bad-day")``. The test fails when the
    simulator failed inside.
    """
    import inspect
    import os

    from llm_sync.simulator.command import environment
    from llm_sync.simulator.server import Simulator

    _close_shared_clients()
    options: dict[str, object] = {}
    for marker in request.node.iter_markers("llm_simulator"):
        if marker.args:
            raise pytest.UsageError('llm_simulator takes options by name, as in @pytest.mark.llm_simulator(script="bad-day")')
        options = {**marker.kwargs, **options}  # the closest comes first
    known = list(inspect.signature(Simulator).parameters)
    for name in options:
        if name not in known:
            raise pytest.UsageError(f"llm_simulator has no option {name!r}; Simulator has {', '.join(known)}")
    keys = options.get("keys")
    key = str(keys[0]) if isinstance(keys, (list, tuple)) and keys else _KEY
    with Simulator(**options) as simulator:  # type: ignore[arg-type]
        for name, value in environment(simulator, tmp_path_factory.mktemp("llm-simulator"), key, os.environ).items():
            if os.environ.get(name) != value:
                monkeypatch.setenv(name, value)
        monkeypatch.delenv("LLM_SYNC_CONFIG", raising=False)
        yield simulator
        _close_shared_clients()
        if simulator.faults:
            pytest.fail(f"the simulator failed inside: {simulator.faults}")


def _close_shared_clients() -> None:
    """Those of ``llm_sync.generate``, where it was used: they keep to the configuration they were made with."""
    import sys

    shared = sys.modules.get("llm_sync.shared")
    if shared is not None:
        shared.close(cancel_pending=True)
