"""Batches whose attempts are made by workers: everything but the place of the attempt is as without them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import Batch, Far, completion, failure

from llm_sync.batch import engine_run
from llm_sync.batch.state.journal import Journal
from llm_sync.engines import worker
from llm_sync.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    LLMConnectorError,
    ProviderConnectionError,
)

LINES = [{"prompt": f"p{number}", "model": ("a/m", "b/m2")[number % 2]} for number in range(12)]


def without_times(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records without what differs between two runs."""
    for record in records:
        for each in filter(None, (record["response"],)):
            for name in ("timestamp", "latency_ms"):
                each.pop(name)
    return records


def test_the_output_is_that_of_a_run_without_workers(
    job: Batch, far: Far, open_client: Callable[..., Any], executor: Executor, tmp_path: Path, engine_config: str
) -> None:
    """Answers, failures, retries and order; only the times differ."""
    for prompt in ("p2", "p3"):
        far.script(prompt, failure(500), completion("late"), failure(500), completion("late"))
    far.script("p4", failure(400, "bad"), failure(400, "bad"))
    job.lines(*LINES)
    summary = job.run(on=executor)
    assert (summary.sent, summary.retries, summary.tally.answered, len(far.asked)) == (12, 2, 11, 14)
    other = Batch(tmp_path, open_client(engine_config))
    other.output = tmp_path / "other.jsonl"
    other.run()
    assert without_times(job.records()) == without_times(other.records())


def test_the_gates_of_the_coordinator_hold_for_all_workers(job: Batch, far: Far, executor: Executor) -> None:
    """Never more in flight than ``concurrency`` says, however many workers there are."""
    in_flight: list[int] = []
    now, changed = [0], threading.Condition()

    def counted() -> Any:
        with changed:
            now[0] += 1
            in_flight.append(now[0])
            changed.notify_all()
            changed.wait_for(lambda: max(in_flight) >= 4, 1)
        with changed:
            now[0] -= 1
        return completion("x")

    prompts = [f"p{number}" for number in range(30)]
    for prompt in prompts:
        far.script(prompt, counted)
    job.lines(*prompts)
    assert job.run(on=executor).tally.answered == 30
    assert max(in_flight) == 4


def test_a_cool_down_that_one_worker_is_told_holds_for_all(job: Batch, far: Far, executor: Executor) -> None:
    """Retry-After reaches the coordinator's gate."""
    far.script("p0", failure(429, "slowly", ("Retry-After", "0.2")))
    job.lines("p0", *(f"q{number}" for number in range(8)))
    summary = job.run(on=executor)
    assert (summary.tally.answered, summary.retries) == (9, 1)


class Losing(ThreadPoolExecutor):
    """An executor that loses its first tasks: they are run, and then fail as if their worker had been killed."""

    def __init__(self, losses: int, *, runs_them: bool = True) -> None:
        super().__init__(2)
        self.losses = losses
        self.runs_them = runs_them

    def submit(self, function: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        if self.losses <= 0:
            return super().submit(function, *arguments, **options)
        self.losses -= 1
        lost: Future[Any] = Future()
        if self.runs_them:
            super().submit(function, *arguments, **options).result()
        lost.set_exception(ConnectionError("killed"))
        return lost


def test_what_a_lost_worker_had_is_asked_again_and_listed(job: Batch, far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a spool on this machine nobody knows what became of it."""
    monkeypatch.setattr(worker, "host_id", lambda: "another machine")
    monkeypatch.setattr("tempfile.tempdir", str(job.input.parent))
    job.lines("p0", "p1")
    with Losing(1) as executor:
        summary = job.run(on=executor)
    assert (summary.unsure, summary.retries, sorted(far.asked)) == (1, 1, ["p0", "p0", "p1"])
    assert job.texts() == ["echo p0", "echo p1"]
    assert job.records()[0]["possibly_billed"] == 1
    assert job.run().unsure == 1


def test_what_a_worker_has_spooled_on_this_machine_is_not_lost(job: Batch, far: Far) -> None:
    """Its outcome was written down before it was reported."""
    job.lines("p0", "p1")
    with Losing(1) as executor:
        summary = job.run(on=executor)
    assert (summary.unsure, sorted(far.asked), job.texts()) == (0, ["p0", "p1"], ["echo p0", "echo p1"])


def test_a_request_that_loses_every_worker_fails(job: Batch, far: Far) -> None:
    """It may be what kills them; the others are answered."""
    job.lines("p0")
    with Losing(3, runs_them=False) as executor:
        summary = job.run(on=executor)
    assert (summary.tally.failed, summary.unsure, far.asked) == ({"ProviderConnectionError": 1}, 3, [])
    error = job.records()[0]["error"]
    assert "3 workers were lost" in error["message"]
    assert error["retryable"] is False


def test_an_executor_that_is_shut_down_stops_the_run_which_resumes_without_it(job: Batch, far: Far) -> None:
    """As everywhere: the journal has what was answered."""
    executor = ThreadPoolExecutor(1)
    far.script("p1", lambda: (executor.shutdown(wait=False), completion("echo p1"))[1])
    job.lines("p0", "p1", *(f"q{number}" for number in range(20)))
    with pytest.raises(ProviderConnectionError, match="takes no more tasks"):
        job.run(on=executor)
    summary = job.run()
    assert summary.tally.answered == 22
    assert len(far.asked) == 22 + summary.unsure


def test_answers_that_a_killed_coordinator_did_not_take_are_taken_over(
    job: Batch, far: Far, run_killed: Callable[[], None]
) -> None:
    """They are in the spool, and nothing is asked again."""
    job.lines("p0", "p1")
    run_killed()
    spools = Path(f"{job.part}.spools")
    assert list(spools.glob("*.spool"))
    summary = job.run()
    assert (summary.earlier, summary.unsure, sorted(far.asked)) == (2, 0, ["p0", "p1"])
    assert job.texts() == ["echo p0", "echo p1"]
    assert not spools.exists()


def test_spooled_lines_of_requests_that_have_an_outcome_are_left(job: Batch, tmp_path: Path) -> None:
    """A line that was asked again, and answered, keeps that answer."""
    from collections import Counter

    journal = Journal(str(tmp_path / "j.part"))
    missing: Counter[bytes] = Counter()
    line = b'{"done": [0, "a", "m"], "head": ["l", "s", "answered"], "bytes": 2}'
    assert engine_run.take_lines(journal, [line, b"", b"no line"], missing) == 0
    journal.close()


def test_a_key_that_a_worker_lacks_is_told_before_anything_is_sent(
    job: Batch, far: Far, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coordinator needs none, so the worker says so."""
    monkeypatch.delenv("ENGINE_TEST_KEY")
    job.lines("p0")
    with pytest.raises(AuthenticationError, match=r"worker .* cannot send: .*ENGINE_TEST_KEY"):
        job.run(on=executor)
    assert far.asked == []


def test_a_literal_key_goes_to_no_other_process(open_client: Callable[..., Any], job: Batch, executor: Executor) -> None:
    """The configuration has to refer to it."""
    text = 'providers: {a: {type: openai, api_key: k, base_url: "<openai>", models: [m]}}'
    job.lines("p0")
    with pytest.raises(LLMConnectorError, match="is in the configuration itself"):
        job.run(on=executor, client=open_client(text))


@pytest.mark.parametrize("on", ["processes", "processes:0", "processes:x", "processes:-1", "ray", "", 3, "dask:"])
def test_what_names_no_engine_is_refused(job: Batch, on: Any) -> None:
    """Before anything is read or sent."""
    job.lines("p0")
    with pytest.raises(InvalidRequestError, match="names no engine|is no executor"):
        job.run(on=on)
    assert not job.part.exists()


def test_the_cache_of_the_coordinator_stores_what_workers_bring(
    job: Batch, far: Far, open_client: Callable[..., Any], executor: Executor, tmp_path: Path, engine_config: str
) -> None:
    """Replies come back whole for it, and without the key; the next run asks nothing, with or without workers."""
    far.script("p0", completion("my key is a-key-of-a-worker"))
    job.lines("p0", "p1")
    store = str(tmp_path / "cache")
    job.run(on=executor, client=open_client(engine_config, cache=store))
    assert job.texts() == ["my key is [key]", "echo p1"]
    job.output.unlink()
    summary = job.run(client=open_client(engine_config, cache=store))
    assert (summary.cached, len(far.asked)) == (2, 2)


def test_a_route_goes_on_when_workers_report_a_failure(
    job: Batch, far: Far, open_client: Callable[..., Any], executor: Executor, engine_config: str
) -> None:
    """Each of its models is asked by the workers."""
    far.script("p0", *[failure(503)] * 3)
    job.lines({"prompt": "p0", "model": "a/m,b/m2"}, {"prompt": "p1", "model": "a/m,b/m2"})
    summary = job.run(on=executor, client=open_client(engine_config))
    assert (summary.tally.answered, summary.unsure) == (2, 0)
    assert [record["response"]["provider"] for record in job.records()] == ["b", "a"]


def test_a_budget_of_the_coordinator_holds_for_all_workers(
    job: Batch, far: Far, open_client: Callable[..., Any], executor: Executor, engine_config: str
) -> None:
    """What the workers spend is settled here, and the run stops in time."""
    priced = engine_config.replace("models: [m]", "models: [{name: m, max_tokens: 10, pricing: {input: 0, output: 100000}}]")
    job.lines(*(f"p{number}" for number in range(30)))
    summary = job.run(on=executor, client=open_client(priced, max_cost=3.0))
    assert not summary.complete
    assert 0.2 * len(far.asked) <= 3.0
    assert len(far.asked) >= 8


def test_an_interrupt_lets_workers_end_what_they_have(job: Batch, far: Far, executor: Executor) -> None:
    """What was in flight is in the journal, what was queued is not sent, and the run resumes without workers."""
    held = threading.Event()
    for number in range(3, 20):
        far.script(f"p{number}", lambda: (held.wait(20), completion("late"))[1])
    job.lines(*(f"p{number}" for number in range(20)))

    def watch(_: Any) -> None:
        if "p3" in far.asked:
            threading.Timer(0.3, held.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run(on=executor, progress=watch)
    asked = len(far.asked)
    assert asked < 20
    summary = job.run()
    assert (summary.earlier, summary.unsure, len(far.asked)) == (asked, 0, 20)
    assert job.texts()[3] == "late"


@pytest.mark.parametrize("on", ["dask", "dask:tls://127.0.0.1:8786"])
def test_without_the_extra_dask_says_what_to_install(job: Batch, monkeypatch: pytest.MonkeyPatch, on: str) -> None:
    """And nothing is sent."""
    monkeypatch.setitem(sys.modules, "dask", None)
    job.lines("p0")
    with pytest.raises(ConfigurationError, match=r"pip install 'llm-sync\[dask\]'"):
        job.run(on=on)


def test_a_batch_without_an_engine_imports_none_of_it() -> None:
    """What is not used costs nothing."""
    code = """if True:
        import sys, llm_sync.batch
        sys.exit(any("engines" in name or name in ("multiprocessing", "distributed") for name in sys.modules))"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
