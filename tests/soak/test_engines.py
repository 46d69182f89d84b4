"""Batches on worker processes, with workers, coordinator and both killed again and again."""

from __future__ import annotations

import importlib.util
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from llm_sync.simulator import Simulator

if "engine_chaos" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("engine_chaos", Path(__file__).with_name("engine_chaos.py"))
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_spec.name])

from engine_chaos import Chaos  # type: ignore[import-not-found]

CONFIG = """
defaults: {{retry_base: 0.1}}
providers:
  openai: {{api_key: "${{ENGINE_TEST_KEY}}", base_url: "{openai}", models: [gpt-4o-mini], concurrency: 8}}
  anthropic: {{api_key: "${{ENGINE_TEST_KEY}}", base_url: "{anthropic}", models: [claude-haiku-4-5], concurrency: 4}}
  gemini: {{api_key: "${{ENGINE_TEST_KEY}}", base_url: "{gemini}", models: [gemini-2.5-flash], concurrency: 2}}
"""
MODELS = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash")
PLACES = 8 + 4 + 2
SCRIPT = {"rules": [{"latency": {"uniform": [0.02, 0.2]}}]}


class Account:
    """What the server saw: how many requests, and the most at the same time for each dialect."""

    def __init__(self) -> None:
        self.asked = 0
        self._lock = threading.Lock()

    def __call__(self, record: object) -> None:
        """A request."""
        with self._lock:
            self.asked += 1


def test_kills_of_workers_and_coordinators_cost_what_was_in_flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """30 workers, 20 coordinators and a stopped worker: every line once, in order; all that was asked twice is listed."""
    monkeypatch.setenv("ENGINE_TEST_KEY", "a-key-of-a-worker")
    account = Account()
    kills = {"workers": 0, "coordinators": 0}
    with Simulator(script=SCRIPT, on_request=account) as server:
        urls = {dialect: server.url(dialect) for dialect in ("openai", "anthropic", "gemini")}
        chaos = Chaos(tmp_path, CONFIG.format(**urls), MODELS, 2400, lambda: account.asked)
        while kills["coordinators"] < 20:
            chaos.begin("processes:2")
            for _ in range(2 if kills["coordinators"] % 2 else 1):
                if not chaos.wait_for(30):
                    break
                kills["workers"] += chaos.kill_worker()
            assert chaos.wait_for(20)
            if kills["coordinators"] == 10:
                chaos.signal_worker(signal.SIGSTOP)
                time.sleep(5)
                chaos.signal_worker(signal.SIGCONT)
            chaos.kill()
            kills["coordinators"] += 1
        summary = chaos.finish("processes:2")
    records = chaos.records()
    again = account.asked - chaos.lines
    print(f"kills: {kills}; requests {account.asked} for {chaos.lines} lines, {summary['possibly_billed']} listed")
    assert [record["index"] for record in records] == list(range(chaos.lines))
    assert all(record["response"] for record in records)
    assert kills["workers"] >= 25
    assert again <= summary["possibly_billed"] <= PLACES * sum(kills.values())
