"""Patterns that would hold every thread up are known before they are used."""

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
    """Each takes twice as long or worse for one more character."""
    assert runs_away(re.compile(pattern))


@pytest.mark.parametrize(
    "pattern",
    ["", r"(?i)\bpoem\b", r"^Count to (\d+)$", r"(?:\w+\s)+foo", r"a.*b.*c.*d", r"(ab)+$", r"(?s).*hello.*", r"(\d{3}-)*\d{4}"],
)
def test_what_ends(pattern):
    """Nothing that people write is refused."""
    assert not runs_away(re.compile(pattern))


@pytest.mark.parametrize(
    "options",
    [
        {"script": {"rules": [{"when": {"prompt": "(a+)+$"}, "error": "auth"}]}},
        {"answers": {re.compile("(a+)+$"): "x"}},
    ],
    ids=["script", "answers"],
)
def test_they_are_refused_with_a_way_out(options):
    """By scripts and answers alike, before anything starts."""
    with pytest.raises(ConfigurationError) as caught:
        Simulator(**options)
    (problem,) = caught.value.problems
    assert "takes for ever" in str(problem)
    assert "repeat once" in str(problem)
