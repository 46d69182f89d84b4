#!/usr/bin/env python3
"""What the answer cache costs: a call without it, a miss and a hit, in turns, for providers that answer at once or later.

CPU is user and system time of the client's process, time is the median of single calls. At the end, what the folder costs
without llm-sync: a file of the same size, created, written, closed and renamed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from llm_sync import LLMClient
from llm_sync.config import ConfigLoader

MODEL = "p/gpt-4o-mini"
LATENCIES = {"0": 250, "0.02": 40, "0.3": 6}  # seconds until the provider answers: calls in a block
BYTES = 1400  # of a stored answer


class Cost(NamedTuple):
    """Of a call, in microseconds: CPU on average, time as the median."""

    cpu: float
    time: float


def measured(call: Callable[[int], object], count: int) -> Cost:
    """Call it ``count`` times."""
    times = []
    cpu = time.process_time()
    for number in range(count):
        began = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - began)
    return Cost((time.process_time() - cpu) / count * 1e6, statistics.median(times) * 1e6)


@contextmanager
def simulator(latency: str) -> Iterator[str]:
    """The address of a simulator in a process of its own."""
    command = [sys.executable, "-m", "llm_sync", "simulate", "--port", "0", "--latency", latency]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield next(iter(process.stdout or ())).strip()
        finally:
            process.terminate()


def rounds_of(latency: str, folder: str, rounds: int) -> dict[str, list[Cost]]:
    """A block of calls, of misses and of hits in each round."""
    costs: dict[str, list[Cost]] = {"call": [], "miss": [], "hit": []}
    count = LATENCIES[latency]
    with ExitStack() as stack:
        url = stack.enter_context(simulator(latency))
        text = f"providers: {{p: {{type: openai, api_key: sk-simulated-0123456789, base_url: {url}/v1, models: [gpt-4o-mini]}}}}"
        config = ConfigLoader().load_text(text)
        plain, cached = stack.enter_context(LLMClient(config)), stack.enter_context(LLMClient(config, cache=folder))
        for client in (plain, cached):
            measured(lambda number, client=client: client.generate(f"warm {number}", MODEL), count)
        for turn in range(rounds):
            for kind, measurements in costs.items():
                client = plain if kind == "call" else cached
                prompt = f"{latency} {turn} "
                measurements.append(measured(lambda n, client=client, text=prompt: client.generate(f"{text}{n}", MODEL), count))
    return costs


def row(latency: str, costs: dict[str, list[Cost]]) -> str:
    """A row of the table: medians of the rounds."""
    call, hit = ([statistics.median(values) for values in zip(*costs[kind], strict=True)] for kind in ("call", "hit"))
    pairs = zip(costs["call"], costs["miss"], strict=True)
    more = [(miss.cpu - call.cpu, miss.time - call.time) for call, miss in pairs]
    cpu, wall = (statistics.median(values) for values in zip(*more, strict=True))
    return (
        f"| {float(latency) * 1000:.0f} ms | {call[1]:,.0f} | {wall:,.0f} | {wall / call[1]:.1%} | {hit[1]:,.0f} "
        f"| {call[0]:,.0f} | {cpu:,.0f} | {hit[0]:,.0f} |"
    )


def bare(folder: str) -> Cost:
    """What a file costs."""

    def write(number: int) -> None:
        path = os.path.join(folder, f"{number}.json")
        descriptor = os.open(f"{path}.tmp", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.write(descriptor, b"x" * BYTES)
        os.close(descriptor)
        os.rename(f"{path}.tmp", path)

    return measured(write, 1000)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", help="where answers are stored (a folder for temporary files)")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--latency", action="append", choices=LATENCIES, help="all, if none is given")
    args = parser.parse_args()
    print("| answered after | a call | a miss adds | of its time | a hit | CPU of a call | of a miss, more | of a hit |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for latency in args.latency or LATENCIES:
            store = Path(folder, latency)
            for number in range(256):
                (store / f"{number:02x}").mkdir(0o700, parents=True)
            print(row(latency, rounds_of(latency, str(store), args.rounds)), flush=True)
        print(f"\na file of {BYTES} bytes, created, written, renamed: {bare(folder).time:.0f} us")


if __name__ == "__main__":
    main()
