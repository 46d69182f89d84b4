"""The shard of a task of an array, and one run's share of the limits."""

from __future__ import annotations

import pytest

from llm_sync.cli.array_task import shard_of_task
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.config import ConfigLoader
from llm_sync.config.sharing import share_of
from llm_sync.errors import ConfigurationError

SLURM = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_STEP")
KUBERNETES = ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS")


@pytest.fixture(autouse=True)
def _no_array(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SLURM, *KUBERNETES):
        monkeypatch.delenv(name, raising=False)


def set_all(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], values: str) -> None:
    """Set variables; a dash leaves one unset."""
    for name, value in zip(names, values.split(), strict=True):
        if value != "-":
            monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("values", "shard"),
    [
        ("0 0 4 1", (1, 4)),
        ("3 0 4 1", (4, 4)),
        ("1 1 8 -", (1, 8)),
        ("8 1 8 1", (8, 8)),
        ("9 1 5 4", (3, 5)),
        ("2 - 3 -", (3, 3)),
        ("5 5 1 1", None),
    ],
)
def test_a_task_of_a_slurm_array_has_its_own_lines(monkeypatch: pytest.MonkeyPatch, values: str, shard: object) -> None:
    """Wherever the array begins, and whatever its step."""
    set_all(monkeypatch, SLURM, values)
    assert shard_of_task() == shard


@pytest.mark.parametrize(("values", "shard"), [("0 2", (1, 2)), ("1 2", (2, 2)), ("0 1", None)])
def test_a_pod_of_an_indexed_job_has_its_own_lines(monkeypatch: pytest.MonkeyPatch, values: str, shard: object) -> None:
    """The Job has to tell how many there are."""
    set_all(monkeypatch, KUBERNETES, values)
    assert shard_of_task() == shard


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        (KUBERNETES, "1 -", "JOB_COMPLETIONS is not set"),
        (KUBERNETES, "1 two", "JOB_COMPLETIONS is 'two'"),
        (KUBERNETES, "4 4", "none of 4 tasks"),
        (SLURM, "3 0 - 1", "SLURM_ARRAY_TASK_COUNT is not set"),
        (SLURM, "x 0 4 1", "SLURM_ARRAY_TASK_ID is 'x'"),
        (SLURM, "7 1 3 1", "none of 3 tasks"),
    ],
)
def test_a_task_that_does_not_know_its_lines_sends_nothing(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], values: str, message: str
) -> None:
    """Otherwise every task would send all of them."""
    set_all(monkeypatch, names, values)
    with pytest.raises(UsageError, match=message):
        shard_of_task()


CONFIG = """
providers:
  a: {type: openai, concurrency: 8, requests_per_minute: 90, tokens_per_minute: 3000}
  b: {type: openai}
budgets: {small: {usd: 6, per: day}}
"""


def test_the_shares_of_all_runs_are_the_whole() -> None:
    """Paces and budgets are divided, and so is a concurrency that is set; what is left over goes to the first."""
    config = ConfigLoader().load_text(CONFIG)
    shares = [share_of(config, part, 3) for part in (1, 2, 3)]
    assert [each.providers["a"].concurrency for each in shares] == [3, 3, 2]
    assert {each.providers["a"].requests_per_minute for each in shares} == {30}
    assert {each.providers["a"].tokens_per_minute for each in shares} == {1000}
    assert {each.providers["b"].concurrency for each in shares} == {1}
    assert {each.budgets["small"].usd for each in shares} == {2}


def test_a_concurrency_that_cannot_be_divided_is_refused() -> None:
    """More runs than places would exceed it."""
    with pytest.raises(ConfigurationError, match="concurrency 8 cannot be divided among 9 runs"):
        share_of(ConfigLoader().load_text(CONFIG), 1, 9)
