"""Regular expressions in scripts, answers files and requests cannot block the simulator, whatever the text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from llm_sync.errors import ConfigurationError
from llm_sync.simulator import Simulator
from llm_sync.simulator.answers.schema_instances import make_instance

BACKTRACKING = [r"(a+)+$", r"^(a|a)*$", r"(\w+\s?)*$", r"(.*)*x", r"(a|aa)+$", r"^(([a-z])+.)+[A-Z]([a-z])+$"]
TEXT = "a" * 5000 + "!"  # re would search it for years


def chat(prompt: str, **fields: Any) -> dict[str, Any]:
    """A chat completion request."""
    return {"messages": [{"role": "user", "content": prompt}], **fields}


@pytest.mark.parametrize("pattern", BACKTRACKING)
def test_a_pattern_of_a_script_cannot_block_it(connect: Callable[[Simulator], Any], pattern: str) -> None:
    """A prompt for which re would backtrack for years is answered."""
    with Simulator(script={"rules": [{"when": {"prompt": pattern}, "error": "overloaded"}]}) as simulator:
        assert connect(simulator).ask("openai", chat(TEXT)).status in (200, 503)


@pytest.mark.parametrize("pattern", BACKTRACKING)
def test_a_pattern_of_an_answers_file_cannot_block_it(connect: Callable[[Simulator], Any], tmp_path: Any, pattern: str) -> None:
    """A prompt for which re would backtrack for years is answered, by the file or by a generated answer."""
    path = tmp_path / "answers.json"
    path.write_text(json.dumps({"patterns": {pattern: "It matches."}}))
    with Simulator(answers=path) as simulator:
        assert connect(simulator).ask("openai", chat(TEXT)).status == 200


@pytest.mark.parametrize("pattern", [r"(.+)+!", r"(a)\1", "(", "(" * 5000])
def test_a_pattern_of_a_requests_schema_cannot_block_it(pattern: str) -> None:
    """A schema with a pattern that backtracks, is not supported or is invalid still gets an instance."""
    schema = {"type": "object", "properties": {"code": {"type": "string", "pattern": pattern}}, "required": ["code"]}
    assert isinstance(make_instance(schema, 1)["code"], str)


def test_a_pattern_of_a_requests_schema_is_matched_by_a_sample() -> None:
    """A sample that matches the pattern is used."""
    assert make_instance({"type": "string", "pattern": r"^[A-Z]{3}-\d{3}$"}, 1) == "ABC-123"


@pytest.mark.parametrize("option", ["script", "answers"])
def test_unsupported_patterns_are_reported(option: str) -> None:
    """A backreference is refused before anything starts."""
    source: Any = (
        {"rules": [{"when": {"prompt": r"(a)\1"}, "empty": True}]} if option == "script" else {re.compile(r"(a)\1"): "x"}
    )
    with pytest.raises(ConfigurationError) as caught:
        Simulator(**{option: source})
    assert "a backreference" in str(caught.value)
