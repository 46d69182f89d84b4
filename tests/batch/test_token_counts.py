"""``--count-tokens``: a dry run has the tokens of some lines counted by the provider, which answers nothing and bills nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_sync import LLMClient, batch
from llm_sync.batch.token_sample import SIZE
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Response, Simulator

CLOUD = "auth: google-cloud, project: simulated, api_key: any"
ENTRIES = {
    "openai": "type: openai",
    "openai-responses": "type: openai-responses",
    "anthropic": "type: anthropic",
    "gemini": "type: gemini",
    "gemini on Google Cloud": f"type: gemini, {CLOUD}",
    "anthropic on Google Cloud": f"type: anthropic, {CLOUD}",
}
MODELS = {"openai": "gpt-4o", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash"}
TOOL = {
    "name": "weather",
    "description": "Tells it",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
LINE = {
    "prompt": "Where is it raining now?",
    "system_prompt": "Be brief.",
    "max_tokens": 100,
    "temperature": 0.5,
    "tools": [TOOL],
}


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """What all providers are answered by."""
    with Simulator() as running:
        monkeypatch.setenv("LLM_SYNC_SIMULATOR_URL", running.root)
        monkeypatch.setenv("LLM_SYNC_SIMULATOR_KEY", "any")
        yield running


@pytest.fixture
def open_client() -> Iterator[Callable[..., LLMClient]]:
    """``open_client(entry)``: a client of one provider."""
    clients: list[LLMClient] = []

    def open_one(entry: str, pricing: str = "{input: 1, output: 1}") -> LLMClient:
        model = next(name for kind, name in MODELS.items() if kind in entry)
        config = ConfigLoader().load_text(
            f"providers: {{p: {{api_key: k, {entry}, models: [{{name: {model}, pricing: {pricing}}}]}}}}".replace(
                "api_key: k, ", "" if "api_key" in entry else "api_key: k, "
            )
        )
        clients.append(LLMClient(config))
        return clients[-1]

    yield open_one
    for client in clients:
        client.close(cancel_pending=True)


def lines(folder: Path, count: int, line: Any = None) -> str:
    """An input of so many lines, of growing length."""
    path = folder / "in.jsonl"
    texts = [{**(line or LINE), "prompt": f"{(line or LINE)['prompt']} {'word ' * number}"} for number in range(count)]
    path.write_text("".join(json.dumps(text) + "\n" for text in texts))
    return str(path)


@pytest.mark.parametrize("kind", ENTRIES)
def test_a_provider_counts_what_it_bills(kind: str, simulator: Simulator, open_client: Any, tmp_path: Path) -> None:
    """The count of a line is the input that an answer to it has; OpenAI counts completions as responses, a few tokens apart."""
    client, path = open_client(ENTRIES[kind]), lines(tmp_path, 1)
    (share,) = batch.dry_run(path, None, client, count_tokens=True).shares
    assert (share.counted, share.not_counted, share.expected_from) == (1, None, "counted")
    assert not any(record.billed for record in simulator.requests)
    batch.run(path, tmp_path / "out.jsonl", client)
    (record,) = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    billed = record["response"]["usage"]["input_tokens"]
    assert round(share.expected * 1e6 - 100) == pytest.approx(billed, abs=8 if kind == "openai" else 0)


def test_no_more_than_a_sample_is_counted(simulator: Simulator, open_client: Any, tmp_path: Path) -> None:
    """Twenty lines of each model, whose bytes tell about the others; nothing is sent without the wish."""
    client, path = open_client("type: anthropic"), lines(tmp_path, 200)
    batch.dry_run(path, None, client)
    assert simulator.requests == []
    found = batch.dry_run(path, None, client, count_tokens=True)
    assert found.shares[0].counted == len(simulator.requests) == SIZE == 20
    assert {record.path for record in simulator.requests} == {"/anthropic/v1/messages/count_tokens"}
    batch.run(path, tmp_path / "out.jsonl", client)
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    billed = sum(record["response"]["usage"]["input_tokens"] for record in records)
    assert found.expected_cost is not None
    assert found.expected_cost * 1e6 - 200 * 100 == pytest.approx(billed, rel=0.1)


def test_images_are_counted_too(simulator: Simulator, open_client: Any, tmp_path: Path) -> None:
    """Nobody else could tell; without a count the expected cost of a line with an image is unknown."""
    (tmp_path / "a.png").write_bytes(bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"))
    line = {"prompt": "What is this?", "max_tokens": 100, "images": ["https://x.example/a.png"]}
    client, path = open_client("type: anthropic"), lines(tmp_path, 3, line)
    assert batch.dry_run(path, None, client).shares[0].expected is None
    (share,) = batch.dry_run(path, None, client, count_tokens=True).shares
    assert share.expected_from == "counted"
    assert share.expected > 300 * 1e-6


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Response(404, {"error": {"message": "no such path"}}), "no such path"),
        (Response(200, {"input_tokens": -1}), "the provider's count of tokens has no input_tokens"),
        (Response(200, {"input_tokens": True}), "the provider's count of tokens has no input_tokens"),
        (Response(200, b"<html>"), "the provider's count of tokens has no input_tokens"),
    ],
)
def test_what_is_not_counted_stays_a_guess(
    answer: Response, problem: str, monkeypatch: pytest.MonkeyPatch, open_client: Any, tmp_path: Path
) -> None:
    """One refusal is enough: the others are not asked for. The reason is told."""
    with Simulator(on_request=lambda record: answer) as simulator:
        monkeypatch.setenv("LLM_SYNC_SIMULATOR_URL", simulator.root)
        path = lines(tmp_path, 30)
        (share,) = batch.dry_run(path, None, open_client("type: anthropic"), count_tokens=True).shares
        assert (share.counted, share.not_counted, share.expected_from) == (0, problem, "guess")
        assert len(simulator.requests) == 1


def test_without_a_key_it_stays_a_guess(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is sent; the dry run goes on, as it does without a count."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    config = ConfigLoader().load_text("providers: {p: {type: anthropic, models: [{name: m, pricing: {input: 1, output: 1}}]}}")
    with LLMClient(config) as client:
        (share,) = batch.dry_run(lines(tmp_path, 3), None, client, count_tokens=True).shares
    assert share.expected_from == "guess"
    assert share.not_counted == "the environment variable ANTHROPIC_API_KEY is not set"


def test_servers_that_may_bill_are_not_asked(open_client: Any, tmp_path: Path) -> None:
    """Whoever speaks OpenAI's API elsewhere has no counter that is known to be free."""
    with Simulator() as simulator:
        client = open_client(f"type: openai, base_url: '{simulator.url('openai')}'")
        (share,) = batch.dry_run(lines(tmp_path, 3), None, client, count_tokens=True).shares
        assert (share.not_counted, simulator.requests) == ("no free endpoint of this provider for counting tokens is known", [])


def test_answers_tell_better_than_counts(simulator: Simulator, open_client: Any, tmp_path: Path) -> None:
    """Where lines were answered, the others are expected to cost as much each."""
    client, path = open_client("type: anthropic"), lines(tmp_path, 10)
    batch.run(path, tmp_path / "out.jsonl", client, limit=2)
    (share,) = batch.dry_run(path, tmp_path / "out.jsonl", client, count_tokens=True).shares
    assert share.expected_from == "answers"
