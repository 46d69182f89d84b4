"""Several processes keep one pace of tokens against a simulator that enforces it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import llm_sync
from llm_sync.simulator import Simulator

SCRIPT = Path(__file__).with_name("asking_processes.py")
LIMIT = 60_000  # tokens per minute


def run(folder: Path, processes: int, seconds: int, burst: int) -> tuple[int, int, int]:
    """(refused, tokens billed, requests billed); ``burst``: the tokens that the provider allows at once."""
    (folder / "run").mkdir(mode=0o700)
    environ = {
        **os.environ,
        "LLM_SYNC_RUNTIME_DIR": str(folder / "run"),
        "PYTHONPATH": str(Path(llm_sync.__file__).parents[1]),
    }
    limit = {"rate_limit": {"tokens_per_minute": LIMIT, "burst": burst}}
    with Simulator(script={"rules": [limit]}) as simulator:
        configuration = (
            f"providers: {{p: {{type: openai, api_key: any-key, base_url: '{simulator.url('openai')}', concurrency: 16, "
            f"machine_wide: true, tokens_per_minute: {LIMIT}, max_retries: 0, models: [{{name: m, max_tokens: 60}}]}}}}"
        )
        command = [sys.executable, str(SCRIPT), configuration, str(processes), "2", str(seconds)]
        refused = subprocess.run(command, env=environ, check=False).returncode
        billed = simulator.summary()["providers"]["openai"]
    return refused, billed["input_tokens"] + billed["output_tokens"], billed["billed"]


def test_processes_together_keep_the_pace(tmp_path: Path) -> None:
    """No request is refused, although the provider allows a burst of three seconds only."""
    refused, tokens, requests = run(tmp_path, 3, 4, LIMIT // 20)
    assert refused == 0
    assert requests > 10
    assert tokens <= LIMIT / 60 * 5 + 500


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_eight_processes_use_the_pace_in_full(tmp_path: Path) -> None:
    """For a minute and a half: at least 95 % of what the limit allows."""
    refused, tokens, requests = run(tmp_path, 8, 90, LIMIT // 6)
    print(f"8 processes, 90 s: {refused} refused of {requests}, {tokens / (LIMIT * 1.5):.1%} of the limit used")
    assert refused == 0
    assert tokens >= 0.95 * LIMIT * 1.5
