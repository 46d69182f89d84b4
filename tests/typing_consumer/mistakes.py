"""Mistakes that a type checker must find: each is marked, and with --strict a mark that nothing needs is an error itself."""

from __future__ import annotations

import llm_sync
from llm_sync import LLMClient, Message, ModelRequest, ModelResponse, batch, config, providers, simulator


def wrong(client: LLMClient, response: ModelResponse) -> None:
    """One mistake a line."""
    ModelRequest("one", temprature=0.2)  # type: ignore[call-arg]
    ModelRequest("one", max_tokens="ten")  # type: ignore[arg-type]
    Message(content="no role")  # type: ignore[call-arg]
    client.generate("one", timeout="30")  # type: ignore[arg-type]
    client.generate_response("one")  # type: ignore[arg-type]
    client.run_tools("one", [len])  # type: ignore[arg-type]
    client.run_tools(ModelRequest("one"), {"look_up": "no function"})  # type: ignore[dict-item]
    client.submit(ModelRequest("one")).result().txt  # type: ignore[attr-defined]
    client.add_listener(print_text)  # type: ignore[arg-type]
    response.text = "other"  # type: ignore[misc]
    response.usage.input_tokens + 1  # type: ignore[operator]
    llm_sync.generate("one", config=client)  # type: ignore[arg-type]
    llm_sync.no_such_name  # type: ignore[attr-defined]
    batch.no_such_name  # type: ignore[attr-defined]
    config.no_such_name  # type: ignore[attr-defined]
    providers.no_such_name  # type: ignore[attr-defined]
    simulator.no_such_name  # type: ignore[attr-defined]
    batch.run("questions.jsonl", None, client)  # type: ignore[arg-type]


def print_text(text: str) -> None:
    """What is no listener."""
    print(text)
