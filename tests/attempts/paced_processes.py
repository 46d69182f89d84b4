"""Processes that keep one pace: ``paced_processes.py URL PROCESSES SECONDS``; the status is how many requests were refused."""

from __future__ import annotations

import os
import sys
import threading
import time

from llm_sync import LLMClient, LLMConnectorError
from llm_sync.config import ConfigLoader

TOKENS_PER_MINUTE = 60_000


def ask(client: LLMClient, ends: float, name: str) -> int:
    """Questions until the time is over; how many were refused."""
    refused = 0
    for number in range(10_000):
        if time.monotonic() >= ends:
            return refused
        try:
            client.generate(f"{name} asks question {number}", max_retries=0)
        except LLMConnectorError as error:
            refused += error.status == 429
    return refused


def work(url: str, seconds: float) -> int:
    """One process with two threads; how many of its requests were refused."""
    config = ConfigLoader().load_text(
        f"providers: {{p: {{type: openai, api_key: any-key, base_url: '{url}', concurrency: 16, machine_wide: true, "
        f"tokens_per_minute: {TOKENS_PER_MINUTE}, models: [{{name: m, max_tokens: 60}}]}}}}"
    )
    refused: list[int] = []
    with LLMClient(config) as client:
        ends = time.monotonic() + seconds
        names = [f"{os.getpid()}.{number}" for number in range(2)]
        threads = [threading.Thread(target=lambda name=name: refused.append(ask(client, ends, name))) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sum(refused)


def main(url: str, processes: str, seconds: str) -> int:
    """The status is the number of refused requests, at most 100."""
    children = []
    for _ in range(int(processes)):
        child = os.fork()
        if child == 0:
            status = 100
            try:
                status = min(work(url, float(seconds)), 100)
            finally:
                os._exit(status)
        children.append(child)
    return min(sum(os.WEXITSTATUS(os.waitpid(child, 0)[1]) for child in children), 100)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
