"""Routes in a batch: per line, recorded per line, resumed without paying twice for what is not listed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_sync import ConfigurationError, LLMClient, batch
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Response, Simulator

PATIENCE_S = 20.0
CONFIG = """
defaults: {retry_base: 0, max_retries: 0}
providers:
  first: {type: openai, api_key: test-key-1, base_url: "<first>", models: [gpt-4o-mini]}
  second: {type: openai, api_key: test-key-2, base_url: "<second>", models: [gpt-4o-mini], concurrency: 4}
routes:
  smart: [first/gpt-4o-mini, second/gpt-4o-mini]
"""
Answering = Callable[[Any], "Response | None"]


class World:
    """Two simulated providers and a folder."""

    def __init__(self, folder: Path) -> None:
        self.behave: dict[str, Answering] = {}
        self.simulators = {name: Simulator(on_request=self._on(name)) for name in ("first", "second")}
        self.output = str(folder / "out.jsonl")
        self.input = folder / "in.jsonl"

    def _on(self, name: str) -> Answering:
        def answer(request: Any) -> Response | None:
            behaviour = self.behave.get(name)
            return None if behaviour is None else behaviour(request)

        return answer

    def client(self, text: str = CONFIG) -> LLMClient:
        """A client of the two."""
        for name, simulator in self.simulators.items():
            text = text.replace(f"<{name}>", simulator.url("openai"))
        return LLMClient(ConfigLoader().load_text(text))

    def run(self, lines: list[dict[str, Any]], text: str = CONFIG, **options: Any) -> Any:
        """Run a batch of these lines."""
        self.input.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        with self.client(text) as client:
            return batch.run(str(self.input), self.output, client, **options)

    def records(self) -> list[dict[str, Any]]:
        """What the output has."""
        return [json.loads(line) for line in Path(self.output).read_text("utf-8").splitlines()]

    def asked(self) -> dict[str, int]:
        """How many requests each provider got."""
        return {name: len(simulator.requests) for name, simulator in self.simulators.items()}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Two running providers."""
    made = World(tmp_path)
    for simulator in made.simulators.values():
        simulator.start()
    yield made
    for simulator in made.simulators.values():
        simulator.stop()


def error(code: int, kind: str = "server_error", **headers: str) -> Answering:
    """Answers every request with an error."""
    body = {"error": {"message": "no", "type": kind, "code": kind}}
    return lambda _: Response(code, body, (("content-type", "application/json"), *headers.items()))


LINES = [{"prompt": f"number {number}", "model": "smart", "id": number} for number in range(8)]


def test_each_line_goes_on_by_itself(world: World) -> None:
    """A line whose first model fails is answered by the second, and its record lists both; other lines have no route."""
    world.behave["first"] = lambda request: error(503)(request) if "number 1" in str(request.payload) else None
    summary = world.run([*LINES[:3], {"prompt": "plain", "model": "first/gpt-4o-mini"}])
    records = world.records()
    assert summary.failed == 0
    assert [record["response"]["provider"] for record in records] == ["first", "second", "first", "first"]
    assert [(step["provider"], step["error"]) for step in records[1]["route"]] == [
        ("first", "ProviderUnavailableError"),
        ("second", None),
    ]
    assert {(record["provider"], record["model"]) for record in records} == {("first", "gpt-4o-mini")}
    assert "route" not in records[3]


def test_a_dead_first_provider_costs_a_few_requests(world: World) -> None:
    """After five failures the others of a large batch go straight to the second provider."""
    world.behave["first"] = error(503)
    lines = [{"prompt": f"line {number}"} for number in range(60)]
    summary = world.run(lines, models=["smart"])
    assert (summary.failed, world.asked()["second"]) == (0, 60)
    assert world.asked()["first"] < 20


def test_strict_route_asks_the_first_only(world: World) -> None:
    """For a benchmark: the failures are recorded, and nobody else is asked."""
    world.behave["first"] = error(503)
    summary = world.run(LINES[:2], strict_route=True)
    assert (summary.failed, world.asked()["second"]) == (2, 0)
    assert "route" not in world.records()[0]


def test_a_finished_batch_is_not_asked_again(world: World) -> None:
    """The same command keeps all answers, whoever gave them."""
    world.behave["first"] = error(503)
    world.run(LINES)
    before = world.asked()
    summary = world.run(LINES)
    assert (summary.sent, world.asked()) == (0, before)


def test_another_route_is_a_changed_setting(world: World) -> None:
    """Answers of other models are not mixed in unasked: a route with another model is refused, as any other setting is."""
    world.behave["first"] = error(503)
    world.run(LINES[:2])
    with pytest.raises(ConfigurationError):
        world.run(LINES[:2], CONFIG.replace("[first/gpt-4o-mini, second/", "[first/gpt-4o-mini, first/other, second/"))
    with pytest.raises(ConfigurationError):
        world.run(LINES[:2], strict_route=True)
    world.run(LINES[:2], strict_route=True, allow_changed_settings=True)


@pytest.mark.parametrize("billed", [False, True], ids=["refused by the first", "slow at the first"])
def test_a_run_killed_within_a_route_lists_what_may_be_billed(world: World, tmp_path: Path, billed: bool) -> None:
    """Killed while the second model is asked: the next run asks again, and lists the sendings whose end nobody knows."""
    if billed:
        slow = world.simulators["first"].hold()
        text = CONFIG.replace("max_retries: 0", "max_retries: 0, timeout: 5, retry_timeouts: true").replace(
            "models: [gpt-4o-mini]}", "models: [gpt-4o-mini], timeout: 0.3}", 1
        )
    else:
        world.behave["first"] = error(503)
        text = CONFIG
    hold = world.simulators["second"].hold()
    copy = tmp_path / "killed.jsonl"
    running = threading.Thread(target=lambda: world.run(LINES[:1], text))
    running.start()
    assert hold.wait(1, PATIENCE_S)
    Path(f"{copy}.part").write_bytes(Path(f"{world.output}.part").read_bytes())  # what a kill would leave
    hold.close()
    if billed:
        slow.close()
    running.join(PATIENCE_S)
    assert world.records()[0].get("possibly_billed", 0) == int(billed)
    world.behave.clear()
    world.output = str(copy)
    world.run(LINES[:1], text)
    (record,) = world.records()
    assert record["response"]["provider"] == "first"
    assert record["possibly_billed"] == 1 + int(billed)


def test_the_journal_of_an_unbroken_run_lists_nothing(world: World) -> None:
    """Steps that were refused are not counted as possibly billed, neither now nor by a later run."""
    world.behave["first"] = error(503)
    world.run(LINES)
    assert all("possibly_billed" not in record for record in world.records())
    summary = world.run([*LINES, {"prompt": "one more", "model": "smart"}])
    assert not summary.to_dict()["possibly_billed"]


def test_the_last_model_of_a_route_waits_for_its_cool_down(world: World) -> None:
    """If all models are rate-limited, the line waits, as one of a single model does, and is answered."""
    world.behave["first"] = error(429, "rate_limit_exceeded", **{"retry-after": "3600"})
    refused: list[int] = []

    def once(request: Any) -> Response | None:
        refused.append(1)
        return error(429, "rate_limit_exceeded", **{"retry-after": "1"})(request) if len(refused) == 1 else None

    world.behave["second"] = once
    text = CONFIG.replace("max_retries: 0}", "max_retries: 0, max_retry_after: 0.1}")
    summary = world.run(LINES[:3], text, max_cool_down=10)
    assert summary.failed == 0
    assert {record["response"]["provider"] for record in world.records()} == {"second"}


def test_openai_lines_have_the_route_too(world: World) -> None:
    """In OpenAI's form it stands under ``llm_sync``, where all of ours does."""
    world.behave["first"] = error(503)
    body = {"model": "smart", "messages": [{"role": "user", "content": "hello"}]}
    world.run([{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}])
    (record,) = world.records()
    assert [step["provider"] for step in record["llm_sync"]["route"]] == ["first", "second"]


def test_a_dry_run_takes_routes(world: World) -> None:
    """Routed lines are counted under the first model; nothing is sent."""
    world.input.write_text("".join(json.dumps(line) + "\n" for line in LINES), encoding="utf-8")
    with world.client() as client:
        result = batch.dry_run(str(world.input), world.output, client)
    assert (result.to_send, [share.model for share in result.shares], result.problems) == (8, ["gpt-4o-mini"], [])
    assert world.asked() == {"first": 0, "second": 0}
