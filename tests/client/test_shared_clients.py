"""llm_sync.generate: one client per process and configuration, closed and made again as asked."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import llm_sync
from llm_sync import ConfigurationError, LLMClient, StreamingNotSupportedError
from llm_sync.simulator import Simulator

OPENAI = "openai/gpt-4o-mini"
PATIENCE_S = 10.0


@pytest.fixture
def config(write_config: Callable[[], str], tmp_path: Path) -> Iterator[str]:
    """A configuration's path; the shared clients are closed after the test."""
    llm_sync.close()
    path = tmp_path / "shared.yaml"
    path.write_text(write_config())
    yield str(path)
    llm_sync.close(cancel_pending=True)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[LLMClient]:
    """Every client made from a configuration since."""
    found: list[LLMClient] = []
    real = LLMClient.from_config.__func__  # type: ignore[attr-defined]

    def from_config(cls: type[LLMClient], *args: Any, **options: Any) -> LLMClient:
        found.append(real(cls, *args, **options))
        return found[-1]

    monkeypatch.setattr(LLMClient, "from_config", classmethod(from_config))
    return found


def test_generate_answers(config: str) -> None:
    """The shortest way to an answer takes the same options as a client's."""
    response = llm_sync.generate("Say hello", OPENAI, config=config, timeout=PATIENCE_S, max_tokens=50, id=7)
    assert "Say hello" in response.text
    assert response.id == 7


def test_the_default_configuration_is_found(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without config, the file that $LLM_SYNC_CONFIG names."""
    monkeypatch.setenv("LLM_SYNC_CONFIG", config)
    assert llm_sync.generate("x", model=OPENAI).text


def test_a_rehearsal_has_a_client_of_its_own(config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was made before it would ask the real provider, and one that was made in it the simulator ever after."""
    real = tmp_path / "real.yaml"
    real.write_text("providers: {openai: {api_key: sk-1, base_url: 'https://real.invalid/v1', models: [m], max_retries: 0}}")
    asked = functools.partial(llm_sync.generate, "x", config=str(real), timeout=PATIENCE_S)
    with Simulator() as simulator:
        for _ in range(2):
            monkeypatch.delenv("LLM_SYNC_SIMULATOR_URL", raising=False)
            with pytest.raises(llm_sync.ProviderConnectionError):
                asked()
            monkeypatch.setenv("LLM_SYNC_SIMULATOR_URL", simulator.root)
            assert asked().text
    assert len(simulator.requests) == 2


def test_one_client_serves_all_calls_of_a_configuration(config: str, tmp_path: Path, made: list[LLMClient]) -> None:
    """The file is read once; another file has another client."""
    other = tmp_path / "other.yaml"
    other.write_text(Path(config).read_text())
    for path in (config, config, str(other), config, str(other)):
        llm_sync.generate("x", OPENAI, config=path)
    assert [client.config.file for client in made] == [config, str(other)]


def test_threads_that_come_at_once_share_one_client(config: str, made: list[LLMClient], upstream: Simulator) -> None:
    """Eight first calls at once: each is answered, and the provider still gets one request at a time."""
    ready = threading.Barrier(8)
    texts: list[str] = []

    def call() -> None:
        ready.wait(PATIENCE_S)
        texts.append(llm_sync.generate("x", OPENAI, config=config).text)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(texts) == 8
    assert {record.provider_concurrency for record in upstream.requests} == {1}
    assert [client.status()["openai"].done for client in made if client.status()["openai"].done] == [8]


def test_close_then_generate_again(config: str, made: list[LLMClient]) -> None:
    """close() closes every shared client; the next call makes a new one."""
    llm_sync.generate("x", OPENAI, config=config)
    llm_sync.close()
    with pytest.raises(llm_sync.ClientClosedError):
        made[0].generate("x", OPENAI)
    assert llm_sync.generate("x", OPENAI, config=config).text
    assert len(made) == 2


def test_close_without_any_client_is_no_error(config: str) -> None:
    """A script may always close, twice too."""
    llm_sync.close()
    llm_sync.close()


def test_close_passes_cancel_pending_on(config: str, made: list[LLMClient], upstream: Simulator) -> None:
    """What waits in a shared client is cancelled when asked so."""
    with upstream.hold() as hold:
        asking = threading.Thread(target=lambda: llm_sync.generate("x", OPENAI, config=config))
        asking.start()
        hold.wait()
        queued = made[0].submit(llm_sync.ModelRequest("x", OPENAI))
        queued.add_done_callback(lambda _: hold.close())
        llm_sync.close(cancel_pending=True)
    asking.join(PATIENCE_S)
    assert queued.cancelled()


def test_mistakes_are_told_as_by_a_client(config: str, tmp_path: Path) -> None:
    """Unknown fields, streaming and missing files; a failed load leaves nothing behind."""
    with pytest.raises(TypeError, match="temprature"):
        llm_sync.generate("x", OPENAI, config=config, temprature=1)
    with pytest.raises(StreamingNotSupportedError):
        llm_sync.generate("x", OPENAI, config=config, stream=True)
    late = tmp_path / "late.yaml"
    with pytest.raises(ConfigurationError):
        llm_sync.generate("x", OPENAI, config=str(late))
    late.write_text(Path(config).read_text())
    assert llm_sync.generate("x", OPENAI, config=str(late)).text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
def test_the_shared_client_answers_in_a_forked_child(config: str) -> None:
    """Pre-forking servers import, ask once, and fork: the children ask on, even while another thread holds the lock."""
    from llm_sync.client import shared_clients

    llm_sync.generate("x", OPENAI, config=config)
    reader, writer = os.pipe()
    with shared_clients._shared._lock:
        child = os.fork()
        if child == 0:
            said = "nothing"
            try:
                said = llm_sync.generate("x", OPENAI, config=config).provider
            except BaseException as error:
                said = repr(error)
            finally:
                os.write(writer, said.encode())
                os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        assert pipe.read() == "openai"
    os.waitpid(child, 0)
    assert llm_sync.generate("x", OPENAI, config=config).text
