"""The pytest fixture ``llm_recorded`` (docs/testing.md): a test's answers are recorded once, and replayed from then on.

pytest loads this module in every run where llm-sync is installed, so it imports nothing until the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest

MODES = ("once", "none", "all")
_MARKER = (
    'llm_recorded(cassette, mode="once", errors=False): the folder of recorded answers for the fixture llm_recorded; mode: once, '
    "none (replay only) or all (record anew)"
)


_WHY_IT_SENDS = pytest.StashKey[str]()  # set for tests that record: why their requests are sent


class Recording(NamedTuple):
    """What the fixture gives: the cassette's folder, and whether answers are replayed from it, or recorded to it."""

    folder: Path
    replays: bool


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option that overrules the mode of every test."""
    parser.getgroup("llm-sync").addoption(
        "--llm-recorded", choices=MODES, help="the mode of all tests that use llm_recorded: once, none or all"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
    """Adds to the error of a test that lacks a key, a configuration or the network why it needs them: it records."""
    why = item.stash.get(_WHY_IT_SENDS, None)
    if why is None or call.excinfo is None:
        return
    from llm_sync.errors import AuthenticationError, ConfigurationError, ProviderConnectionError

    error = call.excinfo.value
    if isinstance(error, (AuthenticationError, ConfigurationError, ProviderConnectionError)):
        error.guidance = " ".join(filter(None, [why, error.guidance]))


@pytest.fixture
def llm_recorded(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Recording]:
    """Recorded answers for one test: clients made in it, also in processes that it starts, use them instead of the network.

    The first run records; later ones send nothing, need no key, and fail if a request is not recorded. The marker
    ``@pytest.mark.llm_recorded("cassettes/x", mode="once")`` names the folder, from the test's own one on; without it, each test
    has a folder below ``cassettes``.
    """
    import os

    from llm_sync.cache import recording
    from llm_sync.runtime.loaded_clients import close_loaded_clients

    cassette, mode, errors = _marked(request)
    owner = os.stat(request.path).st_uid  # whoever can change the test can change what it is answered
    marks = _session_folder(request, tmp_path_factory)
    how = recording.REFRESH if mode == "all" else recording.REPLAY if mode == "none" else recording.mode_once(cassette, marks)
    if how == recording.REPLAY:
        monkeypatch.delenv("LLM_SYNC_SIMULATOR_URL", raising=False)  # the recorded address counts, and nothing is sent there
        for name, placeholder in recording.placeholder_keys(cassette, os.environ, owner).items():
            monkeypatch.setenv(name, placeholder)
    elif os.environ.get("LLM_SYNC_SIMULATOR_URL"):
        _fail("the answers of a simulator cannot be recorded for later: its address is another one each time")
    if how != recording.REPLAY:
        reason = "All is recorded anew" if how == recording.REFRESH else f"Nothing was recorded in {cassette} before"
        request.node.stash[_WHY_IT_SENDS] = f"{reason}, so this run sends the requests: it needs a key and the network."
    run = f"{request.node.nodeid} {os.getpid()} {os.urandom(4).hex()}"
    text = recording.recording_text(str(cassette), how, run=run, errors=errors, owners=[owner])
    close_loaded_clients()
    monkeypatch.setenv("LLM_SYNC_RECORDING", text)
    failed_before = request.session.testsfailed
    yield Recording(cassette, how == recording.REPLAY)
    close_loaded_clients()
    missed = recording.misses_of(run)
    if missed and request.session.testsfailed == failed_before:  # the code under test kept the error to itself
        _fail(missed[0])


def _marked(request: pytest.FixtureRequest) -> tuple[Path, str, bool]:
    """Cassette, mode and ``errors``; a mistake in the marker fails the test with one line."""
    marker: Any = request.node.get_closest_marker("llm_recorded")
    arguments, options = (marker.args, dict(marker.kwargs)) if marker is not None else ((), {})
    named = options.pop("cassette", None) if not arguments else arguments[0]
    mode, errors = options.pop("mode", "once"), options.pop("errors", False)
    if options or len(arguments) > 1:
        _fail(f"unknown arguments {[*options, *map(repr, arguments[1:])]}: give a folder, mode and errors")
    if mode not in MODES:
        _fail(f"mode is {mode!r}: use one of {', '.join(MODES)}")
    if named is not None and (not isinstance(named, (str, Path)) or not str(named)):
        _fail(f"the cassette is {named!r}: give the path of a folder")
    if named is None:
        name = "".join(each if each.isalnum() or each in "-_" else "-" for each in request.node.name)
        named = Path("cassettes", request.path.stem, name[:120].strip("-") or "test")
    return request.path.parent / Path(named), request.config.getoption("--llm-recorded") or mode, bool(errors)


def _session_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this test session share, and no other session: pytest-xdist's workers record together."""
    base = tmp_path_factory.getbasetemp()
    return base.parent / "llm-recorded" if hasattr(request.config, "workerinput") else base / "llm-recorded"


def _fail(problem: str) -> NoReturn:
    pytest.fail(f"llm_recorded: {problem}", pytrace=False)
