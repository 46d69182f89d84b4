"""A process that makes calls one way, block by block, and tells what each block cost.

Runs in the environment of the way's package. Reads numbers of calls from standard input, a line each, makes as many, by all
its threads together, and writes a line of JSON: CPU seconds (user and system, of this process alone) and wall seconds.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # python -I leaves it out

import ways


class Callers:
    """Threads that stand ready and share out the calls of a block; with one, the main thread itself calls."""

    def __init__(self, call: Callable[[], object], threads: int) -> None:
        self._call = call
        self._threads = threads
        self._tickets = iter(())
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
                for _ in self._tickets:  # a count's next() is atomic
                    self._call()
            except BaseException as error:  # noqa: BLE001  (raised by block)
                self._failure = error
            self._end.wait()

    def block(self, calls: int) -> dict[str, float]:
        """Make ``calls`` calls; what they cost."""
        if self._threads > 1:
            self._tickets = iter(range(calls))
        wall, cpu = time.perf_counter(), time.process_time()
        if self._threads == 1:
            for _ in itertools.repeat(None, calls):
                self._call()
        else:
            self._start.wait()
            self._end.wait()
        cost = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "calls": calls}
        if self._failure is not None:
            raise self._failure
        return cost


def main() -> int:
    """Answer blocks until standard input ends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("way", choices=ways.WAYS)
    parser.add_argument("root")
    parser.add_argument("--ca", metavar="FILE")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    call = ways.per_thread(options.way, ways.Place(options.root, options.ca, options.threads))
    text = call()
    callers = Callers(call, options.threads)
    gc.collect()
    print(json.dumps({"characters": len(text)}), flush=True)
    for line in sys.stdin:
        print(json.dumps(callers.block(int(line))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
