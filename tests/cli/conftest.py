"""Command lines run in this process against a scripted simulator, and as processes of their own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import llm_sync
from llm_sync.cli.main import main
from llm_sync.simulator import RequestRecord, Response, Simulator

KEY = "sk-secret-0123456789abcdef"
CONFIG = """
defaults: {retry_base: 0, max_retries: 1}
providers:
  first: {type: openai, api_key: "${CLI_TEST_KEY}", base_url: "<url>", models: [m, n]}
  second: {type: openai, api_key: "${CLI_TEST_KEY}", base_url: "<url>", models: [m]}
"""


def completion(text: str | None = "an answer", finish: str = "stop", **message: Any) -> Response:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return Response(200, {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})


def failure(status: int, message: str = "it fails", **error: Any) -> Response:
    """An OpenAI error."""
    return Response(status, {"error": {"message": message, "type": "error", "code": None, **error}})


class Script:
    """What the simulator sends for each model, in turn; where nothing is scripted, ``completion()``."""

    def __init__(self) -> None:
        self.given: dict[str, list[Response]] = {}
        self.listings: list[Response] = []
        self.look: Callable[[RequestRecord], object] = lambda record: None  # called when a request has arrived

    def __call__(self, record: RequestRecord) -> Response | None:
        """The next one."""
        self.look(record)
        if record.method == "GET":
            return self.listings.pop(0) if self.listings else None
        given = self.given.get(record.model)
        if not given and record.path.endswith("/embeddings"):
            return None  # as the simulator gives vectors
        return given.pop(0) if given else completion()

    def send(self, *responses: Response, model: str = "m") -> None:
        """Send these in turn."""
        self.given.setdefault(model, []).extend(responses)

    def answer(self, text: str | None = "an answer", finish: str = "stop", *, model: str = "m", **message: Any) -> None:
        """Answer the next request so."""
        self.send(completion(text, finish, **message), model=model)

    def fail(self, status: int, message: str = "it fails", *, model: str = "m", **error: Any) -> None:
        """Refuse the next request so."""
        self.send(failure(status, message, **error), model=model)


class Ran(NamedTuple):
    """How a command line ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def script() -> Script:
    """What is answered."""
    return Script()


@pytest.fixture
def provider(script: Script) -> Iterator[Simulator]:
    """The one server behind both configured providers."""
    with Simulator(on_request=script) as started:
        yield started


@pytest.fixture
def config(provider: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a configuration with providers first (models m, n) and second (m)."""
    monkeypatch.setenv("CLI_TEST_KEY", KEY)
    path = tmp_path / "two.yaml"
    path.write_text(CONFIG.replace("<url>", provider.url("openai")), encoding="utf-8")
    return str(path)


@pytest.fixture
def llm(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs ``llm-sync …`` in this process; ``stdin`` is bytes in a pipe, or a stream."""

    def run(*arguments: str, stdin: bytes | io.IOBase = b"") -> Ran:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)) if isinstance(stdin, bytes) else stdin)
        capfdbinary.readouterr()
        status = main(list(arguments))
        out, err = capfdbinary.readouterr()
        return Ran(status, out.decode("utf-8"), err.decode("utf-8"))

    return run


@pytest.fixture
def ask(llm: Callable[..., Ran], config: str) -> Callable[..., Ran]:
    """Runs ``llm-sync generate … --config`` the configuration."""
    return lambda *arguments, **options: llm("generate", "--config", config, *arguments, **options)


@pytest.fixture
def key() -> str:
    """The configured key, which must not be shown."""
    return KEY


@pytest.fixture
def environment() -> Callable[..., dict[str, str]]:
    """That of a process which sees this llm_sync, with standard streams as a user has them, and ``more``."""
    return _environment


def _environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_", "COVERAGE_", "LLM_SYNC"))}
    kept["LLM_SYNC_RUNTIME_DIR"] = os.environ["LLM_SYNC_RUNTIME_DIR"]  # this test run's, see the conftest above
    return {**kept, "PYTHONPATH": str(Path(llm_sync.__file__).parents[1]), "CLI_TEST_KEY": KEY, **more}


COMMAND = (sys.executable, "-m", "llm_sync")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts ``llm-sync …`` as a process, which does not outlive the test; options as Popen's."""
    started: list[subprocess.Popen[bytes]] = []

    def popen(*arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            [*COMMAND, *arguments], cwd=tmp_path, env=_environment() if env is None else env, **{**pipes, **options}
        )
        started.append(process)
        return process

    yield popen
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
