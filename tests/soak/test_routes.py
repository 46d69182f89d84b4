"""What a route costs whose first provider is dead: a thousand calls, beside as many of the second provider, in turns."""

from __future__ import annotations

import logging
import socket
import time

import pytest

from llm_sync import LLMClient
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator

CALLS, ROUNDS = 100, 10
LATENCY_S = 0.02  # of the second provider; a real one takes a hundred times as long


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_dead_first_provider_costs_at_most_five_percent(caplog: pytest.LogCaptureFixture) -> None:
    """The breaker is open by then: no request goes to the first provider but for its probes."""
    caplog.set_level(logging.CRITICAL)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Simulator(latency=LATENCY_S) as simulator:
        config = f"""
        defaults: {{retry_base: 0}}
        providers:
          first: {{type: openai, api_key: test-key-1, base_url: "http://127.0.0.1:{port}/v1", models: [gpt-4o-mini]}}
          second: {{type: anthropic, api_key: test-key-2, base_url: "{simulator.url("anthropic")}", models: [claude-haiku-4-5]}}
        routes: {{smart: [first/gpt-4o-mini, second/claude-haiku-4-5]}}
        """
        with LLMClient(ConfigLoader().load_text(config)) as client:

            def seconds(model: str, calls: int = CALLS) -> float:
                began = time.perf_counter()
                for _ in range(calls):
                    assert client.generate("hello", model).provider == "second"
                return time.perf_counter() - began

            seconds("smart", 20)
            seconds("second/claude-haiku-4-5", 20)
            routed = direct = 0.0
            for _ in range(ROUNDS):
                routed += seconds("smart")
                direct += seconds("second/claude-haiku-4-5")
    print(f"{CALLS * ROUNDS} calls: {routed:.2f} s by the route, {direct:.2f} s directly: {(routed / direct - 1) * 100:+.1f} %")
    assert routed <= direct * 1.05
