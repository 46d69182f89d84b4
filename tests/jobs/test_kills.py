"""A kill at any moment loses nothing, and nothing is bought twice."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from jobs_apparatus import Killed, killable

from llm_sync.jobs.anthropic_batches import AnthropicBatches
from llm_sync.jobs.gemini_batches import GeminiBatches
from llm_sync.jobs.mistral_batches import MistralBatches
from llm_sync.jobs.openai_batches import AzureBatches, GroqBatches, OpenAIBatches
from llm_sync.jobs.wire import Limits

WIRES = (OpenAIBatches, AzureBatches, GroqBatches, AnthropicBatches, GeminiBatches, MistralBatches)
CREATE = re.compile(r"exchange POST \S+(/v1/batches|/messages/batches|:batchGenerateContent|/batch/jobs)$")
RESULTS = re.compile(r"exchange GET \S+(/content|/results|:download\S*)$")


def killed_at(
    begin: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    chosen: Callable[[Sequence[str]], Sequence[int]],
    *,
    lines: int,
    each: int,
) -> int:
    """Kill a run at each of the chosen moments, run it again, and compare it with the undisturbed run. Returns how many."""
    for wire in WIRES:
        monkeypatch.setattr(wire, "limits", Limits(each, 1_000_000))
    with killable(monkeypatch) as kills:
        undisturbed = begin(kind=kind, lines=lines)
        kills.begin(None)
        assert undisturbed.run().complete
        expected, bill = undisturbed.answers(), undisturbed.billed()
        assert bill[0] == lines
        names = list(kills.names)
        moments = chosen(names)
        for moment in moments:
            disturbed = begin(kind=kind, lines=lines)
            kills.begin(moment)
            with contextlib.suppress(Killed):
                disturbed.run()
            kills.begin(None)
            summary = disturbed.run()
            where = (moment, names[moment] if moment < len(names) else "")
            assert summary.complete, where
            assert disturbed.answers() == expected, where
            assert disturbed.billed() == bill, where
    return len(moments)


def telling(names: Sequence[str]) -> Sequence[int]:
    """The moments around a create and a download, the first row's write, and the end."""
    creates = [number for number, name in enumerate(names) if CREATE.search(name)]  # before and after each
    results = [number for number, name in enumerate(names) if RESULTS.search(name)]
    rows = [number for number, name in enumerate(names) if " add " in name]
    lost = creates[3]  # the answer to the second create
    return [creates[0], lost, lost + 1, lost + 2, results[1], rows[1], rows[-1], len(names) - 1]


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini", "mistral"])
def test_a_kill_at_the_telling_moments(begin, monkeypatch, kind):
    """The same command finds every job again; the bill and the output are those of a run that nothing disturbed."""
    killed_at(begin, monkeypatch, kind, telling, lines=12, each=5)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["openai", "openai-responses", "anthropic", "gemini", "mistral", "groq", "azure"])
def test_a_kill_at_every_moment(begin, monkeypatch, kind):
    """The same for every write and every exchange of a run of 40 lines in three jobs, before and after each."""
    count = killed_at(begin, monkeypatch, kind, lambda names: range(len(names)), lines=40, each=15)
    print(f"{kind}: killed at {count} moments, and the bill is that of the undisturbed run each time")  # noqa: T201
