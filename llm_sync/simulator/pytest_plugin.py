"""The pytest fixture ``llm_simulator`` (docs/testing.md).

pytest loads this module in every run where llm-sync is installed, so it imports nothing until the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from llm_sync.simulator.server.server import Simulator

_KEY = "sk-simulated"


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line("markers", "llm_simulator(**options): options of Simulator for the fixture llm_simulator")


@pytest.fixture
def llm_simulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Simulator]:
    """A simulator for one test: clients made in the test send all requests to it, and no real key is read.

    It is llm-sync's default configuration; if the code under test names another one, the simulator answers, too. Options
    (script, seed, keys, tls …) come from ``@pytest.mark.llm_simulator(script="bad-day")``. The test fails if the simulator had
    an internal error.
    """
    import os

    from llm_sync.runtime.loaded_clients import close_loaded_clients
    from llm_sync.simulator.command import environment

    options = _marker_options(request)
    close_loaded_clients()
    keys = options.get("keys")
    key = str(keys[0]) if isinstance(keys, (list, tuple)) and keys else _KEY
    simulator = _start(options)
    try:
        inner = environment(simulator, tmp_path_factory.mktemp("llm-simulator"), key, os.environ)
        for name in os.environ.keys() - inner.keys():
            monkeypatch.delenv(name)
        for name, value in inner.items():
            if os.environ.get(name) != value:
                monkeypatch.setenv(name, value)
        yield simulator
        close_loaded_clients()
    finally:
        simulator.stop()
    if simulator.faults:
        pytest.fail(f"the simulator had internal errors: {simulator.faults}", pytrace=False)


def _marker_options(request: pytest.FixtureRequest) -> dict[str, object]:
    """Options from the test's markers; a mistake in one fails the test with one line, without this plugin's source."""
    import inspect

    from llm_sync.simulator.server.server import Simulator

    known = list(inspect.signature(Simulator).parameters)
    options: dict[str, object] = {}
    for marker in request.node.iter_markers("llm_simulator"):
        unknown = [repr(name) for name in marker.kwargs if name not in known]
        if marker.args:
            _fail('pass options by name, as in @pytest.mark.llm_simulator(script="bad-day")')
        if unknown:
            _fail(f"there is no option {' and no option '.join(unknown)}; the options are {', '.join(known)}")
        options = {**marker.kwargs, **options}  # the marker closest to the test wins
    if isinstance(options.get("keys"), str):
        _fail("keys is a string; give a list of the accepted keys")
    return options


def _start(options: dict[str, object]) -> Simulator:
    """A running simulator; if an option has a bad value, the test fails with a message about that option."""
    from llm_sync.errors import LLMConnectorError
    from llm_sync.simulator.server.server import Simulator

    try:
        return Simulator(**options).start()  # type: ignore[arg-type]
    except LLMConnectorError as error:
        _fail(str(error))
    except Exception as error:  # noqa: BLE001  (an option may be of any type, and fail anywhere)
        options_given = ", ".join(f"{name}={value!r:.60}" for name, value in options.items() if name != "keys")
        _fail(f"it could not be started with {options_given or 'its defaults'}: {type(error).__name__}: {error}")


def _fail(problem: str) -> NoReturn:
    pytest.fail(f"llm_simulator: {problem}", pytrace=False)
