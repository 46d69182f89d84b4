"""A hundred thousand requests, ten thousand aborts, 240 forks, and the delays of timeouts and Ctrl-C."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import Counter

import endings_conftest
import pytest
from endings_apparatus import PATIENCE_S
from endings_day import live_a_day

from llm_sync import ClientClosedError, ModelRequest


def load(name):
    """A test module of the suite, for its functions."""
    import importlib.util
    from pathlib import Path

    spec = importlib.util.spec_from_file_location(f"endings_{name}", Path(endings_conftest.__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_hundred_thousand_requests(tmp_path):
    """With 5 % faults all end as expected; threads, files and (after ten thousand requests) memory do not grow."""
    found = live_a_day(tmp_path, 100_000, 10_000)
    samples = found["samples"]
    assert max(sample["threads"] for sample in samples) <= 1 + 2 * 4
    assert max(sample["fds"] for sample in samples) <= samples[0]["fds"] + 8
    growth = max(sample["kib"] for sample in samples[1:]) - samples[0]["kib"]
    print(f"memory grew by {growth} KiB after the first 10,000")
    assert growth < 4096


@pytest.mark.parametrize("concurrency", [1, 2])
def test_ten_thousand_aborts(serve, open_client, concurrency):
    """Every second request is aborted while its answer arrives; the others are answered, and none is sent twice."""
    sent = threading.Semaphore(0)
    upstream = serve()
    chance = random.Random(7)  # noqa: S311  (not a secret)
    client = open_client(upstream, concurrency=concurrency)
    reply = endings_conftest.sys.modules["endings_apparatus"].Peer.reply
    busy = threading.Event()

    def told(peer, *args):
        reply(peer, *args)
        sent.release()

    def script(peer, seen):
        answer = endings_conftest.sys.modules["endings_apparatus"].answer
        if seen.text.startswith("abort"):
            told(peer, answer("a", f"echo {seen.text}"))
        else:
            reply(peer, answer("a", f"echo {seen.text}"))
        return True

    upstream.script = script
    ends: Counter[str] = Counter()
    began = time.monotonic()
    for number in range(10_000):
        doomed = client.submit(ModelRequest(f"abort {number}", "a/m"))
        kept = client.submit(ModelRequest(f"keep {number}", "a/m"))
        assert sent.acquire(timeout=PATIENCE_S)
        for _ in range(chance.randrange(400)):  # some microseconds, to hit any moment between the first byte and the next request
            busy.is_set()
        doomed.abort()
        assert kept.result(PATIENCE_S).text == f"echo keep {number}"
        try:
            ends["answered"] += doomed.result(PATIENCE_S).text == f"echo abort {number}"
        except ClientClosedError:
            ends["aborted"] += 1
    print(
        f"\n10,000 aborts with {concurrency} workers in {time.monotonic() - began:.1f} s: {dict(ends)}, "
        f"{upstream.connections} connections"
    )
    counted = Counter(upstream.texts())
    assert set(counted.values()) == {1}
    assert len(counted) == 20_000
    assert ends["answered"] + ends["aborted"] == 10_000
    assert min(ends["answered"], ends["aborted"]) > 100  # aborts came before and after the end


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_hundred_and_twenty_forks(serve, program, authority, secure):
    """Forks under load, as in the suite, 120 times."""
    upstream = serve(tls=authority.context() if secure else None)
    load("test_fork").forks_under_load(upstream, program, 120, **({"ca_bundle": authority.path} if secure else {}))


def test_the_delay_of_ctrl_c(serve, program):
    """Ctrl-C is caught within 0.2 s at the median of 20 runs."""
    caught, following = load("test_interrupt").interrupted(serve, program, 20)
    print(
        f"\nCtrl-C: caught after {statistics.median(caught) * 1000:.0f} ms at the median, {min(caught) * 1000:.0f} to "
        f"{max(caught) * 1000:.0f}; the next call takes {statistics.median(following) * 1000:.1f} ms, at most "
        f"{max(following) * 1000:.1f}"
    )
    assert statistics.median(caught) < 0.2
    assert max(following) < 1


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_the_delay_of_timeouts(serve, open_client, authority, secure):
    """Timeouts are never early, and how late they are is printed, for each kind of slow server."""
    module = load("test_timeouts")
    for how, phase in module.SLOW:
        upstream = serve(
            lambda peer, seen, how=how: (how(peer, seen), True)[1] if seen.text == "slow" else None,
            authority.context() if secure else None,
        )
        client = open_client(upstream, **({"ca_bundle": authority.path} if secure else {}))
        late = [module.late_by(client, phase) * 1000 for _ in range(10)]
        print(
            f"\n{how.__name__}: {min(late):.1f} to {max(late):.1f} ms late, {statistics.median(late):.1f} at the median", end=""
        )
