#!/usr/bin/env python3
"""Measures real runs against simulated providers and draws what their servers saw: docs/pictures/*.svg for concurrency.md.

    python docs/pictures/timelines.py [FOLDER]

Every bar is one HTTP exchange, from its arrival at the server to its answer. The providers take the seconds that stand in
SECONDS for each answer; all else is measured. Takes about fifteen seconds.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from drawing import Canvas  # type: ignore[import-not-found]

from llm_sync import LLMClient, ModelRequest
from llm_sync.config import ConfigLoader
from llm_sync.simulator import RequestRecord, Response, Simulator

SECONDS = {"openai": 0.4, "anthropic": 0.6, "gemini": 0.3, "openrouter": 0.5}
MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5",
    "gemini": "gemini-2.5-flash",
    "openrouter": "meta-llama/llama-3.3-70b-instruct",
}
LEFT, RIGHT, LANE, SCALE = 110, 60, 26, 130  # pixels: names, margin, height of a lane, a second


class Bar(NamedTuple):
    """One exchange as the server saw it: seconds since the run began, and what is written on it."""

    provider: str
    row: int
    start: float
    end: float
    label: str
    fault: bool


class Run(NamedTuple):
    """A measured run: what it is called, its exchanges, and its wall-clock seconds."""

    name: str
    bars: list[Bar]
    seconds: float


class Stage:
    """Four simulated providers, each with its pace; ``faults`` are answered 429 with Retry-After seconds, by arrival."""

    def __init__(self, pace: float = 1.0, *, faults: dict[tuple[str, int], int] | None = None) -> None:
        self._pace = pace
        self._faults = faults or {}
        self._seen: dict[str, int] = {}
        self._lock = threading.Lock()  # guards _seen
        self.simulator = Simulator(on_request=self._slowly)

    def _slowly(self, record: RequestRecord) -> Response | None:
        with self._lock:
            self._seen[record.provider] = self._seen.get(record.provider, 0) + 1
            after = self._faults.get((record.provider, self._seen[record.provider]))
        if after is not None:
            time.sleep(0.1 * self._pace)
            error = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}
            return Response(429, error, (("Content-Type", "application/json"), ("Retry-After", str(after))))
        time.sleep(SECONDS[record.provider] * self._pace)
        return None

    def config(self, concurrency: dict[str, int] | None = None) -> str:
        """A configuration for it."""
        lines = ["defaults: {retry_base: 0}", "providers:"]
        for name, model in MODELS.items():
            one = (concurrency or {}).get(name, 1)
            lines.append(
                f"  {name}: {{api_key: sk-sim-0123456789, base_url: '{self.simulator.url(name)}', "
                f"models: ['{model}'], concurrency: {one}}}"
            )
        return "\n".join(lines)


def measure(
    name: str,
    providers: list[str],
    each: int,
    way: Callable[[LLMClient, list[ModelRequest]], object],
    stage: Stage,
    concurrency: dict[str, int] | None = None,
) -> Run:
    """Ask ``each`` questions of every provider in ``way``, and read from the servers' log what they saw."""
    requests = [ModelRequest(f"Question {n + 1}", f"{one}/{MODELS[one]}") for n in range(each) for one in providers]
    with stage.simulator, LLMClient(ConfigLoader().load_text(stage.config(concurrency))) as client:
        began = time.monotonic()
        way(client, requests)
        seconds = time.monotonic() - began
        return Run(name, _bars(stage.simulator.requests, began), seconds)


def _bars(records: list[RequestRecord], began: float) -> list[Bar]:
    """A row for each exchange beside others of its provider: the first that is free."""
    free: dict[str, list[float]] = {}
    bars = []
    for record in records:
        rows = free.setdefault(record.provider, [])
        row = next((n for n, until in enumerate(rows) if until <= record.arrived), len(rows))
        rows[row:] = [record.ended or record.arrived, *rows[row + 1 :]]
        label = _question(record.payload)
        bar = Bar(record.provider, row, record.arrived - began, (record.ended or 0) - began, label, record.status != 200)
        bars.append(bar)
    return bars


def _question(payload: object) -> str:
    """The number of the question, wherever the dialect has it."""
    return str(payload).partition("Question ")[2][:1]


def one_after_the_other(client: LLMClient, requests: list[ModelRequest]) -> None:
    """What a plain loop does."""
    for request in requests:
        client.generate_response(request)


def at_once(client: LLMClient, requests: list[ModelRequest]) -> None:
    """What llm-sync is for."""
    client.generate_responses_concurrent(requests)


def draw(title: str, description: str, runs: list[Run], providers: list[str]) -> Canvas:
    """The runs below each other, on one scale."""
    longest = max(run.seconds for run in runs)
    rows = [{one: 1 + max((bar.row for bar in run.bars if bar.provider == one), default=0) for one in providers} for run in runs]
    heights = [40 + LANE * sum(each.values()) + 26 for each in rows]
    canvas = Canvas(int(LEFT + SCALE * longest + RIGHT), sum(heights) + 10, title, description)
    top = 0.0
    for run, lanes, height in zip(runs, rows, heights, strict=True):
        _draw_run(canvas, run, lanes, top, longest)
        top += height
    return canvas


def _draw_run(canvas: Canvas, run: Run, lanes: dict[str, int], top: float, longest: float) -> None:
    canvas.text(12, top + 24, f"{run.name}: {run.seconds:.2f} s", "title")
    first, bottom = top + 38, top + 38 + LANE * sum(lanes.values())
    for tick in range(int(longest * 2) + 1):
        x = LEFT + SCALE * tick / 2
        canvas.line(x, first, x, bottom + 4, "grid")
        if tick % 2 == 0:
            canvas.text(x, bottom + 18, f"{tick // 2} s", "small faint", anchor="middle")
    y = first
    for name, count in lanes.items():
        canvas.text(LEFT - 10, y + LANE * count / 2 + 4, name, anchor="end")
        canvas.line(LEFT, y, LEFT + SCALE * longest, y, "grid")
        for bar in (bar for bar in run.bars if bar.provider == name):
            x, width = LEFT + SCALE * bar.start, max(2.0, SCALE * (bar.end - bar.start) - 1)
            canvas.rect(x, y + LANE * bar.row + 4, width, LANE - 8, "fault" if bar.fault else "work")
            if width > 12:
                canvas.text(x + width / 2, y + LANE * bar.row + 17, bar.label, "onbar", anchor="middle")
            if bar.fault:
                canvas.text(x + width + 5, y + LANE * bar.row + 17, "429, Retry-After: 1", "small faint")
        y += LANE * count
    x = LEFT + SCALE * run.seconds
    canvas.line(x, first, x, bottom + 4, "arrow")


def sequential_and_concurrent(pace: float = 1.0) -> Canvas:
    """The same twelve questions in a loop and all at once."""
    everyone = list(MODELS)
    runs = [
        measure("A loop, one after the other", everyone, 3, one_after_the_other, Stage(pace)),
        measure("All at once, each provider one at a time", everyone, 3, at_once, Stage(pace)),
    ]
    description = f"Twelve questions to four providers took {runs[0].seconds:.2f} s in a loop, {runs[1].seconds:.2f} s at once."
    return draw("Sequential against concurrent", description, runs, everyone)


def more_for_one(pace: float = 1.0) -> Canvas:
    """What concurrency changes: three at a time for one provider, one at a time for the other."""
    pair = ["openai", "anthropic"]
    runs = [
        measure("concurrency: 1 for both (the default)", pair, 6, at_once, Stage(pace)),
        measure("concurrency: 3 for anthropic", pair, 6, at_once, Stage(pace), {"anthropic": 3}),
    ]
    description = (
        f"Six questions to each of two providers took {runs[0].seconds:.2f} s, and {runs[1].seconds:.2f} s with three at a time."
    )
    return draw("What concurrency changes", description, runs, pair)


def retries_while_others_go_on(pace: float = 1.0) -> Canvas:
    """A provider that says "too fast" waits; the others do not notice."""
    trio = ["openai", "anthropic", "gemini"]
    run = measure("anthropic refuses the second of four", trio, 4, at_once, Stage(pace, faults={("anthropic", 2): 1}))
    description = (
        "Anthropic answers its second request with 429 and Retry-After: 1; it is sent again after a second, in its place."
    )
    return draw("Retries while others go on", description, [run], trio)


PICTURES = {
    "sequential-and-concurrent": sequential_and_concurrent,
    "more-for-one": more_for_one,
    "retries": retries_while_others_go_on,
}

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for stem, make in PICTURES.items():
        make().save(folder / f"{stem}.svg")
