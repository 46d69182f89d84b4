"""simulate --replay with a folder of stored answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_sync import ConfigurationError, LLMClient, ModelNotFoundError, ModelRequest
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator

MODELS = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "openrouter/openai/gpt-4o-mini")


def client(simulator: Simulator, **options: object) -> LLMClient:
    """A client of all dialects."""
    providers = "".join(
        f"  {name}: {{api_key: test-key, base_url: '{simulator.url(name)}'}}\n"
        for name in dict.fromkeys(m.split("/")[0] for m in MODELS)
    )
    return LLMClient(ConfigLoader().load_text(f"providers:\n{providers}"), **options)  # type: ignore[arg-type]


def test_stored_replies_are_replayed_in_every_dialect(tmp_path: Path) -> None:
    """Word for word, whatever would have been generated; equal requests get the samples in turn."""
    requests = [ModelRequest("Say hello", model) for model in MODELS] + [ModelRequest("again", MODELS[0])] * 2
    with Simulator() as first, client(first, cache=tmp_path / "store") as asking:
        recorded = asking.generate_responses_concurrent(requests)
    with Simulator(seed=99, replay=tmp_path / "store") as simulator, client(simulator) as asking:
        replayed = asking.generate_responses_concurrent(requests)
        for before, after in zip(recorded, replayed, strict=True):
            assert (after.text, after.usage, after.metadata["raw"]) == (before.text, before.usage, before.metadata["raw"])
            assert not after.cached
        with pytest.raises(ModelNotFoundError, match="has no reply to this request"):
            asking.generate("something else", MODELS[0])
        assert simulator.faults == []


def test_other_requests_are_answered_if_so_asked(tmp_path: Path) -> None:
    """As with the output of a batch."""
    with Simulator() as first, client(first, cache=tmp_path / "store") as asking:
        text = asking.generate("Say hello", MODELS[0]).text
    with Simulator(seed=5, replay=tmp_path / "store", replay_else="answer") as simulator, client(simulator) as asking:
        assert asking.generate("Say hello", MODELS[0]).text == text
        assert asking.generate("something else", MODELS[0]).text


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"llm_sync_answer": 2}', '{"llm_sync_answer": 1, "reply": {}}', "[" * 99_999]
)
def test_a_folder_without_replies_is_refused(tmp_path: Path, content: str) -> None:
    """Before anything is started; files that are no answers are not taken for any."""
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / "x.json").write_text(content)
    with pytest.raises(ConfigurationError, match="cannot be replayed"):
        Simulator(replay=tmp_path)
