"""Processes that ask one provider at the same time: ``asking_processes.py CONFIGURATION PROCESSES THREADS SECONDS``.

Every thread asks until the time is over. CONFIGURATION is YAML. The status is how many requests failed.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from llm_sync import LLMClient, LLMConnectorError
from llm_sync.config import ConfigLoader


def ask(client: LLMClient, ends: float, name: str, failed: list[str]) -> None:
    """Questions until the time is over."""
    for number in range(100_000):
        if time.monotonic() >= ends:
            return
        try:
            client.generate(f"{name} asks question {number}")
        except LLMConnectorError as error:
            failed.append(str(error))


def work(configuration: str, threads: int, seconds: float) -> int:
    """One process; how many of its requests failed for good."""
    failed: list[str] = []
    with LLMClient(ConfigLoader().load_text(configuration)) as client:
        ends = time.monotonic() + seconds
        names = [f"{os.getpid()}.{number}" for number in range(threads)]
        workers = [threading.Thread(target=ask, args=(client, ends, name, failed)) for name in names]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return len(failed)


def main(configuration: str, processes: str, threads: str, seconds: str) -> int:
    """The status is the number of failed requests, at most 100."""
    children = []
    for _ in range(int(processes)):
        child = os.fork()
        if child == 0:
            status = 100
            try:
                status = min(work(configuration, int(threads), float(seconds)), 100)
            finally:
                os._exit(status)
        children.append(child)
    return min(sum(os.WEXITSTATUS(os.waitpid(child, 0)[1]) for child in children), 100)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
