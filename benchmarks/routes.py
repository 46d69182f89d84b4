"""What a route costs: calls of a route whose first provider is dead, and calls of its second provider, in turns.

The breaker of the dead provider is open, so that the route asks it once per growing interval. One client in one process makes
all calls; of both, a block follows the other, and ratios are those within each pair of blocks. With ``--latency 0`` nearly all
of a call is this process's own work; a real provider takes a hundred times as long as ``--latency 20``.
"""

from __future__ import annotations

import argparse
import json
import logging
import socket
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # python -I leaves it out

import measuring
import ways

BLOCK = 100  # calls
AT_MOST = 1.05
MODELS = {"second alone": "second/m", "dead first": "dead-first", "dead second": "dead-second"}


def closed_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def config(root: str) -> str:
    """A configuration file's text: the far end, and a provider that refuses connections."""
    shared = {"type": "openai", "api_key": ways.KEY, "models": [ways.MODEL]}
    dead = {**shared, "base_url": f"http://127.0.0.1:{closed_port()}/v1", "retry_base": 0}
    providers = {"first": dead, "second": {**shared, "base_url": f"{root}/v1"}}
    routes = {"dead-first": ["first/m", "second/m"], "dead-second": ["second/m", "first/m"]}
    return json.dumps({"providers": providers, "routes": routes})


def block(client: Any, model: str, calls: int) -> dict[str, float]:
    """CPU and wall seconds of so many calls."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(calls):
        client.generate(ways.PROMPT, model)
    return {"calls": calls, "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def measure(client: Any, calls: int) -> dict[str, list[dict[str, float]]]:
    """Blocks of each, in turns."""
    blocks: dict[str, list[dict[str, float]]] = {name: [] for name in MODELS}
    for model in MODELS.values():
        block(client, model, 2 * BLOCK)  # the breaker opens, and caches are filled
    for number in range(calls // BLOCK):
        for name in list(MODELS)[:: -1 if number % 2 else 1]:  # so that none always follows the same one
            blocks[name].append(block(client, MODELS[name], BLOCK))
    return blocks


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1000, help="of each (1000)")
    parser.add_argument("--latency", type=int, nargs="+", default=[0, 20], metavar="MS", help="of the second provider (0 20)")
    arguments = parser.parse_args()
    logging.disable()
    checks = []
    with measuring.far_end() as places:
        for latency in arguments.latency:
            with ways.llm_sync_client(config(f"{places['plain']}/1024/{latency}")) as client:
                blocks = measure(client, arguments.calls)
            plain, rows = blocks["second alone"], []
            for name, each in blocks.items():
                row = [name]
                for what in ("cpu", "wall"):
                    row.append(measuring.spread(measuring.per_call(each, what), 0))
                    row.append(measuring.spread(measuring.ratios(each, plain, what), 3))
                rows.append(row)
            measuring.table([f"{latency} ms", "CPU µs a call", "times", "wall µs a call", "times"], rows)
            for what in ("cpu", "wall"):
                ratio = measuring.ratios(blocks["dead first"], plain, what)["median"]
                checks.append(measuring.bound(f"dead first over second alone, {what}, at {latency} ms", ratio, AT_MOST))
    measuring.show_bounds(checks)


if __name__ == "__main__":
    main()
