"""What nobody should do: files that are no files, names that are SQL, clocks and counts that are absurd."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llm_sync import LLMClient
from llm_sync.config import ConfigLoader
from llm_sync.config.budgets import Budget
from llm_sync.errors import BudgetExceededError, ConfigurationError, InvalidRequestError
from llm_sync.simulator import Response, Simulator
from llm_sync.spending.ledger import Facts, Ledger
from llm_sync.spending.ledger_file import LedgerError, LedgerPaths
from llm_sync.spending.report import spent_by

PRICED = "{name: m, max_tokens: 50, pricing: {input: 1, output: 100}}"
CONFIG = (
    f"budgets: {{b: {{usd: 1}}}}\nproviders: {{p: {{type: openai, api_key: k, base_url: 'URL', budget: b, models: [{PRICED}]}}}}"
)


@contextmanager
def answering(body: Any) -> Iterator[LLMClient]:
    """A client of a provider that always answers so."""
    with (
        Simulator(on_request=lambda record: Response(200, body)) as simulator,
        LLMClient(ConfigLoader().load_text(CONFIG.replace("URL", simulator.url("openai")))) as client,
    ):
        yield client


@pytest.mark.parametrize("name", ["x'; DROP TABLE entries; --", "ü" * 200, "%s%s", '"', "run 5"])
def test_a_name_is_only_a_name(ledger: Ledger, name: str) -> None:
    """Of a budget, a tag, a model."""
    budget = Budget(name, 1.0)
    entry = ledger.reserve(0.5, [budget], Facts(name, name, name, name, name))
    assert isinstance(entry, int)
    ledger.settle(entry, 0.25)
    assert ledger.standing(budget)[:2] == (0.25, 0)
    assert [row.key for row in spent_by("tag")] == [name]
    assert [row.key for row in spent_by("budget")] == [name]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/etc/passwd", path)])
def test_a_mark_that_is_no_file_is_none(ledger: Ledger, paths: LedgerPaths, make: Callable[[str], Any]) -> None:
    """Neither read nor written, and waited for by nobody."""
    os.makedirs(Path(paths.mark).parent)
    make(paths.mark)
    assert isinstance(ledger.reserve(0.5, [Budget("b", 1.0)], Facts("p", "m")), int)


def test_a_ledger_that_is_a_link_is_refused(ledger: Ledger, paths: LedgerPaths, tmp_path: Path) -> None:
    """It may lead to somebody else's file."""
    os.makedirs(Path(paths.database).parent)
    (tmp_path / "elsewhere").touch()
    os.symlink(tmp_path / "elsewhere", paths.database)
    with pytest.raises(LedgerError, match="cannot be used"):
        ledger.reserve(0.5, [Budget("b", 1.0)], Facts("p", "m"))
    assert (tmp_path / "elsewhere").read_bytes() == b""


@pytest.mark.parametrize("wall", [0.0, -1e9, 1e12, 1e300, float("nan"), float("inf")])
def test_an_absurd_clock_refuses_or_counts_but_never_crashes(ledger: Ledger, clock: Any, wall: float) -> None:
    """The budget holds."""
    clock.wall = wall
    budget = Budget("b", 1.0, "day")
    try:
        first = ledger.reserve(0.75, [budget], Facts("p", "m"))
    except LedgerError:
        return
    assert isinstance(first, int)
    assert not isinstance(ledger.reserve(0.75, [budget], Facts("p", "m")), int)


@pytest.mark.parametrize("value", ["", "boot", "boot x y z", "boot nan nan nan"])
def test_a_damaged_time_refuses(ledger: Ledger, paths: LedgerPaths, value: str) -> None:
    """It does not open a window."""
    budget = Budget("b", 1.0, "day")
    assert isinstance(ledger.reserve(0.75, [budget], Facts("p", "m")), int)
    with contextlib.closing(sqlite3.connect(paths.database, isolation_level=None)) as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('time', ?)", (value,))
    with pytest.raises(LedgerError):
        Ledger(paths).reserve(0.75, [budget], Facts("p", "m"))


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM meta",
        "UPDATE totals SET spent = 'much'",
        "UPDATE entries SET input_tokens = 9e999",
        "UPDATE entries SET amount = x'00', at = 'now'",
    ],
)
def test_values_of_another_kind_are_damage_or_ignored(ledger: Ledger, paths: LedgerPaths, edit: str) -> None:
    """Somebody has edited the file; it never ends in anything but the ledger's own error."""
    budget = Budget("b", 1.0)
    ledger.settle(int(ledger.reserve(0.5, [budget], Facts("p", "m"))), 0.25, (1, 2))  # type: ignore[call-overload]
    ledger.close()
    with contextlib.closing(sqlite3.connect(paths.database)) as connection:
        connection.execute(edit)
        connection.commit()
    for use in (
        lambda: spent_by("model"),
        lambda: ledger.standing(budget),
        lambda: ledger.reserve(0.1, [budget], Facts("p", "m")),
    ):
        with contextlib.suppress(LedgerError):
            use()


def test_absurd_counts_of_an_answer_are_counted_and_end_the_budget(paths: LedgerPaths) -> None:
    """The provider says so; the sums do not overflow."""
    usage = {"prompt_tokens": 2**53, "completion_tokens": 2**53}
    body = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": usage}
    with answering(body) as client:
        client.generate("x")
        with pytest.raises(BudgetExceededError):
            client.generate("x")
    assert Ledger(paths).standing(Budget("b", 1.0))[:2] == (1_000_000.0, 0)


def test_counts_that_are_none_keep_the_whole_reservation(paths: LedgerPaths) -> None:
    """Nobody knows what the answer cost."""
    body = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": -5}}
    with answering(body) as client:
        assert client.generate("x").cost_estimate is None
    spent, reserved, _ = Ledger(paths).standing(Budget("b", 1.0))
    assert reserved == 0
    assert spent > 0.005


@pytest.mark.parametrize(
    ("extras", "raises"),
    [
        ({"max_tokens": 10**12}, BudgetExceededError),
        ({"max_completion_tokens": 10**12}, BudgetExceededError),
        ({"max_tokens": "50"}, InvalidRequestError),
        ({"max_tokens": -1}, InvalidRequestError),
    ],
)
def test_a_limit_is_read_from_what_is_sent(open_client: Callable[..., LLMClient], extras: Any, raises: type) -> None:
    """Not from what the request says beside it."""
    with pytest.raises(raises):
        open_client(CONFIG).generate("x", provider_specific=extras)


def test_a_maximum_of_nothing_sends_nothing(open_client: Callable[..., LLMClient], simulator: Simulator) -> None:
    """But for what is free."""
    client = open_client(CONFIG, max_cost=0)
    with pytest.raises(BudgetExceededError):
        client.generate("x")
    assert simulator.requests == []
    free = CONFIG.replace("{input: 1, output: 100}", "{input: 0, output: 0}")
    assert open_client(free, max_cost=0).generate("x").text


def test_a_ledger_that_is_a_pipe_is_refused_at_once(ledger: Ledger, paths: LedgerPaths) -> None:
    """It is neither waited for nor called a full disk."""
    os.makedirs(Path(paths.database).parent)
    os.mkfifo(paths.database)
    with pytest.raises(LedgerError, match="is no regular file"):
        ledger.reserve(0.5, [Budget("b", 1.0)], Facts("p", "m"))


@pytest.mark.parametrize(
    ("make", "guidance"),
    [
        (lambda paths: Path(paths.database).symlink_to("elsewhere"), "It is a link: put the file itself in its place."),
        (lambda paths: os.mkdir(paths.database), "Move that folder away."),
    ],
)
def test_the_advice_fits_what_stands_in_the_way(ledger: Ledger, paths: LedgerPaths, make: Any, guidance: str) -> None:
    """Not "make it writable" for everything."""
    os.makedirs(Path(paths.database).parent)
    make(paths)
    with pytest.raises(LedgerError) as caught:
        ledger.reserve(0.5, [Budget("b", 1.0)], Facts("p", "m"))
    assert caught.value.guidance == guidance


@pytest.mark.parametrize("name", ["a/b", '""', '" b"', r'"b\e[31m"', r'"b\n"'])
def test_what_is_not_a_name_is_said_to_be_none(name: str) -> None:
    """Of a budget: it stands in messages and tables, and ``run/…`` is that of a single run."""
    with pytest.raises(ConfigurationError) as caught:
        ConfigLoader().load_text(f"budgets: {{{name}: {{usd: 1}}}}\nproviders: {{p: {{type: openai, api_key: k, models: [m]}}}}")
    assert [problem.message for problem in caught.value.problems] == ["is not a budget's name"]
