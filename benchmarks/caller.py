"""A process that makes calls with one client, block by block, and reports the cost of each block.

Runs in the environment of the way's package. Reads JSON from standard input, a line each: where to call (``root``, ``ca``,
``threads``), or how many ``calls`` to make, by all its threads together. Answers each with a line of JSON; a block's says
CPU seconds (user and system, of this process alone) and wall seconds.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # python -I leaves it out

import ways

_LATEST = 120  # seconds


class Callers:
    """Threads that share the calls of a block; with one, the main thread itself calls."""

    def __init__(self, call: Callable[[], object], threads: int) -> None:
        self._call = call
        self._threads = threads
        self._tickets: Iterator[int] = iter(())
        self._failure: BaseException | None = None
        self._start = threading.Barrier(threads + 1)
        self._end = threading.Barrier(threads + 1)
        if threads > 1:
            for _ in range(threads):
                threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            self._start.wait()
            try:
                for _ in self._tickets:  # next() of a range's iterator is atomic
                    self._call()
            except BaseException as error:  # noqa: BLE001  (raised by block)
                self._failure = error
            self._end.wait(_LATEST)

    def block(self, calls: int) -> dict[str, float]:
        """Make ``calls`` calls; what they cost."""
        self._tickets = iter(range(calls))
        wall, cpu = time.perf_counter(), time.process_time()
        if self._threads == 1:
            for _ in itertools.repeat(None, calls):
                self._call()
        else:
            self._start.wait()
            self._end.wait(_LATEST)
        cost = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "calls": calls}
        if self._failure is not None:
            raise self._failure
        return cost


def answer(way: str, question: dict[str, Any], callers: Callers | None) -> tuple[dict[str, Any], Callers | None]:
    """Do what one line asks for."""
    if "calls" in question:
        assert callers is not None  # noqa: S101
        return callers.block(question["calls"]), callers
    call = ways.per_thread(way, ways.Place(question["root"], question["ca"], question["threads"]))
    callers = Callers(call, question["threads"])
    text = call()
    gc.collect()
    return {"characters": len(text), "version": ways.version(way)}, callers


def main() -> int:
    """Answer until standard input ends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("way", choices=ways.WAYS)
    way = parser.parse_args().way
    callers: Callers | None = None
    print("{}", flush=True)
    for line in sys.stdin:
        try:
            said, callers = answer(way, json.loads(line), callers)
        except Exception as error:  # noqa: BLE001  (reported; the table shows the failure)
            said = {"failed": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(said), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
