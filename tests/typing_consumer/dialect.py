"""A dialect of its own and a test with the simulator, as a type checker sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync import ModelRequest, ProviderFactory, Usage
from llm_sync.providers import Answer, Changes, LLMProvider, count, tool_call
from llm_sync.simulator import Hold, RequestRecord, Simulator


class AcmeProvider(LLMProvider):
    """The dialect of docs/providers.md, with types."""

    type = "acme"
    default_base_url = "https://llm.acme.example"
    key_variables = ("ACME_API_KEY",)
    key_header, key_prefix = "x-acme-key", ""
    path = "/ask"
    response_schema = {"says": {"type": "string", "nullable": True, "required": True}}

    def _prepare_request(self, request: ModelRequest, changes: Changes) -> dict[str, Any]:
        changes.lose_others(request, ("max_tokens",), "Acme has no such setting")
        return {"model": request.model, "turns": [turn.content for turn in request.conversation()]}

    def _read_answer(self, body: Any) -> Answer:
        calls = tuple(tool_call(str(n), call["name"], call["with"]) for n, call in enumerate(body.get("calls") or ()))
        return Answer(body.get("says") or "", "stop", usage=self._read_usage(body), tool_calls=calls)

    def _read_usage(self, body: Any) -> Usage:
        return Usage(count(body, "tokens", "in"), count(body, "tokens", "out"))


ProviderFactory.register("acme", AcmeProvider)
registered: list[str] = ProviderFactory.types()


def with_a_simulator() -> list[Mapping[str, Any]]:
    """The simulator as tests use it."""
    with Simulator(keys=["sk-test"], latency=0.01, script={"rules": []}) as simulator:
        url: str = simulator.url("anthropic")
        hold: Hold = simulator.hold(lambda record: record.model == "claude-haiku-4-5")
        hold.release()
        requests: list[RequestRecord] = simulator.requests
        print(url, simulator.faults)
        return [record.to_json() for record in requests]
