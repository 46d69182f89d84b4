"""A scheduler and workers of Dask as processes of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path


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
        where = self._folder / "scheduler.json"
        where.unlink(missing_ok=True)
        options = ["--host", self._host, "--port", "0", "--no-dashboard", "--scheduler-file", str(where)]
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
