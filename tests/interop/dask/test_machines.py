"""Batches on a cluster of two machines, which are network namespaces with addresses of their own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from dask_cluster import Cluster
from dask_namespaces import Machine, are_possible, forwarded, machines

from llm_sync import LLMClient, batch
from llm_sync.simulator import Simulator

pytestmark = pytest.mark.skipif(not are_possible(), reason="needs network namespaces")

THREE = """
defaults: {{retry_base: 0.05}}
providers:
  openai: {{api_key: "${{ENGINE_TEST_KEY}}", base_url: "{openai}", allow_insecure: true, models: [gpt-4o-mini], concurrency: 8}}
  anthropic:
    {{api_key: "${{ENGINE_TEST_KEY}}", base_url: "{anthropic}", allow_insecure: true, models: [claude-haiku-4-5], concurrency: 4}}
  gemini:
    api_key: "${{ENGINE_TEST_KEY}}"
    base_url: "{gemini}"
    allow_insecure: true
    models: [gemini-2.5-flash]
    concurrency: 2
"""
MODELS = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash")
NODE = """
providers:
  vllm:
    type: openai
    api_key: "${{ENGINE_TEST_KEY}}"
    base_url: http://127.0.0.1:{port}/openai/v1
    models: [gpt-4o-mini]
    concurrency: 3
    max_retries: 4
    retry_base: 0.05
    per_node: true
"""


@pytest.fixture
def two_machines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Machine]]:
    """Connected in the clear, as this test's own network."""
    monkeypatch.setenv("ENGINE_TEST_KEY", "a-key-of-a-worker")
    with machines() as made, dask.config.set({"distributed.comm.require-encryption": False}):
        yield made


@pytest.fixture
def spread(two_machines: list[Machine], tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler here, and two workers on each machine."""
    cluster = Cluster(tmp_path, dict(os.environ), two_machines[0].here)
    for number, machine in enumerate(two_machines * 2):
        cluster.add(*machine.inside, "unshare", "--uts", "sh", "-c", f'hostname machine-{number % 2} && exec "$@"', "sh")
    cluster.wait()
    yield cluster
    cluster.stop()


class Account:
    """The most requests at the same time, of each dialect; and how many in all."""

    def __init__(self) -> None:
        self.most: dict[str, int] = {}
        self.asked = 0
        self._lock = threading.Lock()

    def __call__(self, record: Any) -> None:
        """A request: the server knows how many it had in flight when it came."""
        with self._lock:
            self.asked += 1
            self.most[record.provider] = max(self.most.get(record.provider, 0), record.provider_concurrency)


def lines(path: Path, count: int, models: tuple[str, ...]) -> Path:
    """An input."""
    path.write_text("".join(json.dumps({"prompt": f"p{n}", "model": models[n % len(models)]}) + "\n" for n in range(count)))
    return path


def without_times(path: Path) -> list[Any]:
    """An output's records without what differs between two runs."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        for name in ("timestamp", "latency_ms", "request_id"):
            (record["response"] or {}).pop(name, None)
        (record["response"] or {}).get("metadata", {}).pop("raw", None)
    return records


@pytest.mark.timeout(600)
def test_one_process_two_and_four_workers_on_two_machines_write_the_same(
    spread: Cluster, two_machines: list[Machine], tmp_path: Path
) -> None:
    """2,000 lines over three providers; the server's account shows that the limits held for all workers together."""
    account = Account()
    slow = {"rules": [{"latency": 0.01}]}  # otherwise there is hardly more than one in flight
    with Simulator(on_request=account, script=slow) as server, forwarded(server.port) as port:
        urls = {
            dialect: server.url(dialect).replace(f"127.0.0.1:{server.port}", f"{two_machines[0].here}:{port}")
            for dialect in ("openai", "anthropic", "gemini")
        }
        config = tmp_path / "c.yaml"
        config.write_text(THREE.format(**urls))
        source, outputs = lines(tmp_path / "in.jsonl", 2000, MODELS), []
        for name, on in (("one", None), ("two", "processes:2"), ("four", f"dask:{spread.address}")):
            before, account.most = account.asked, {}
            with LLMClient.from_config(str(config)) as client:
                summary = batch.run(source, tmp_path / f"{name}.jsonl", client, on=on)
            outputs.append(without_times(tmp_path / f"{name}.jsonl"))
            print(name, f"{summary.seconds:.1f} s", account.most)
            assert (summary.tally.answered, account.asked - before) == (2000, 2000)
            assert account.most["openai"] <= 8
            assert account.most["anthropic"] <= 4
            assert account.most["gemini"] <= 2
    assert outputs[0] == outputs[1] == outputs[2]


@pytest.mark.timeout(600)
def test_a_server_on_each_machine_is_kept_busy_and_one_that_is_killed_is_left_out(
    spread: Cluster, two_machines: list[Machine], tmp_path: Path
) -> None:
    """per_node: both take part until one server is killed; the other finishes."""
    port, logs = 8765, [tmp_path / f"log-{number}.jsonl" for number in range(2)]
    options = ["--port", str(port), "--latency", "0.1", "--log"]
    servers = [
        subprocess.Popen(
            [*machine.inside, sys.executable, "-m", "llm_sync", "simulate", *options, str(log)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for machine, log in zip(two_machines, logs, strict=True)
    ]
    try:
        config = tmp_path / "c.yaml"
        config.write_text(NODE.format(port=port))
        source = lines(tmp_path / "in.jsonl", 300, ("vllm/gpt-4o-mini",))
        for server in servers:
            assert server.stdout is not None
            assert server.stdout.readline()  # its address: it listens

        def counts() -> list[int]:
            return [len(log.read_text().splitlines()) if log.exists() else 0 for log in logs]

        def watch(snapshot: Any) -> None:
            if servers[0].poll() is None and snapshot.done >= 120:
                seen.append(counts())
                servers[0].kill()

        seen: list[list[int]] = []
        with LLMClient.from_config(str(config)) as client:
            summary = batch.run(source, tmp_path / "out.jsonl", client, on=f"dask:{spread.address}", progress=watch)
        print("asked when one was killed:", seen, "in the end:", counts(), f"{summary.seconds:.1f} s")
        assert summary.tally.answered == 300
        assert min(seen[0]) >= 0.4 * sum(seen[0])
        assert counts()[1] >= 150
    finally:
        for server in servers:
            server.kill()
            server.wait()


@pytest.mark.soak
@pytest.mark.timeout(2400)
def test_kills_a_cut_and_a_stop_cost_what_was_in_flight(
    two_machines: list[Machine], tmp_path: Path, chaos_class: Callable[..., Any]
) -> None:
    """Some 40 workers, 20 coordinators, 10 schedulers, 20 s without network, 60 s of a stopped worker; on two machines."""
    account = Account()
    kills = {"workers": 0, "coordinators": 0, "schedulers": 0}
    with (
        Simulator(on_request=account, script={"rules": [{"latency": {"uniform": [0.05, 0.2]}}]}) as server,
        forwarded(server.port) as port,
    ):
        urls = {
            dialect: server.url(dialect).replace(f"127.0.0.1:{server.port}", f"{two_machines[0].here}:{port}")
            for dialect in ("openai", "anthropic", "gemini")
        }
        chaos = chaos_class(tmp_path, THREE.format(**urls), MODELS, 5000, lambda: account.asked)
        cluster = Cluster(tmp_path, dict(os.environ), two_machines[0].here)

        def add(count: int) -> None:
            for _ in range(count):
                machine = chaos.random.choice(two_machines)
                name = f"machine-{two_machines.index(machine)}"
                cluster.add(*machine.inside, "unshare", "--uts", "sh", "-c", f'hostname {name} && exec "$@"', "sh")

        try:
            add(4)
            plain = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "False"}
            for number in range(30):
                chaos.begin(f"dask:{cluster.address}", **plain)
                for _ in range(1 + (number % 3 == 0)):
                    assert chaos.wait_for(20, 120)
                    victim = chaos.random.choice([each for each in cluster.workers if each.poll() is None])
                    victim.kill()
                    kills["workers"] += 1
                    add(1)
                assert chaos.wait_for(15, 120)
                if number == 5:
                    two_machines[0].cut()
                    time.sleep(20)
                    two_machines[0].mend()
                if number == 7:
                    stopped = chaos.random.choice([each for each in cluster.workers if each.poll() is None])
                    stopped.send_signal(19)
                    time.sleep(60)
                    stopped.send_signal(18)
                if number % 3 == 2:
                    cluster.scheduler.kill()
                    kills["schedulers"] += 1
                    chaos.process.communicate(timeout=60)
                    for worker in cluster.workers:
                        worker.kill()
                        worker.wait()
                    cluster.workers.clear()
                    cluster.begin()
                    add(4)
                else:
                    chaos.kill()
                    kills["coordinators"] += 1
            os.environ.update(plain)
            summary = chaos.finish(f"dask:{cluster.address}")
        finally:
            cluster.stop()
    print(f"kills: {kills}; {account.asked} requests for {chaos.lines} lines, {summary['possibly_billed']} listed")
    assert [record["index"] for record in chaos.records()] == list(range(chaos.lines))
    assert all(record["response"] for record in chaos.records())
    assert account.asked - chaos.lines <= summary["possibly_billed"] <= 14 * (sum(kills.values()) + 2)


@pytest.fixture
def chaos_class() -> Any:
    """What tests/soak has for this."""
    path = Path(__file__).parents[2] / "soak" / "engine_chaos.py"
    spec = importlib.util.spec_from_file_location("engine_chaos", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Chaos
