"""The example configurations at work: whoever copies one and has a key gets answers from every model it lists."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from docs_world import HOSTS, ROOT, Internet  # type: ignore[import-not-found]

from llm_sync import LLMClient, ModelRequest

EXAMPLES = sorted((ROOT / "config/llms").glob("*.yaml"))
# Where the documentation's world has nobody to answer: Google Cloud wants Google's own tokens, local servers are not there.
ELSEWHERE = {"google-cloud", "local"}


@pytest.mark.parametrize("example", [path for path in EXAMPLES if path.stem not in ELSEWHERE], ids=lambda path: path.stem)
def test_every_model_of_an_example_answers(internet: Internet, checkout: Path, example: Path) -> None:
    """All are asked at once, as they stand there; nothing on the wire asks for a stream."""
    with LLMClient.from_config(f"config/llms/{example.name}") as client:
        asked = [
            ModelRequest("Say hello", f"{name}/{entry.name}")
            for name, provider in client.config.providers.items()
            for entry in provider.models
            if provider.base_url is None or (urlsplit(provider.base_url).hostname in HOSTS and "{" not in provider.base_url)
        ]
        answers = client.generate_responses_concurrent([ModelRequest("Say hello"), *asked])
    assert len(answers) > 1
    assert all(answer.text for answer in answers)
    assert internet.simulator.stream_attempts == 0


def test_what_has_nobody_to_answer_is_said() -> None:
    """The exceptions above are files that are there."""
    assert {path.stem for path in EXAMPLES} >= ELSEWHERE
