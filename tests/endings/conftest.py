"""Whole clients against real servers on loopback, ended in every way there is."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from llm_sync import LLMClient
from llm_sync.config import ConfigLoader

# The tests are no package; what these and the soak tests share goes by names of its own.
for _name in ("apparatus", "day"):
    if f"endings_{_name}" not in sys.modules:
        _spec = importlib.util.spec_from_file_location(f"endings_{_name}", Path(__file__).with_name(f"{_name}.py"))
        assert _spec is not None
        assert _spec.loader is not None
        sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_spec.name])

from endings_apparatus import KEY, Program, Upstream, config_text  # type: ignore[import-not-found]  # noqa: E402


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, and no proxy or CA bundle of the machine the tests run on."""
    monkeypatch.setenv(KEY, "test-key")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve() -> Iterator[Callable[..., Upstream]]:
    """``serve(script=None, tls=None)`` starts a server that ends with the test."""
    with contextlib.ExitStack() as stack:
        started: list[Upstream] = []

        def start(*args: Any, **options: Any) -> Upstream:
            started.append(stack.enter_context(Upstream(*args, **options)))
            return started[-1]

        yield start
    assert [each.trouble for each in started if each.trouble] == []


@pytest.fixture
def upstream(serve: Callable[..., Upstream]) -> Upstream:
    """A server that echoes."""
    return serve()


@pytest.fixture
def open_client() -> Iterator[Callable[..., LLMClient]]:
    """``open_client(upstream, providers="a b", **settings)``; ended with the test whatever is under way."""
    opened: list[LLMClient] = []

    def make(upstream: Upstream, providers: str = "a b", **settings: Any) -> LLMClient:
        opened.append(LLMClient(ConfigLoader().load_text(config_text(upstream, providers, **settings))))
        return opened[-1]

    yield make
    for client in opened:
        client.close(cancel_pending=True, grace=0)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """``program(upstream, body, **settings)`` starts a program with a configuration of that server."""
    started: list[Program] = []

    def start(upstream: Upstream, body: str, *, file: bool = False, **settings: Any) -> Program:
        config = tmp_path / f"config{len(started)}.yaml"
        config.write_text(config_text(upstream, settings.pop("providers", "a b"), **settings))
        path = tmp_path / f"program{len(started)}.py" if file else None
        started.append(Program(body, str(config), file=path))
        return started[-1]

    yield start
    for each in started:
        each.end()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """``.context()`` is a server's TLS context, ``.path`` what a client is to trust."""
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))

    class Authority:
        def __init__(self) -> None:
            self.path = str(path)

        def context(self) -> Any:
            import ssl

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ca.issue_cert("127.0.0.1", "localhost").configure_cert(context)
            return context

    return Authority()
