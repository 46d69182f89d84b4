"""The pytest fixture ``llm_simulator`` (docs/testing.md).

pytest loads this in every run of whoever has llm-sync installed: it imports nothing before the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from llm_sync.simulator.server.server import Simulator

_KEY = "sk-simulated"


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", "llm_simulator(**options): options of Simulator for the fixture llm_simulator")


@pytest.fixture
def llm_simulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Simulator]:
    """Simulated providers for one test: what clients made in it would ask elsewhere is asked of them, and no key is read.

    llm-sync finds them as its default configuration; one that is named is answered by them too. Options (script, seed, keys,
    tls …) come from ``@pytest.mark.llm_simulator(script="bad-day")``. The test fails when the simulator failed inside.
    """
    import os

    from llm_sync.simulator.command import environment

    options = _options(request)
    _close_shared_clients()
    keys = options.get("keys")
    key = str(keys[0]) if isinstance(keys, (list, tuple)) and keys else _KEY
    simulator = _started(options)
    try:
        inner = environment(simulator, tmp_path_factory.mktemp("llm-simulator"), key, os.environ)
        for name in os.environ.keys() - inner.keys():
            monkeypatch.delenv(name)
        for name, value in inner.items():
            if os.environ.get(name) != value:
                monkeypatch.setenv(name, value)
        yield simulator
        _close_shared_clients()
    finally:
        simulator.stop()
    if simulator.faults:
        pytest.fail(f"the simulator failed inside: {simulator.faults}", pytrace=False)


def _options(request: pytest.FixtureRequest) -> dict[str, object]:
    """Those of the test's markers; a mistake in one is told in a line, without this plugin's source."""
    import inspect

    from llm_sync.simulator.server.server import Simulator

    known = list(inspect.signature(Simulator).parameters)
    options: dict[str, object] = {}
    for marker in request.node.iter_markers("llm_simulator"):
        unknown = [repr(name) for name in marker.kwargs if name not in known]
        if marker.args:
            _refuse('it takes options by name, as in @pytest.mark.llm_simulator(script="bad-day")')
        if unknown:
            _refuse(f"it has no option {' and no option '.join(unknown)}; there are {', '.join(known)}")
        options = {**marker.kwargs, **options}  # the closest comes first
    if isinstance(options.get("keys"), str):
        _refuse("keys is a text; give a list of the keys that are taken")
    return options


def _started(options: dict[str, object]) -> Simulator:
    """A simulator that serves; what an option's value keeps it from is told in the option's words alone."""
    from llm_sync.errors import LLMConnectorError
    from llm_sync.simulator.server.server import Simulator

    try:
        return Simulator(**options).start()  # type: ignore[arg-type]
    except LLMConnectorError as error:
        _refuse(str(error))
    except Exception as error:  # noqa: BLE001  (a value may be of any type, and its error is of whatever trips over it)
        given = ", ".join(f"{name}={value!r:.60}" for name, value in options.items() if name != "keys")
        _refuse(f"it does not start with {given or 'its defaults'}: {type(error).__name__}: {error}")


def _refuse(trouble: str) -> NoReturn:
    pytest.fail(f"llm_simulator: {trouble}", pytrace=False)


def _close_shared_clients() -> None:
    """Those of ``llm_sync.generate`` and of the stand-ins for other packages: they keep to what they were made with."""
    import sys

    shared = sys.modules.get("llm_sync.client.shared_clients")
    if shared is not None:
        shared.close(cancel_pending=True)
    settings = sys.modules.get("llm_sync.compat.shim.settings")
    if settings is not None:
        settings.forget()
    stand_ins = sys.modules.get("llm_sync.compat.shim.targets")
    if stand_ins is not None:
        stand_ins.close(cancel_pending=True)
