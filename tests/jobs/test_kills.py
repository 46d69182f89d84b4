"""A kill at any moment loses nothing, and nothing is bought twice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from jobs_apparatus import Killed, killable

from llm_sync.jobs.openai_batches import OpenAIBatches
from llm_sync.jobs.wire import Limits


@pytest.fixture(autouse=True)
def _three_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty lines make three jobs."""
    monkeypatch.setattr(OpenAIBatches, "limits", Limits(15, 1_000_000))


def killed_everywhere(
    begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, kind: str, moments: Callable[[int], range]
) -> None:
    """Kill a run at each of some moments, run it again, and compare it with the undisturbed run."""
    with killable(monkeypatch) as kills:
        undisturbed = begin(kind=kind)
        kills.begin(None)
        assert undisturbed.run().complete
        expected, bill = undisturbed.answers(), undisturbed.billed()
        names = list(kills.names)
        for moment in moments(kills.moments):
            disturbed = begin(kind=kind)
            kills.begin(moment)
            with contextlib.suppress(Killed):
                disturbed.run()
            kills.begin(None)
            summary = disturbed.run()
            where = (moment, names[moment] if moment < len(names) else "")
            assert summary.complete, where
            assert disturbed.answers() == expected, where
            assert disturbed.billed() == bill, where


def test_a_kill_at_the_telling_moments(begin, monkeypatch):
    """Sampled over the whole run, before and after writes and exchanges."""
    killed_everywhere(begin, monkeypatch, "openai", lambda moments: range(0, moments, 23))


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["openai"])
def test_a_kill_at_every_moment(begin, monkeypatch, kind):
    """The same for every write and every exchange of the run."""
    killed_everywhere(begin, monkeypatch, kind, range)
