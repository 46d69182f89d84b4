#!/usr/bin/env python3
"""How long a batch to several providers takes, over the slowest provider's own time.

Four providers of 5, 10, 20 and 40 ms get 100 lines each, one request at a time. The slowest provider's own time is what the
same client takes for its lines alone, in a loop of blocking calls, measured in each round anew.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # python -I leaves it out

import measuring

from llm_sync import LLMClient, batch
from llm_sync.config import ConfigLoader

LATENCIES = (5, 10, 20, 40)  # ms
LINES = 100
MOST = 1.10


def measured(rounds: int, lines: int = LINES) -> dict[str, Any]:
    """The ratios of all rounds, and the time in seconds that the slowest provider needs alone."""
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(measuring.far_end())["plain"] for _ in LATENCIES]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        providers = ", ".join(
            f"p{latency}: {{type: openai, api_key: k, base_url: '{place}/1024/{latency}/v1', models: [m]}}"
            for latency, place in zip(LATENCIES, places, strict=True)
        )
        client = stack.enter_context(LLMClient(ConfigLoader().load_text(f"providers: {{{providers}}}")))
        requests = [
            {"prompt": f"question {number}", "model": f"p{latency}/m"} for number in range(lines) for latency in LATENCIES
        ]
        slowest = f"p{max(LATENCIES)}/m"
        for latency in LATENCIES:
            client.generate("warm up", f"p{latency}/m")
        own, whole = [], []
        for turn in range(rounds):
            began = time.perf_counter()
            for number in range(lines):
                client.generate(f"question {number}", slowest)
            own.append(time.perf_counter() - began)
            began = time.perf_counter()
            summary = batch.run(requests, folder / f"out{turn}.jsonl", client)
            whole.append(time.perf_counter() - began)
            assert summary.tally.answered == len(requests)  # noqa: S101
    return {
        "own_s": measuring.rounded(measuring.summary(own)),
        "batch_s": measuring.rounded(measuring.summary(whole)),
        "ratio": measuring.rounded(measuring.summary([run / alone for run, alone in zip(whole, own, strict=True)])),
    }


def main() -> int:
    """Measure, print the table, write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="how often both are timed (7)")
    options = parser.parse_args()
    found = measured(options.rounds)
    rows = [
        [what, measuring.spread(found[key], 3)] for what, key in (("the slowest alone, s", "own_s"), ("the batch, s", "batch_s"))
    ]
    measuring.table(["", "median (quartiles)"], [*rows, ["the batch ÷ the slowest alone", measuring.spread(found["ratio"], 3)]])
    checks = [measuring.bound("a batch of four lanes over the slowest lane's own time", found["ratio"]["median"], MOST)]
    measuring.show_bounds(checks)
    measuring.write("batch-lanes", {"facts": measuring.facts(), **found, "bounds": checks})
    return 0 if all(check["met"] for check in checks) else 1


if __name__ == "__main__":
    raise SystemExit(main())
