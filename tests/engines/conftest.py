"""Batches on engines, against the scripted server of the tests of batches."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llm_sync.batch.state.journal import Journal

for _name, _file in (("batch_apparatus", "apparatus.py"), ("batch_conftest", "conftest.py")):
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, Path(__file__).parents[1] / "batch" / _file)
        assert _spec is not None
        assert _spec.loader is not None
        sys.modules[_name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_name])

from batch_apparatus import Batch  # type: ignore[import-not-found]  # noqa: E402
from batch_conftest import _quick_disk, far, open_client, simulator  # type: ignore[import-not-found]  # noqa: E402, F401

CONFIG = """
defaults: {retry_base: 0, max_retries: 2}
providers:
  a: {type: openai, api_key: "${ENGINE_TEST_KEY}", base_url: "<openai>", models: [m], concurrency: 4}
  b: {type: openai, api_key: "${ENGINE_TEST_KEY}", base_url: "<openai>", models: [m2]}
"""


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The key, where workers find it: in the environment."""
    monkeypatch.setenv("ENGINE_TEST_KEY", "a-key-of-a-worker")
    return "a-key-of-a-worker"


@pytest.fixture
def job(tmp_path: Path, open_client: Callable[..., Any], key: str) -> Batch:  # noqa: F811
    """A batch of a client that has references to its keys only."""
    return Batch(tmp_path, open_client(CONFIG))


@pytest.fixture
def executor() -> Iterator[Executor]:
    """Workers that are threads: what they do is done as in a process, but costs no start of one."""
    with ThreadPoolExecutor(2) as made:
        yield made


@pytest.fixture
def engine_config() -> str:
    """The configuration of ``job``."""
    return CONFIG


@pytest.fixture
def run_killed(job: Batch, executor: Executor, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Runs the batch on the executor, and ends the coordinator where it writes its first outcomes."""

    def killed(*_: Any) -> Any:
        raise SystemExit

    def run() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "add_all", killed)
            with pytest.raises(SystemExit):
                job.run(on=executor)

    return run
