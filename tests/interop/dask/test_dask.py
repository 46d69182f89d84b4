"""Batches on a Dask cluster: nothing is asked twice but what was in flight at a kill, and that is listed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import Batch, Far, completion
from distributed import Client

from llm_sync import LLMClient
from llm_sync.engines.spool import SpoolFile
from llm_sync.errors import AuthenticationError, ConfigurationError, ProviderConnectionError

PROMPTS = [f"p{number}" for number in range(40)]


def check(job: Batch, far: Far, unsure: int, most: int) -> None:
    """Every line once, in order; what was asked in excess is listed, and was in flight at a kill."""
    assert job.texts() == [f"echo {prompt}" for prompt in PROMPTS]
    assert len(far.asked) - len(PROMPTS) <= unsure <= most


def on(cluster: Any) -> str:
    """The engine's name."""
    return f"dask:{cluster.address}"


def test_a_batch_runs_on_a_cluster(job: Batch, far: Far, cluster: Any) -> None:
    """Each request is sent once, by the workers alone; the limits are those of the coordinator."""
    cluster.add()
    cluster.add()
    job.lines(*PROMPTS)
    summary = job.run(on=on(cluster))
    check(job, far, summary.unsure, 0)


def test_a_killed_worker_costs_what_was_in_flight_on_it(job: Batch, far: Far, cluster: Any) -> None:
    """The other one goes on, a new one joins, and Dask repeats nothing."""
    cluster.add()
    cluster.add()
    cluster.wait()
    far.allow(8)
    job.lines(*PROMPTS)
    killed: list[int] = []

    def watch(snapshot: Any) -> None:
        busy = [each.name for each in snapshot.workers if each.state == "working" and each.in_flight]
        if len(far.asked) >= 16 and busy and not killed:  # all 8 places are taken by requests that are held back
            killed.append(int(busy[0].rpartition(":")[2].partition("-")[0]))
            process = next(each for each in cluster.workers if each.pid == killed[0])
            process.kill()
            process.wait()
            cluster.add()
            far.allow(None)

    summary = job.run(on=on(cluster), progress=watch)
    check(job, far, summary.unsure, 8)
    assert summary.unsure >= 1


def test_the_loss_of_the_scheduler_stops_the_run_which_resumes_without_dask(
    job: Batch, far: Far, cluster: Any, monkeypatch: Any
) -> None:
    """As everywhere: the journal has what was answered."""
    cluster.add()
    cluster.add()
    cluster.wait()
    far.allow(8)
    job.lines(*PROMPTS)

    def watch(snapshot: Any) -> None:
        if len(far.asked) >= 16 and cluster.scheduler.poll() is None:
            cluster.scheduler.kill()
            cluster.scheduler.wait()
            far.allow(None)

    with pytest.raises(ProviderConnectionError, match="is gone"):
        job.run(on=on(cluster), progress=watch)
    monkeypatch.setenv("ENGINE_TEST_KEY", "k")
    summary = job.run()
    check(job, far, summary.unsure, 8)


def test_a_cluster_without_workers_is_waited_for(job: Batch, far: Far, cluster: Any, caplog: pytest.LogCaptureFixture) -> None:
    """With a message."""
    job.lines(*PROMPTS)
    threading.Timer(1.0, cluster.add).start()
    summary = job.run(on=on(cluster))
    assert "has no workers yet: waiting for the first" in caplog.text
    check(job, far, summary.unsure, 0)


def test_a_key_that_all_workers_lack_ends_the_run_before_anything_is_sent(job: Batch, far: Far, cluster: Any) -> None:
    """The error names a worker. It is the same if the worker comes later."""
    cluster.add(ENGINE_TEST_KEY="")
    job.lines(*PROMPTS)
    with pytest.raises(AuthenticationError, match="the worker .* cannot send"):
        job.run(on=on(cluster))
    cluster.wait()
    with pytest.raises(AuthenticationError, match="the worker .* cannot send"):
        job.run(on=on(cluster))
    assert far.asked == []


def test_a_worker_without_a_key_is_left_out(job: Batch, far: Far, cluster: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once; the other one has it."""
    cluster.add(ENGINE_TEST_KEY="")
    cluster.add()
    job.lines(*PROMPTS)
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2)
        summary = job.run(on=client)
        assert client.status == "running"
    check(job, far, summary.unsure, 0)


def test_an_executor_of_dask_is_used_as_its_cluster_is(job: Batch, far: Far, cluster: Any) -> None:
    """By itself it would run tasks again."""
    cluster.add()
    job.lines(*PROMPTS)
    with Client(cluster.address, set_as_default=False) as client:
        summary = job.run(on=client.get_executor())
    check(job, far, summary.unsure, 0)


def test_a_scheduler_that_is_not_there_is_reported(job: Batch, monkeypatch: Any) -> None:
    """With where it was looked for."""
    monkeypatch.setattr("llm_sync.engines.dask_connection._CONNECT_S", 1.0)
    job.lines("p")
    with pytest.raises(ProviderConnectionError, match="127.0.0.1:9 cannot be used"):
        job.run(on="dask:tcp://127.0.0.1:9")


def test_a_connection_that_others_could_read_is_refused(job: Batch) -> None:
    """Unless Dask's own configuration allows it."""
    job.lines("p")
    with pytest.raises(ConfigurationError, match="is not encrypted"):
        job.run(on="dask:tcp://192.0.2.1:8786")


ANOTHER_MACHINE = ("unshare", "--uts", "sh", "-c", 'hostname another && exec "$@"', "sh")
needs_another = pytest.mark.skipif(shutil.which("unshare") is None or os.geteuid() != 0, reason="needs a machine name of its own")


def kill_coordinator(job: Batch, far: Far, cluster: Any, simulator: Any, tmp_path: Path) -> LLMClient:
    """Begin the batch in a process, which is killed when its first 8 requests are in flight; then they are answered.

    Returns a client for the run that resumes it.
    """
    job.lines(*PROMPTS)
    gate = threading.Event()
    for prompt in PROMPTS:
        far.script(prompt, lambda p=prompt: (gate.wait(20), completion(f"echo {p}"))[1])
    config = tmp_path / "c.yaml"
    config.write_text(
        f'providers: {{a: {{type: openai, api_key: "${{ENGINE_TEST_KEY}}", base_url: "{simulator.url("openai")}", models: [m], '
        "concurrency: 8}}"
    )
    code = f"""
        from llm_sync import LLMClient, batch
        with LLMClient.from_config({str(config)!r}) as client:
            batch.run({str(job.input)!r}, {str(job.output)!r}, client, on={on(cluster)!r})
    """
    coordinator = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    try:
        assert far.wait(8, 40)
    finally:
        coordinator.send_signal(signal.SIGKILL)
        coordinator.wait()
    gate.set()
    return LLMClient.from_config(str(config))


@needs_another
def test_a_killed_coordinator_gets_the_answers_from_another_machine(
    job: Batch, far: Far, cluster: Any, simulator: Any, tmp_path: Path
) -> None:
    """They are in the worker's spool there, and are asked for before anything is planned."""
    cluster.add(*ANOTHER_MACHINE, TMPDIR=str(tmp_path))
    with kill_coordinator(job, far, cluster, simulator, tmp_path) as client:
        summary = job.run(on=on(cluster), client=client)
    check(job, far, summary.unsure, 0)
    assert len(far.asked) == len(PROMPTS)


@needs_another
def test_the_answers_are_asked_for_when_the_first_worker_has_come(
    job: Batch, far: Far, cluster: Any, simulator: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The cluster was restarted, too: its scheduler is there before its workers are."""
    first = cluster.add(*ANOTHER_MACHINE, TMPDIR=str(tmp_path))
    with kill_coordinator(job, far, cluster, simulator, tmp_path) as client:
        while spooled_answers(tmp_path) < 8:
            assert first.poll() is None
            time.sleep(0.02)
        first.kill()
        cluster.scheduler.kill()
        cluster.scheduler.wait()
        cluster.begin()
        threading.Timer(1.0, cluster.add, ANOTHER_MACHINE, {"TMPDIR": str(tmp_path)}).start()
        summary = job.run(on=on(cluster), client=client)
    assert "has no workers yet: waiting for the first" in caplog.text
    check(job, far, summary.unsure, 0)
    assert len(far.asked) == len(PROMPTS)


def spooled_answers(folder: Path) -> int:
    """How many answers are in the spools of another machine, whose folder for temporary files this is."""
    count = 0
    for path in folder.glob("llm-sync-spools-*/*/*.spool"):
        with contextlib.closing(SpoolFile(str(path))) as file:
            count += sum(bool(line) for _, line in file.read())
    return count
