"""One point of a curve: the cost of something at one size, measured in its own process and printed as a line of JSON."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # python -I leaves it out

import measuring
import ways

from llm_sync import ConfigLoader, LLMClient, ModelRequest

Point = dict[str, float]
_REPEATS = 7


def _least(work: Callable[[], object], calls: int) -> float:
    """CPU microseconds per call: the minimum over several blocks of ``calls`` calls, the least disturbed one."""
    work()
    blocks = []
    for _ in range(_REPEATS):
        began = time.process_time()
        for _ in range(calls):
            work()
        blocks.append((time.process_time() - began) / calls * 1e6)
    return min(blocks)


def _holding(root: str) -> LLMClient:
    """A client whose only worker waits for an answer that never comes, so that all submitted requests stay queued."""
    client: LLMClient = ways.llm_sync_client(ways.llm_sync_config({"loopback": f"{root}/1024/600000"}))
    client.submit(ModelRequest("hold"))
    return client


def queued(root: str, size: int) -> Point:
    """Queued requests: CPU to submit and to cancel one, and bytes per request without its prompt."""
    prompts = [f"{number} {ways.PROMPT}" for number in range(size)]
    client = _holding(root)
    futures: list[Any] = [None] * size
    began = time.process_time()
    for place in range(size):
        futures[place] = client.submit(ModelRequest(prompts[place]))
    submitted = time.process_time()
    client.close(cancel_pending=True, grace=0)
    cancelled = time.process_time()
    futures = [None] * size
    client = _holding(root)
    gc.collect()
    tracemalloc.start()
    for place in range(size):
        futures[place] = client.submit(ModelRequest(prompts[place]))
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    client.close(cancel_pending=True, grace=0)
    submit, cancel = (submitted - began) / size * 1e6, (cancelled - submitted) / size * 1e6
    return {"submit_us": submit, "cancel_us": cancel, "bytes": held / size}


def providers(root: str, size: int) -> Point:
    """Providers in a configuration: CPU to load one, and of a call to the last one."""
    return _configured(ways.llm_sync_config({f"p{number}": f"{root}/1024/0" for number in range(size)}), size, f"p{size - 1}/m")


def models(root: str, size: int) -> Point:
    """Models of a provider: the same, with a call to the last one by its bare name."""
    config = json.loads(ways.llm_sync_config({"loopback": f"{root}/1024/0"}))
    config["providers"]["loopback"]["models"] = [{"name": f"model-{number}", "max_tokens": 100} for number in range(size)]
    return _configured(json.dumps(config), size, f"model-{size - 1}")


def _configured(text: str, size: int, model: str) -> Point:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        load = _least(lambda: ConfigLoader().load_config(file.name), 1)
        with LLMClient.from_config(file.name) as client:
            call = _least(lambda: client.generate(ways.PROMPT, model), 200)
            status = _least(client.status, 20)
    return {"load_us": load / size, "call_us": call, "status_us": status / size}


def answer(root: str, size: int) -> Point:
    """Bytes of an answer: CPU of the whole call."""
    with ways.llm_sync_client(ways.llm_sync_config({"loopback": f"{root}/{size}/0"})) as client:
        return {"call_us": _least(lambda: client.generate(ways.PROMPT), max(3, 200_000 // (1000 + size // 10)))}


def batch(root: str, size: int) -> Point:
    """Lines of a batch: CPU and wall time per line, and the maximum memory in MB."""
    from llm_sync import batch as batches

    with tempfile.TemporaryDirectory() as folder:
        lines, output = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
        with lines.open("w") as file:
            for number in range(size):
                file.write(json.dumps({"id": str(number), "prompt": f"{number} {ways.PROMPT}"}) + "\n")
        with ways.llm_sync_client(ways.llm_sync_config({"loopback": f"{root}/1024/0"}, 4)) as client:
            began, cpu = time.perf_counter(), time.process_time()
            batches.run(str(lines), str(output), client)
            wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        with output.open() as file:
            written = sum(1 for _ in file)
        if written != size:
            raise SystemExit(f"{size} lines went in and {written} came out")
    return {"cpu_us": cpu / size * 1e6, "wall_us": wall / size * 1e6, "peak_mb": measuring.peak_mb()}


PROBES: dict[str, Callable[[str, int], Point]] = {
    "queued": queued,
    "providers": providers,
    "models": models,
    "answer": answer,
    "batch": batch,
}


def main() -> int:
    """Measure one point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("probe", choices=PROBES)
    parser.add_argument("size", type=int)
    parser.add_argument("root", help="where the far end is")
    options = parser.parse_args()
    print(json.dumps(PROBES[options.probe](options.root, options.size)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
