"""``generate -c`` from twenty processes at once on one conversation, some of them killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import llm_sync
from llm_sync.simulator import Simulator

PROCESSES, KILLED = 20, 5
COMMAND = (sys.executable, "-m", "llm_sync", "generate")


def texts(turn: dict[str, Any]) -> tuple[str, str]:
    """What was asked and answered in a line of the file."""
    (asked,) = turn["asked"]
    return asked["content"], turn["answer"]["content"]


def test_twenty_processes_lose_and_mix_nothing(tmp_path: Path) -> None:
    """Every turn of a process that ended is there once, and was asked with all turns before it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LLM_SYNC", "PYTHON"))}
    environment |= {"XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": str(Path(llm_sync.__file__).parents[1])}
    environment["LLM_SYNC_RUNTIME_DIR"] = str(tmp_path / "runtime")
    began = time.monotonic()
    with Simulator(latency=0.05) as simulator:
        config = tmp_path / "one.yaml"
        entry = f"{{type: openai, api_key: test-key, base_url: '{simulator.url('openai')}', models: [gpt-4o-mini]}}"
        config.write_text(f"defaults: {{model: p/gpt-4o-mini}}\nproviders: {{p: {entry}}}\n")

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            words = [*COMMAND, "--config", str(config), *arguments]
            return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        def end_well(process: subprocess.Popen[bytes]) -> None:
            printed = process.communicate(timeout=120)
            assert process.returncode == 0, printed

        end_well(start("--history", "number 0"))
        processes = {f"number {number}": start("-c", f"number {number}") for number in range(1, PROCESSES + 1)}
        for name in sorted(processes)[:: PROCESSES // KILLED]:  # while the others wait, ask or write
            simulator.wait_for_requests(len(simulator.requests) + 1, timeout=120)
            processes[name].kill()
        printed = {name: process.communicate(timeout=300) for name, process in processes.items()}
        end_well(start("-c", "the last"))
        (path,) = (tmp_path / "state/llm-sync/history").iterdir()
        turns = [json.loads(line) for line in path.read_bytes().splitlines() if line.endswith(b"}")]
        requests = {request.payload["messages"][-1]["content"]: request.payload["messages"] for request in simulator.requests}
    asked = [texts(turn)[0] for turn in turns]
    assert len(asked) == len(set(asked))
    assert [name for name, process in processes.items() if process.returncode != 0] == [
        name for name in processes if processes[name].returncode == -9
    ], printed
    assert {name for name, process in processes.items() if process.returncode == 0} <= set(asked)
    assert (asked[0], asked[-1]) == ("number 0", "the last")
    for place, turn in enumerate(turns):
        before = [text for earlier in turns[:place] for text in texts(earlier)]
        assert [message["content"] for message in requests[asked[place]]] == [*before, asked[place]]
        if processes.get(asked[place]) is not None and processes[asked[place]].returncode == 0:
            assert printed[asked[place]][0].decode().rstrip("\n") == texts(turn)[1]
    killed = sum(process.returncode == -9 for process in processes.values())
    print(f"{len(turns)} turns of {PROCESSES + 2} processes, {killed} killed, in {time.monotonic() - began:.1f} s")
