"""A scheduler and workers of Dask as processes of their own."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

# Loaded by the scheduler: says its address once it listens.
SAY_ADDRESS = """
import os

def dask_setup(scheduler):
    with os.fdopen(int(os.environ["LLM_SYNC_TEST_ADDRESS"]), "w") as pipe:
        pipe.write(scheduler.address)
"""


class Cluster:
    """A scheduler, and workers that are started and killed."""

    def __init__(self, folder: Path, environment: dict[str, str], host: str = "127.0.0.1") -> None:
        self._folder = folder
        self._environment = environment
        self._host = host
        self.workers: list[subprocess.Popen[bytes]] = []
        self.begin()

    def begin(self) -> None:
        """Start a scheduler, at another port than before."""
        preload = self._folder / "say_address.py"
        preload.write_text(SAY_ADDRESS)
        options = ["--host", self._host, "--port", "0", "--no-dashboard", "--preload", str(preload)]
        reading, writing = os.pipe()
        with os.fdopen(reading) as pipe:
            module = ["distributed.cli.dask_scheduler", *options]
            self.scheduler = self._start(module, pass_fds=(writing,), LLM_SYNC_TEST_ADDRESS=str(writing))
            os.close(writing)
            assert select.select([pipe], [], [], 30)[0], "the scheduler does not start"
            self.address = pipe.read()
        assert self.address, (self._folder / "dask.log").read_text()

    def _start(
        self, module: list[str], before: tuple[str, ...] = (), pass_fds: tuple[int, ...] = (), **more: str
    ) -> subprocess.Popen[bytes]:
        command = [*before, sys.executable, "-m", *module]
        with (self._folder / "dask.log").open("ab") as log:
            return subprocess.Popen(command, env={**self._environment, **more}, stdout=log, stderr=log, pass_fds=pass_fds)

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
