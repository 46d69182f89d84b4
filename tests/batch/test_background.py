"""Batches via background: ids in the journal, answers fetched after a kill, nothing bought twice by itself."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_sync import LLMClient, batch
from llm_sync.batch import Summary
from llm_sync.batch.job_listing import open_jobs
from llm_sync.batch.state.journal import Journal
from llm_sync.cli.console.batch_jobs import job_lines
from llm_sync.config import ConfigLoader
from llm_sync.errors import InvalidRequestError
from llm_sync.providers import background
from llm_sync.simulator import Simulator
from llm_sync.transport.client import HTTPClient

CONFIG = """
providers:
  p: {type: openai-responses, base_url: "URL", api_key: any, models: [gpt-5-mini], via: background}
  xai: {type: openai, base_url: "XAI", api_key: any, models: [grok-4], via: background}
  chat: {type: openai, base_url: "CHAT", api_key: any, models: [gpt-4o-mini], via: background}
"""
LINES = 2


class Killed(BaseException):
    """The process is gone: nothing of it is executed any more."""


class Kills:
    """Counts journal writes and exchanges, and ends the process at one of them: before it, or when it is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begin(None)
        for owner, name in ((Journal, "note"), (Journal, "add"), (HTTPClient, "request")):
            monkeypatch.setattr(owner, name, self._around(getattr(owner, name)))

    def begin(self, at: int | None) -> None:
        """A new process, which is killed at moment ``at``."""
        self.moments, self.at, self.dead = 0, at, False

    def _passing(self) -> None:
        if self.dead or self.moments == self.at:
            self.dead = True
            raise Killed
        self.moments += 1

    def _around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def killable(*arguments: Any, **options: Any) -> Any:
            self._passing()
            result = call(*arguments, **options)
            self._passing()
            return result

        return killable


class Made:
    """One batch of LINES prompts in a folder."""

    def __init__(self, folder: Path, simulator: Simulator, model: str = "p/gpt-5-mini", text: str = CONFIG) -> None:
        folder.mkdir(exist_ok=True)
        self.simulator, self.model = simulator, model
        self.input, self.output = folder / "in.jsonl", folder / "out.jsonl"
        for name, kind in (("URL", "openai-responses"), ("XAI", "xai"), ("CHAT", "openai")):
            text = text.replace(name, simulator.url(kind))
        self.text = text
        self.write([f"Question {number}" for number in range(LINES)])

    def write(self, texts: list[str]) -> None:
        """Another input."""
        prompts = [{"prompt": text} for text in texts]
        self.input.write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts), "utf-8")

    def run(self, **options: Any) -> Summary:
        """Run it once, as the command would."""
        with LLMClient(ConfigLoader().load_text(self.text), strict=options.pop("strict", False)) as client:
            return batch.run(str(self.input), str(self.output), client, **{"models": [self.model], **options})

    def records(self) -> list[dict[str, Any]]:
        """The records of the output."""
        return [json.loads(line) for line in self.output.read_text("utf-8").splitlines()]

    def texts(self) -> list[str | None]:
        """The answers; for failures their class."""
        return [record["response"]["text"] if record["response"] else record["error"]["type"] for record in self.records()]

    def creates(self) -> int:
        """How many answers the simulator was asked to make."""
        return sum(request.method == "POST" for request in self.simulator.requests)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(background, "MAX_PAUSE_S", 0.02)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Answers are made in some milliseconds."""
    with Simulator(script={"jobs": {"speed": 2000, "answer_takes": 40}}) as started:
        yield started


def test_records_say_the_way_and_are_those_of_direct_lines(tmp_path: Path, simulator: Simulator) -> None:
    """The same answers, with the same usage and cost."""
    made, direct = Made(tmp_path / "a", simulator), Made(tmp_path / "b", simulator)
    assert made.run().complete
    assert direct.run(via="direct").complete
    assert [record["via"] for record in made.records()] == ["background"] * LINES
    assert "via" not in direct.records()[0]
    assert made.texts() == direct.texts()
    costs = [[record["response"]["cost_estimate"] for record in each.records()] for each in (made, direct)]
    assert costs[0] == costs[1]


@pytest.mark.parametrize("concurrency", [1, 8])
def test_many_are_in_flight_at_once(tmp_path: Path, simulator: Simulator, concurrency: int) -> None:
    """In either driver of workers."""
    text = CONFIG.replace("via: background}", f"via: background, concurrency: {concurrency}}}")
    made = Made(tmp_path, simulator, text=text)
    assert made.run().complete
    assert len(set(made.texts())) == LINES
    assert made.creates() == LINES


@pytest.mark.parametrize("lines", [LINES, pytest.param(10, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_a_kill_at_any_moment_buys_nothing_twice(
    tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    """Before and after every write and every exchange. What was on its way is listed, and bought anew with ``rebuy`` only."""
    monkeypatch.setitem(globals(), "LINES", lines)
    kills = Kills(monkeypatch)
    undisturbed = Made(tmp_path / "all", simulator)
    assert undisturbed.run().complete
    expected, moments = undisturbed.texts(), kills.moments
    lost = 0
    for moment in range(moments):
        made, before = Made(tmp_path / str(moment), simulator), undisturbed.creates()
        kills.begin(moment)
        with contextlib.suppress(Killed):
            made.run()
        kills.begin(None)
        summary = made.run()
        assert summary.complete, moment
        bought = made.creates() - before
        if made.texts() == expected:
            assert bought == LINES, moment
            continue
        lost += 1
        gone = made.texts().index("ProviderError")
        assert made.texts() == [*expected[:gone], "ProviderError", *expected[gone + 1 :]], moment
        assert made.records()[gone]["possibly_billed"] == 1
        assert bought in (LINES - 1, LINES), moment
        assert made.run().complete
        assert made.creates() - before == bought, moment
        assert made.run(rebuy=True).complete
        assert (made.texts(), made.creates() - before) == (expected, bought + 1), moment
    assert lost >= LINES  # between the intent and the note of the id


def test_a_kill_around_a_second_create_buys_no_third(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer to each line fails, and is asked for once more: the intent of that is journalled, too."""
    rules = [{"when": {"request": "line", "attempt": 1}, "error": "server"}]
    text = CONFIG.replace("via: background}", "via: background, retry_base: 0}")
    with Simulator(script={"jobs": {"speed": 2000, "answer_takes": 40}, "rules": rules}) as simulator:
        kills = Kills(monkeypatch)
        undisturbed = Made(tmp_path / "all", simulator, text=text)
        assert undisturbed.run().complete
        assert undisturbed.creates() == 2 * LINES
        for moment in range(0, kills.moments, 2):
            made, before = Made(tmp_path / str(moment), simulator, text=text), undisturbed.creates()
            made.write([f"{moment}: {number}" for number in range(LINES)])
            kills.begin(moment)
            with contextlib.suppress(Killed):
                made.run()
            kills.begin(None)
            assert made.run().complete, moment
            lost = sum(text == "ProviderError" for text in made.texts())
            assert lost <= 1, moment
            assert 2 * LINES - 2 * lost <= made.creates() - before <= 2 * LINES, moment


def test_an_answer_that_can_be_read_once_survives_a_kill(
    tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on the disk before it is read."""
    from llm_sync.providers.openai import background as wires

    monkeypatch.setattr(wires, "chat_background", lambda model, is_at: wires.DeferredCompletions())
    kills = Kills(monkeypatch)
    undisturbed = Made(tmp_path / "all", simulator, "xai/grok-4")
    assert undisturbed.run().complete
    expected, unread = undisturbed.texts(), 0
    for moment in range(kills.moments // LINES):
        made = Made(tmp_path / str(moment), simulator, "xai/grok-4")
        kills.begin(moment)
        with contextlib.suppress(Killed):
            made.run()
        kills.begin(None)
        assert made.run().complete, moment
        unread += made.texts() != expected
    assert unread <= 8  # on its way, or read and not written yet: nothing can save that


def test_what_is_not_there_by_the_deadline_stays_and_is_fetched_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is not complete, and says so; nothing is cancelled, and nothing asked again."""
    with Simulator(script={"jobs": {"speed": 0, "answer_takes": 40}}) as simulator:
        made = Made(tmp_path, simulator)
        summary = made.run(deadline=0.4)
        assert not summary.complete
        assert "answers are still made in the background" in summary.held["p"]
        simulator.advance(60)
        assert made.run().complete
        assert made.creates() == LINES
        assert len(set(made.texts())) == LINES


@pytest.mark.parametrize("via", ["direct", "background"])
def test_an_answer_that_is_open_is_fetched_whichever_way_the_run_goes(tmp_path: Path, via: str) -> None:
    """Also if the line has moved meanwhile; jobs of a Batch API would buy it again, and are refused."""
    with Simulator(script={"jobs": {"speed": 0, "answer_takes": 40}}) as simulator:
        made = Made(tmp_path, simulator)
        made.run(deadline=0.3)
        simulator.advance(60)
        made.input.write_text("".join(reversed(made.input.read_text("utf-8").splitlines(keepends=True))), "utf-8")
        with pytest.raises(InvalidRequestError, match="2 answers of an earlier run in the background"):
            made.run(via="batch")
        assert made.run(via=via).complete
        assert made.creates() == LINES
        assert [f"Question {number}" in str(text) for number, text in zip((1, 0), made.texts(), strict=True)] == [True, True]


def test_what_is_not_fetched_is_listed(tmp_path: Path) -> None:
    """With the number of answers for each model, whatever else is in the journal; nothing is sent."""
    with Simulator(script={"jobs": {"speed": 0, "answer_takes": 40}}) as simulator:
        made = Made(tmp_path, simulator)
        made.run(deadline=0.3)
        with Path(f"{made.output}.part").open("a", encoding="utf-8") as file:
            file.writelines(
                f"{each}\n" for each in ('{"background": [7, {}, null], "line": "x"}', '{"background": [', "[" * 9999)
            )
        before = len(simulator.requests)
        with LLMClient(ConfigLoader().load_text(made.text)) as client:
            (view,) = open_jobs(made.output, client, cancel=True)
        assert (view.id, view.provider, view.model, view.requests, view.state) == (
            "background", "p", "gpt-5-mini", LINES, "not fetched"
        )  # fmt: skip
        first, *_, last = job_lines("out.jsonl", [view], cancelled=True)
        assert first == f"out.jsonl: {LINES} background answers not fetched"
        assert last == "The same batch command fetches background answers; --cancel does not end them."
        assert len(simulator.requests) == before
        simulator.advance(60)
        assert made.run().complete
        with LLMClient(ConfigLoader().load_text(made.text)) as client:
            assert open_jobs(made.output, client) == []


def test_damaged_and_foreign_notes_are_passed_over(tmp_path: Path) -> None:
    """What is no id is never asked for, and what is no line of this run is left alone."""
    with Simulator(script={"jobs": {"speed": 0, "answer_takes": 40}}) as simulator:
        made = Made(tmp_path, simulator)
        made.run(deadline=0.3)
        part = Path(f"{made.output}.part")
        notes = [json.loads(line) for line in part.read_text("utf-8").splitlines() if line.startswith('{"background"')]
        hostile: list[Any] = [{"background": value} for value in ("x", [], [0], [0, "p", "gpt-5-mini"], [[1], {}, None])]
        hostile += [{**notes[0], "job": job} for job in ("../../v1/files", "", 7, None, "a?b", "x" * 9000)]
        hostile += [{**notes[0], "reply": reply} for reply in ({}, 7, {"status": "x", "headers": {}, "body": "?"})]
        hostile.append({**notes[0], "background": [99, "nobody", "m"]})
        with part.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(each) + "\n" for each in hostile)
            file.write('{"background": [0, "p", "gpt-5-m')
        simulator.advance(60)
        assert made.run().complete
        assert made.creates() == LINES


def test_other_settings_do_not_get_the_answers_of_former_ones(tmp_path: Path) -> None:
    """They are asked anew."""
    with Simulator(script={"jobs": {"speed": 0, "answer_takes": 40}}) as simulator:
        made = Made(tmp_path, simulator)
        made.run(deadline=0.3)
        simulator.advance(60)
        made.run(fields={"max_tokens": 999}, deadline=0.3)
        assert made.creates() == 2 * LINES


def test_a_failure_on_a_poll_is_that_of_a_direct_line(tmp_path: Path) -> None:
    """Quota is final, and nothing is sent again in a loop."""
    script = {"jobs": {"speed": 2000}, "rules": [{"when": {"request": "line"}, "error": "quota"}]}
    with Simulator(script=script) as simulator:
        made = Made(tmp_path, simulator)
        made.run(give_up_after=0)
        assert made.texts() == ["QuotaExceededError"] * LINES
        assert made.creates() == LINES


def test_a_provider_without_it_is_asked_directly(tmp_path: Path, simulator: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """With one notice and an adjustment on each record; under strict it is refused before anything is sent."""
    made = Made(tmp_path, simulator, "chat/gpt-4o-mini")
    with pytest.raises(InvalidRequestError, match="via='background' cannot be sent"):
        made.run(strict=True)
    assert made.creates() == 0
    assert made.run().complete
    assert f"chat: {LINES} lines go directly: this provider makes no answers in the background" in caplog.messages
    assert made.records()[0]["response"]["adjustments"][0]["parameter"] == "via"
    assert "via" not in made.records()[0]
