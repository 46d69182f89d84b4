"""What the command line says of every provider, and how a run ends early."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.cli import client_access
from llm_sync.cli.parser import parse
from llm_sync.simulator import Simulator

Run = Callable[..., Any]


def test_options_beat_the_configuration(config: str) -> None:
    """They hold for every provider; what is not given stays as it is configured."""
    path = Path(config)
    path.write_text(path.read_text().replace("second: {", "second: {concurrency: 7, requests_per_minute: 3, "))
    args = parse(["generate", "--config", config, "--concurrency", "3", "x"])
    providers = client_access.load_run_config(args).providers
    assert [(each.concurrency, each.requests_per_minute) for each in providers.values()] == [(3, None), (3, 3)]
    args = parse(["generate", "--config", config, "--requests-per-minute", "0.5", "x"])
    providers = client_access.load_run_config(args).providers
    assert [(each.concurrency, each.requests_per_minute) for each in providers.values()] == [(1, 0.5), (7, 0.5)]


def test_concurrency_lets_two_requests_of_one_provider_fly(ask: Run, provider: Simulator) -> None:
    """Both are at the server before either is answered."""
    with provider.hold() as hold:
        thread = threading.Thread(target=lambda: (hold.wait(2), hold.close()))
        thread.start()
        assert ask("-m", "first/m", "-m", "first/n", "--concurrency", "2", "hi").status == 0
        thread.join()


@pytest.mark.parametrize("value", ["0", "1001", "1.5"])
def test_impossible_concurrency(llm: Run, value: str) -> None:
    """What the configuration refuses, the command line refuses."""
    assert llm("generate", "--concurrency", value, "x").status == 2


def test_fail_fast_sends_nothing_more(ask: Run, script: Any, provider: Simulator) -> None:
    """The request behind the failed one stays unsent and says why; the status is the failure's."""
    script.fail(400, "no good")
    ran = ask("--fail-fast", "-m", "first/m", "-m", "first/n", "hi")
    assert (ran.status, ran.out) == (7, "")
    assert [record.model for record in provider.requests] == ["m"]
    first, second = ran.err.splitlines()
    assert first.startswith("llm-sync: first/m: no good")
    assert second == "llm-sync: first/n: it was not sent, because another request failed (--fail-fast)"


def test_fail_fast_prints_what_was_in_flight(ask: Run, script: Any, provider: Simulator) -> None:
    """It is paid for, so it is waited for; the status says that some requests failed."""
    script.fail(400, "no good", model="n")
    with provider.hold(lambda record: record.model == "m") as asked, provider.hold(lambda record: record.model == "n") as failing:
        thread = threading.Thread(target=lambda: (asked.wait(), failing.wait(), failing.close(), asked.close()))
        thread.start()
        ran = ask("--fail-fast", "-m", "second/m", "-m", "first/n", "hi")
        thread.join()
    assert (ran.status, ran.out) == (9, "== second/m ==\nan answer\n")


def test_without_it_all_are_asked(ask: Run, script: Any, provider: Simulator) -> None:
    """One provider's trouble is no other's."""
    script.fail(400, "no good")
    ran = ask("-m", "first/m", "-m", "first/n", "hi")
    assert (ran.status, ran.out) == (9, "== first/n ==\nan answer\n")
