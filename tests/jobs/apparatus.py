"""A batch by jobs against the simulator, in one process; and kills of it at any write or exchange."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from llm_sync import LLMClient, batch
from llm_sync.batch import Summary
from llm_sync.batch.state.journal import Journal
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator
from llm_sync.transport.client import HTTPClient

POLL_S = 0.02
MODELS = {
    "openai": "gpt-4o-mini",
    "openai-responses": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5",
    "gemini": "gemini-2.5-flash",
    "mistral": "mistral-small-latest",
    "groq": "llama-3.3-70b-versatile",
    "azure": "gpt-4o-mini",
}
TYPES = {"mistral": "openai", "groq": "openai", "azure": "openai"}
CONFIG = """
providers:
  p:
    {type: TYPE, base_url: "URL", api_key: any, via: batch, models: [{name: MODEL, max_tokens: 60, pricing: PRICES}]}
"""


class Killed(BaseException):
    """The process is gone: nothing of it is executed any more."""


class Kills:
    """Counts journal writes and exchanges, and ends the process at one of them: before it, or when it is done.

    ``at``: the number of the moment, from 0; an event has two, before and after. None: never.
    """

    def __init__(self) -> None:
        self.moments = 0
        self.at: int | None = None
        self.dead = False
        self.names: list[str] = []

    def begin(self, at: int | None) -> None:
        """A new process."""
        self.moments, self.at, self.dead, self.names = 0, at, False, []

    def passing(self, name: str) -> None:
        """A moment at which the process may be killed."""
        if self.dead or self.moments == self.at:
            self.dead = True
            raise Killed(name)
        self.moments += 1
        self.names.append(name)

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """``call``, with a moment before it and one after it."""

        def killable(owner: Any, *args: Any, **options: Any) -> Any:
            what = f"{name} {' '.join(str(each)[:200] for each in args[:2])}"
            self.passing(f"before {what}")
            result = call(owner, *args, **options)
            self.passing(f"after {what}")
            return result

        return killable


class JobBatch:
    """A batch of ``lines`` prompts that goes by jobs, its folder, and the simulator that plays the provider."""

    def __init__(self, folder: Path, simulator: Simulator, kind: str = "openai", lines: int = 40, url: str | None = None) -> None:
        self.folder, self.simulator, self.kind = folder, simulator, kind
        folder.mkdir(exist_ok=True)
        self.input, self.output = folder / "in.jsonl", folder / "out.jsonl"
        url = url or (f"{simulator.root}/azure/openai/v1" if kind == "azure" else simulator.url(kind))
        self.config = (
            CONFIG.replace("TYPE", TYPES.get(kind, kind))
            .replace("MODEL", MODELS[kind])
            .replace("PRICES", "{input: 1, output: 4}")
            .replace("URL", url)
        )
        self.write([{"id": f"q{number}", "prompt": f"Question {number}"} for number in range(lines)])

    def write(self, lines: list[dict[str, Any]]) -> None:
        """Another input."""
        self.input.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

    @contextmanager
    def client(self, **options: Any) -> Iterator[LLMClient]:
        """A client of the simulated provider."""
        with (
            mock.patch.dict("os.environ", LLM_SYNC_SIMULATOR_URL=self.simulator.root, LLM_SYNC_SIMULATOR_KEY="any"),
            LLMClient(ConfigLoader().load_text(self.config), **options) as client,
        ):
            yield client

    def run(self, max_cost: float | None = None, **options: Any) -> Summary:
        """Run it once, as the command would."""
        with self.client(max_cost=max_cost) as client:
            return batch.run(str(self.input), str(self.output), client, **{"poll_every": POLL_S, **options})

    def records(self) -> list[dict[str, Any]]:
        """The records of the finished output."""
        return [json.loads(line) for line in self.output.read_text("utf-8").split("\n") if line]

    def answers(self) -> list[Any]:
        """What the output says, without what differs from run to run."""
        return [
            (record["id"], record["response"] and record["response"]["text"], record["error"] and record["error"]["type"])
            for record in self.records()
        ]

    def notes(self) -> list[dict[str, Any]]:
        """The steps of jobs in the journal."""
        text = Path(f"{self.output}.part").read_text("utf-8")
        return [json.loads(line) for line in text.split("\n") if line.startswith('{"job"')]

    def billed(self) -> tuple[int, float]:
        """What the simulator bills: answers, and USD."""
        accounts = self.simulator.summary()["providers"].values()
        return sum(each["billed"] for each in accounts), round(sum(each["cost_usd"] for each in accounts), 9)


@contextmanager
def killable(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kills]:
    """Journal and HTTP client of this process can be killed."""
    kills = Kills()
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "note", kills.around("note", Journal.note))
        patch.setattr(Journal, "add", kills.around("add", Journal.add))
        patch.setattr(HTTPClient, "transfer", kills.around("exchange", HTTPClient.transfer))
        yield kills
