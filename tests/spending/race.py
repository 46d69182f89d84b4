"""Processes and threads that spend a budget until it refuses: ``race.py URL CAP PROCESSES THREADS [JUMP]`` prints their pids.

Every process makes its own client, after the fork; every thread asks until BudgetExceededError. ``XDG_STATE_HOME`` says where
the ledger is. JUMP: by so many seconds the clock is set forward and back, again and again, and the budget is one of a day.
"""

from __future__ import annotations

import os
import random
import sys
import threading

from llm_sync import LLMClient
from llm_sync.config import ConfigLoader, LLMConfig
from llm_sync.errors import BudgetExceededError
from llm_sync.spending.ledger import Ledger
from llm_sync.spending.ledger_file import LedgerPaths
from llm_sync.spending.trusted_time import Reading, read_clock

INPUT, OUTPUT = 0.5, 400.0  # USD per million tokens
MAX_TOKENS = 60


def config(url: str, cap: float, threads: int, per: str = "total") -> LLMConfig:
    """One model under a budget."""
    model = f"{{name: m, max_tokens: {MAX_TOKENS}, pricing: {{input: {INPUT}, output: {OUTPUT}}}}}"
    return ConfigLoader().load_text(
        f"budgets: {{race: {{usd: {cap}, per: {per}}}}}\n"
        f"providers: {{p: {{type: openai, api_key: any, base_url: '{url}', concurrency: {threads}, budget: race, "
        f"models: [{model}]}}}}"
    )


def ask_until_refused(client: LLMClient, name: str) -> None:
    """Questions with answers of various length."""
    try:
        for number in range(10_000):
            client.generate(f"{name} asks question {number}", max_retries=0)
    except BudgetExceededError as error:
        if error.spent is None:  # the ledger could not be used
            print(error, file=sys.stderr, flush=True)
            os._exit(3)


def disturb_clock(seconds: float) -> None:
    """Let whoever reads the clock read it right, or so many seconds early or late."""
    make = Ledger.__init__

    def read_wrong() -> Reading:
        reading = read_clock()
        return reading._replace(wall=reading.wall + random.choice((-seconds, 0.0, seconds)))  # noqa: S311  (no secret)

    def make_wrong(self: Ledger, paths: LedgerPaths) -> None:
        make(self, paths, read_wrong)

    Ledger.__init__ = make_wrong  # type: ignore[method-assign,assignment]


def spend(url: str, cap: float, threads: int, jump: float) -> None:
    """One process of the race."""
    if jump:
        disturb_clock(jump)
    with LLMClient(config(url, cap, threads, "day" if jump else "total")) as client:
        workers = [threading.Thread(target=ask_until_refused, args=(client, f"{os.getpid()}.{n}")) for n in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def main(url: str, cap: str, processes: str, threads: str, jump: str = "0") -> int:
    """The race; the status is how many of the processes failed, those that were killed apart."""
    children = []
    for _ in range(int(processes)):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                spend(url, float(cap), int(threads), float(jump))
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    print(*children, flush=True)
    ended = [os.waitpid(child, 0)[1] for child in children]
    return sum(os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0 for status in ended)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
