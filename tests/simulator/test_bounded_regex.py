"""Patterns with exponential running time are detected before they are used."""

from __future__ import annotations

import re

import pytest

from llm_sync import ConfigurationError
from llm_sync.simulator import Simulator
from llm_sync.simulator.answers.bounded_regex import runs_away

ENDLESS = [
    r"(a+)+$",
    r"^(a|a)*$",
    r"(\w+\s?)*$",
    r"(.*)*x",
    r"((a+)+)+$",
    r"(a|aa)+$",
    r"((ab)+)+$",
    r"(hello|hell|o)+$",
    r"(-+)+$",
]


@pytest.mark.parametrize("pattern", ENDLESS)
def test_what_runs_away(pattern):
    """Patterns whose time doubles with every character are detected."""
    assert runs_away(re.compile(pattern))


@pytest.mark.parametrize(
    "pattern",
    ["", r"(?i)\bpoem\b", r"^Count to (\d+)$", r"(?:\w+\s)+foo", r"a.*b.*c.*d", r"(ab)+$", r"(?s).*hello.*", r"(\d{3}-)*\d{4}"],
)
def test_what_ends(pattern):
    """Ordinary patterns are accepted."""
    assert not runs_away(re.compile(pattern))


@pytest.mark.parametrize(
    "options",
    [
        {"script": {"rules": [{"when": {"prompt": "(a+)+$"}, "error": "auth"}]}},
        {"answers": {re.compile("(a+)+$"): "x"}},
    ],
    ids=["script", "answers"],
)
def test_they_are_refused_with_a_suggestion(options):
    """Scripts and answers files with such a pattern are refused, with a suggestion."""
    with pytest.raises(ConfigurationError) as caught:
        Simulator(**options)
    (problem,) = caught.value.problems
    assert "takes for ever" in str(problem)
    assert "repeat once" in str(problem)
