"""A scheduler and workers of Dask as processes of their own, and batches that run on them."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")

for _name, _file in (("batch_apparatus", "apparatus.py"), ("batch_conftest", "conftest.py")):
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, Path(__file__).parents[2] / "batch" / _file)
        assert _spec is not None
        assert _spec.loader is not None
        sys.modules[_name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_name])

from batch_apparatus import Batch  # type: ignore[import-not-found]  # noqa: E402
from batch_conftest import _quick_disk, far, open_client, simulator  # type: ignore[import-not-found]  # noqa: E402, F401

CONFIG = """
defaults: {retry_base: 0, max_retries: 2}
providers:
  a: {type: openai, api_key: "${ENGINE_TEST_KEY}", base_url: "<openai>", models: [m], concurrency: 8}
  b: {type: openai, api_key: "${ENGINE_TEST_KEY}", base_url: "<openai>", models: [m2]}
"""


class Cluster:
    """A scheduler, and workers that are started and killed."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self.workers: list[subprocess.Popen[bytes]] = []
        where = folder / "scheduler.json"
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(where)]
        self.scheduler = self._start(["distributed.cli.dask_scheduler", *options])
        until = time.monotonic() + 30
        while not (where.exists() and where.read_text().endswith("}")) and time.monotonic() < until:
            time.sleep(0.05)
        self.address = json.loads(where.read_text())["address"]

    def _start(self, module: list[str], before: tuple[str, ...] = (), **more: str) -> subprocess.Popen[bytes]:
        environment = {**self._environment, **more}
        with (self._folder / "dask.log").open("ab") as log:
            return subprocess.Popen([*before, sys.executable, "-m", *module], env=environment, stdout=log, stderr=log)

    def add(self, *before: str, **more: str) -> subprocess.Popen[bytes]:
        """Start a worker. ``before``: a command that runs it; ``more``: of its environment."""
        options = [self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(self._folder)]
        self.workers.append(self._start(["distributed.cli.dask_worker", *options], before, **more))
        return self.workers[-1]

    def wait(self) -> None:
        """Until all workers that were added have joined."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(len(self.workers), timeout=30)

    def stop(self) -> None:
        """End all."""
        for process in [*self.workers, self.scheduler]:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler without workers; those that are added have the key."""
    made = Cluster(tmp_path, {**os.environ, "ENGINE_TEST_KEY": "a-key-of-a-worker"})
    yield made
    made.stop()


@pytest.fixture
def job(tmp_path: Path, open_client: Callable[..., Any]) -> Batch:  # noqa: F811
    """A batch whose coordinator has no key."""
    return Batch(tmp_path, open_client(CONFIG))
