"""A batch in a process that is killed and begun again, and what the server saw of it: for the long tests of engines."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAM = """
import json, logging, sys
from llm_sync import LLMClient, batch
if __name__ == "__main__":
    config, source, output, on, where = sys.argv[1:]
    def watch(snapshot):
        with open(where + ".new", "w") as file:
            json.dump([worker._asdict() for worker in snapshot.workers], file)
        __import__("os").replace(where + ".new", where)
    with LLMClient.from_config(config) as client:
        summary = batch.run(source, output, client, on=on or None, progress=watch, max_retries=8)
    print(json.dumps(summary.to_dict()))
"""


class Chaos:
    """One batch of ``lines``. ``asked()``: how many requests the server has had; ``random``: seeded."""

    def __init__(self, folder: Path, config: str, models: tuple[str, ...], lines: int, asked: Callable[[], int]) -> None:
        self.random = random.Random(7)  # noqa: S311
        self.asked = asked
        self.lines = lines
        self._folder = folder
        self._program = folder / "program.py"
        self._program.write_text(PROGRAM)
        self._config = folder / "c.yaml"
        self._config.write_text(config)
        self.input = folder / "in.jsonl"
        self.input.write_text(
            "".join(json.dumps({"prompt": f"p{number}", "model": models[number % len(models)]}) + "\n" for number in range(lines))
        )
        self.output = folder / "out.jsonl"
        self._workers = folder / "workers.json"
        self.process: subprocess.Popen[str] | None = None

    def begin(self, on: str, **environment: str) -> None:
        """Start or resume it, on an engine."""
        command = [sys.executable, str(self._program), *map(str, (self._config, self.input, self.output, on, self._workers))]
        log = (self._folder / "batch.log").open("a")
        with log:
            self.process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=log, text=True
            )

    def wait_for(self, more: int, seconds: float = 60.0) -> bool:
        """Until so many more requests have come; False if the run ends before."""
        until, goal = time.monotonic() + seconds, self.asked() + more
        while self.asked() < goal and time.monotonic() < until:
            if self.process is None or self.process.poll() is not None:
                return False
            time.sleep(0.02)
        assert self.asked() >= goal, (self._folder / "batch.log").read_text()[-3000:]
        return True

    def kill(self) -> None:
        """kill -9 of the coordinator."""
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def workers(self) -> list[dict[str, Any]]:
        """Those that work, as the progress of the run shows them."""
        with contextlib.suppress(OSError, ValueError):
            return [each for each in json.loads(self._workers.read_text()) if each["state"] == "working"]
        return []

    def signal_worker(self, number: int) -> bool:
        """Send a signal to a random worker of this machine that is alive."""
        workers = self.workers()
        if not workers:
            return False
        name = self.random.choice(workers)["name"]
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(name.rpartition(":")[2].partition("-")[0]), number)
            return True
        return False

    def kill_worker(self) -> bool:
        """kill -9 of a random one."""
        return self.signal_worker(signal.SIGKILL)

    def finish(self, on: str, seconds: float = 400.0) -> dict[str, Any]:
        """Run it to its end; return the summary."""
        if self.process is None or self.process.poll() is not None:
            self.begin(on)
        assert self.process is not None
        out, _ = self.process.communicate(timeout=seconds)
        assert self.process.returncode == 0, (self._folder / "batch.log").read_text()[-3000:]
        summary: dict[str, Any] = json.loads(out.splitlines()[-1])
        return summary

    def records(self) -> list[dict[str, Any]]:
        """The output."""
        return [json.loads(line) for line in self.output.read_text().splitlines()]
