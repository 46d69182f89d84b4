"""Requests under budgets: reserved before they are sent, settled by what they cost, refused when there is too little left."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from llm_sync import LLMClient, ModelRequest, errors
from llm_sync.config import ConfigLoader
from llm_sync.config.budgets import Budget
from llm_sync.errors import BudgetExceededError, ConfigurationError, InvalidRequestError
from llm_sync.simulator import Response, Simulator
from llm_sync.spending.ledger import Ledger
from llm_sync.spending.ledger_file import LedgerPaths
from llm_sync.spending.report import spent_by

PRICED = "{name: m, max_tokens: 50, pricing: {input: 1, output: 100}}"
CONFIG = (
    "budgets: {daily: {usd: USD, per: day}}\n"
    f"providers: {{p: {{type: openai, api_key: k, base_url: 'URL', budget: daily, models: [{PRICED}]}}}}"
)


def of(usd: float) -> str:
    """The configuration with a budget of this amount."""
    return CONFIG.replace("USD", str(usd))


def spend_all(client: LLMClient, answers: list[Any] | None = None) -> None:
    """Ask until the money is spent; raises the error that says so."""
    for _ in range(100):
        answer = client.generate("Say hello")
        if answers is not None:
            answers.append(answer)


def standing(paths: LedgerPaths, name: str = "daily") -> tuple[float, float]:
    """(spent, reserved) by a ledger of its own."""
    return Ledger(paths).standing(Budget(name, 1.0))[:2]


def test_an_answer_is_counted_by_what_it_cost(open_client: Callable[..., LLMClient], paths: LedgerPaths) -> None:
    """Not by what it could have cost."""
    answer = open_client(of(1)).generate("Say hello")
    assert answer.cost_estimate
    assert standing(paths) == (pytest.approx(answer.cost_estimate), 0)


def test_a_request_that_does_not_fit_is_not_sent(open_client: Callable[..., LLMClient], simulator: Simulator) -> None:
    """The error says which budget, how much, and when it opens again."""
    client = open_client(of(0.0085))
    answers: list[Any] = []
    with pytest.raises(BudgetExceededError) as caught:
        spend_all(client, answers)
    error = caught.value
    assert len(simulator.requests) == len(answers) > 0
    assert (error.budget, error.provider, error.model, error.attempts, error.retryable) == ("daily", "p", "m", 0, False)
    assert error.spent is not None
    assert error.asked is not None
    assert error.spent + error.asked > 0.0085
    assert error.reserved == 0
    assert error.opens_at is not None
    assert error.opens_at > datetime.now(timezone.utc)
    assert "the budget daily of 0.0085 USD a day has" in str(error)
    assert "It opens again at" in str(error)


def test_a_cap_below_a_single_request_is_refused_before_anything_is_queued(open_client: Callable[..., LLMClient]) -> None:
    """Nothing would ever be sent."""
    client = open_client(of(0.0001))
    with pytest.raises(BudgetExceededError, match="is less than this request can cost alone"):
        client.submit(ModelRequest("x", "p/m"))


def test_max_cost_holds_for_one_client(open_client: Callable[..., LLMClient], simulator: Simulator) -> None:
    """Another one has its own."""
    config = CONFIG.replace("budgets: {daily: {usd: USD, per: day}}\n", "").replace("budget: daily, ", "")
    for _ in range(2):
        client = open_client(config, max_cost=0.0085)
        client.generate("Say hello")
        with pytest.raises(BudgetExceededError, match="the maximum of 0.0085 USD for this run has") as caught:
            spend_all(client)
        assert (caught.value.budget, caught.value.opens_at) == ("max_cost", None)


def test_copies_of_a_client_share_its_maximum(open_client: Callable[..., LLMClient]) -> None:
    """In whichever process they are unpickled."""
    config = (
        CONFIG.replace("budgets: {daily: {usd: USD, per: day}}\n", "")
        .replace("budget: daily, ", "")
        .replace("api_key: k", "api_key: '${K}'")
    )
    os.environ["K"] = "k-0123456789"
    client = open_client(config, max_cost=0.0085)
    with pickle.loads(pickle.dumps(client)) as copy:  # noqa: S301
        with pytest.raises(BudgetExceededError):
            spend_all(client)
        with pytest.raises(BudgetExceededError):
            copy.generate("Say hello")


def test_all_budgets_that_are_named_count(open_client: Callable[..., LLMClient], paths: LedgerPaths) -> None:
    """Those of the model, the provider and the defaults together."""
    client = open_client(
        "budgets: {a: {usd: 1}, b: {usd: 1, per: day}, c: {usd: 1, per: month}}\n"
        "defaults: {budget: a}\n"
        "providers: {p: {type: openai, api_key: k, base_url: 'URL', budget: [b], models: [MODEL]}}".replace(
            "MODEL", PRICED.replace("}}", "}, budget: c}")
        )
    )
    cost = client.generate("Say hello").cost_estimate
    assert [standing(paths, name) for name in "abc"] == [(pytest.approx(cost), 0)] * 3


REFUSED = (400, 401, 404, 429, 500, 503)


@pytest.mark.parametrize("status", [*REFUSED, 504])
def test_a_refused_request_costs_nothing(paths: LedgerPaths, status: int) -> None:
    """A gateway that gave up may have had an answer."""
    refusal = Response(status, {"error": {"message": "no", "type": "x"}})
    with Simulator(on_request=lambda record: refusal) as simulator:
        config = ConfigLoader().load_text(of(1).replace("URL", simulator.url("openai")))
        with LLMClient(config) as client, pytest.raises(errors.LLMConnectorError):
            client.generate("x", max_retries=0)
    spent, reserved = standing(paths)
    assert reserved == 0
    assert (spent == 0) == (status in REFUSED)


def test_an_attempt_without_an_answer_stays_counted(paths: LedgerPaths) -> None:
    """It may be billed; each retry reserves anew."""
    with Simulator(script={"rules": [{"when": {"attempt": 1}, "reset": {"when": "mid_body"}}]}) as simulator:
        config = ConfigLoader().load_text(of(1).replace("URL", simulator.url("openai")))
        with LLMClient(config) as client:
            cost = client.generate("Say hello", max_retries=1).cost_estimate
    spent, reserved = standing(paths)
    assert reserved == 0
    assert cost is not None
    assert spent > cost + 0.004


def test_an_unusable_answer_is_paid_for(open_client: Callable[..., LLMClient], paths: LedgerPaths) -> None:
    """It was billed."""
    client = open_client(of(1), strict=True)
    with pytest.raises(errors.TruncatedResponseError) as caught:
        client.generate("Tell me a long story about a very long road", max_tokens=2)
    assert caught.value.response is not None
    assert standing(paths) == (pytest.approx(caught.value.response.cost_estimate), 0)


def test_an_answer_that_an_earlier_run_asked_for_counts_beyond_its_budget(
    open_client: Callable[..., LLMClient], paths: LedgerPaths
) -> None:
    """It was bought, whatever room is left; then the budget is overdrawn, and nothing further is sent."""
    client = open_client(of(0.0085))
    answer = client.generate("Say hello")
    assert answer.cost_estimate
    spending = client.dispatcher.spending
    assert spending is not None
    prepared = client.dispatcher.prepare(ModelRequest("Say hello"))
    for _ in range(10):
        spending.record(prepared, answer)
    assert standing(paths) == (pytest.approx(11 * answer.cost_estimate), 0)
    assert standing(paths)[0] > 0.0085
    assert [(row.key, row.requests) for row in spent_by("budget")] == [("daily", 11)]
    with pytest.raises(BudgetExceededError):
        client.generate("Say hello")


def test_a_model_without_a_price_cannot_be_used_under_a_budget(open_client: Callable[..., LLMClient]) -> None:
    """The error says what to set."""
    client = open_client(of(1).replace(", pricing: {input: 1, output: 100}", ""))
    with pytest.raises(InvalidRequestError, match="no price of p/m is known") as caught:
        client.generate("x")
    assert "Set its pricing" in str(caught.value)


def test_a_request_without_a_limit_cannot_be_used_under_a_budget(open_client: Callable[..., LLMClient]) -> None:
    """The error says what to set."""
    client = open_client(of(1).replace("max_tokens: 50, ", ""))
    with pytest.raises(InvalidRequestError, match="it has no max_tokens") as caught:
        client.generate("x")
    assert "Set max_tokens" in str(caught.value)


@pytest.mark.parametrize(
    "extras",
    [
        {"tools": [{"type": "web_search"}]},
        {"web_search_options": {"search_context_size": "low"}},
        {"plugins": [{"id": "web"}]},
        {"models": ["a/b"]},
        {"previous_response_id": "resp_1"},
    ],
)
def test_what_makes_a_provider_do_more_than_answer_is_refused(open_client: Callable[..., LLMClient], extras: Any) -> None:
    """Nobody knows what that costs at most."""
    with pytest.raises(InvalidRequestError, match="what the request can cost at most is not known"):
        open_client(of(1)).generate("x", provider_specific=extras)


def test_a_broken_ledger_refuses_what_is_under_a_cap_only(
    open_client: Callable[..., LLMClient], state: Path, simulator: Simulator
) -> None:
    """A request without one goes on, a tag or not."""
    state.mkdir(parents=True)
    (state / "spending.db").write_bytes(b"no database" * 1000)
    with pytest.raises(
        BudgetExceededError, match="the budget daily of 1.00 USD a day cannot be checked: the ledger .* is damaged"
    ):
        open_client(of(1)).generate("x")
    assert simulator.requests == []
    config = of(1).replace("budget: daily, ", "")
    assert open_client(config).generate("x").text
    assert open_client(config, tag="night").generate("x").text


@pytest.mark.parametrize(
    ("per", "words"),
    [("hour", "of 0.05 USD an hour has"), ("day", "of 0.05 USD a day has"), ("total", "of 0.05 USD in total has")],
)
def test_the_message_names_the_window_and_says_to_wait_only_where_it_ends(
    open_client: Callable[..., LLMClient], per: str, words: str
) -> None:
    """A total never opens again."""
    client = open_client(of(0.05).replace("per: day", f"per: {per}"))
    with pytest.raises(BudgetExceededError, match=words) as caught:
        spend_all(client, [])
    assert ("or wait" in str(caught.value)) is (per != "total")


def test_jobs_in_other_folders_are_told_apart_by_their_configuration(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both say ``--config ./team.yaml``."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        Path("team.yaml").write_text(of(1).replace("URL", simulator.url("openai")))
        with LLMClient.from_config("./team.yaml") as client:
            client.generate("x")
    assert sorted(row.key for row in spent_by("config")) == [str(tmp_path / name / "team.yaml") for name in ("a", "b")]


def test_a_tag_alone_is_recorded(open_client: Callable[..., LLMClient], state: Path) -> None:
    """Without any budget, and without a reservation."""
    client = open_client(of(1).replace("budget: daily, ", ""), tag="night")
    assert not state.exists()
    client.generate("x")
    assert (state / "spending.db").exists()


def test_without_a_budget_there_is_no_ledger(open_client: Callable[..., LLMClient], state: Path) -> None:
    """Even if budgets are written down, but nobody uses them."""
    open_client(of(1).replace("budget: daily, ", "")).generate("x")
    assert not state.exists()


def test_a_copy_that_was_made_between_two_runs_is_noticed(
    tmp_path: Path, paths: LedgerPaths, open_client: Callable[..., LLMClient]
) -> None:
    """It is all of the ledger: a closed client leaves nothing in a second file, with which an older copy would be mixed."""
    for number in range(2):
        if number:
            shutil.copy(paths.database, tmp_path / "copy")
        with open_client(of(1)) as client:
            client.generate("Say hello")
        spent_by("model")
        assert sorted(os.listdir(os.path.dirname(paths.database))) == ["spending.db", "spending.mark"]
    shutil.copy(tmp_path / "copy", paths.database)
    with pytest.raises(BudgetExceededError, match="older than it was: a copy was put in its place"):
        open_client(of(1)).generate("Say hello")


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), True, "5", 1e6])
def test_a_maximum_is_an_amount(open_client: Callable[..., LLMClient], value: Any) -> None:
    """Anything else is refused when the client is made."""
    with pytest.raises(ConfigurationError, match="is not an amount"):
        open_client(of(1), max_cost=value)


@pytest.mark.parametrize("value", ["", " ", "x\n", "x" * 101, 5])
def test_a_tag_is_a_short_text(open_client: Callable[..., LLMClient], value: Any) -> None:
    """In one line."""
    with pytest.raises(ConfigurationError, match="is not a tag"):
        open_client(of(1), tag=value)


def test_a_request_waits_for_what_others_have_reserved(simulator: Simulator, open_client: Callable[..., LLMClient]) -> None:
    """Two fit one after the other, not at once: the second waits for the first to be settled."""
    client = open_client(of(0.0105).replace("budget: daily", "concurrency: 2, budget: daily"))
    waits: list[str] = []
    client.add_listener(lambda event: waits.append(getattr(event, "reason", "")))
    with simulator.hold() as hold:
        first = client.submit(ModelRequest("Say hello", "p/m"))
        simulator.wait_for_requests(1)
        second = client.submit(ModelRequest("Say hello", "p/m"))
        while "budget" not in waits:
            assert not second.done()
        hold.release()
    assert first.result(10).text
    assert second.result(10).text
