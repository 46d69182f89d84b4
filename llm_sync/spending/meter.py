"""The money of one client: which budgets its requests count for, and what each attempt reserves and costs."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from llm_sync.config.budgets import Budget, each_window
from llm_sync.config.models import LLMConfig
from llm_sync.errors import BudgetExceededError, ClientClosedError, ConfigurationError, LLMConnectorError, ProviderError
from llm_sync.events import logger
from llm_sync.models import ModelResponse, PreparedRequest
from llm_sync.spending.caps import Refusal
from llm_sync.spending.estimate import cost_bound
from llm_sync.spending.folding import RUN
from llm_sync.spending.ledger import Facts, Ledger
from llm_sync.spending.ledger_file import LedgerError, LedgerPaths
from llm_sync.spending.model_prices import ModelPrice, model_price

MAX_COST = "max_cost"  # what the budget of a client is called in errors
ASK_AGAIN_S = 0.05  # the shortest wait for what others have reserved
_MAX_ASK_AGAIN_S = 0.5
_PRICE_AGE = 100  # requests for which the price of a model is remembered: the list's prices change by the hour at most
_MAYBE_BILLED = (408, 499, 504, 524)  # a gateway gave up; the provider behind it may have answered

_MAX_TAG = 100  # characters

_log = logger("spending")


class SharedMaximum(float):
    """The ``max_cost`` of a client that was pickled: its copies share it. ``run``: the id that they have in common."""

    run: str = ""

    def __new__(cls, usd: float, run: str = "") -> SharedMaximum:
        """The maximum of a run."""
        made = super().__new__(cls, usd)
        made.run = run
        return made

    def __getnewargs__(self) -> tuple[float, str]:  # type: ignore[override]
        return float(self), self.run


def made_spending(config: LLMConfig, max_cost: Any, tag: Any) -> Spending:
    """The Spending of a client. Raises ConfigurationError for a maximum or a tag that is none."""
    if max_cost is not None and (isinstance(max_cost, bool) or not isinstance(max_cost, (int, float)) or not 0 <= max_cost < 1e6):
        raise ConfigurationError(f"max_cost={max_cost!r} is not an amount", guidance="Give US dollars, from 0 to a million.")
    if tag is not None and (not isinstance(tag, str) or not tag.strip() or len(tag) > _MAX_TAG or not tag.isprintable()):
        raise ConfigurationError(f"tag={tag!r} is not a tag", guidance=f"Give a text of 1 to {_MAX_TAG} printable characters.")
    try:
        return Spending(config, max_cost=max_cost, tag=tag, run=getattr(max_cost, "run", None))
    except LedgerError as error:
        raise ConfigurationError(f"budgets cannot be kept: the ledger {error}", guidance=error.guidance) from error


class Spending:
    """``budgets`` of the configuration, ``max_cost`` (USD) for all requests of the client, and a ``tag`` for the ledger.

    ``run`` names the client: copies of it in other processes share its ``max_cost``. Any thread and forked child may use it.
    """

    def __init__(
        self,
        config: LLMConfig,
        *,
        max_cost: float | None = None,
        tag: str | None = None,
        run: str | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self._config = config
        self._tag = tag or ""
        self._file = os.path.abspath(config.file) if config.file else ""  # jobs in other folders may use the same name
        self.run = run or os.urandom(8).hex()
        self._own = () if max_cost is None else (Budget(f"{RUN}{self.run}", max_cost),)
        simulated = any(provider.simulated for provider in config.providers.values())
        self._ledger = ledger or Ledger(LedgerPaths.of_user(simulated=simulated))
        self._prices: dict[tuple[str, str, str | None], tuple[int, ModelPrice]] = {}
        self._warned = False

    def shared_maximum(self) -> SharedMaximum | None:
        """The maximum for a copy of the client in another process, which shares it."""
        return SharedMaximum(self._own[0].usd, self.run) if self._own else None

    def close(self) -> None:
        """Close the ledger; a later call opens it again."""
        self._ledger.close()

    def budgets_of(self, provider: str, model: str) -> tuple[Budget, ...]:
        """All that a request to a model counts for."""
        names = self._config.providers[provider].entry(model).budgets
        return (*self._own, *(self._config.budgets[name] for name in names))

    def check(self, request: PreparedRequest) -> None:
        """Raise what keeps a request from being sent under its budgets: no price, no limit of the answer, or a cap below the
        most that it can cost. Reads no ledger."""
        budgets = self.budgets_of(request.provider, request.model)
        if not budgets:
            return
        asked = self._bound(request)
        for budget in budgets:
            if asked > budget.usd:
                raise self._too_small(request, budget, asked)

    def reserve(self, request: PreparedRequest) -> Charge | float | None:
        """See SpendingHook. Raises BudgetExceededError, also where the ledger cannot be used."""
        budgets = self.budgets_of(request.provider, request.model)
        facts = self._facts(request)
        if not budgets:
            return Charge(self, None, facts) if self._tag else None
        asked = self._bound(request)
        try:
            result = self._ledger.reserve(asked, budgets, facts)
        except LedgerError as error:
            raise self._unusable(request, budgets, error) from error
        if isinstance(result, int):
            return Charge(self, result, facts)
        if not result.final:
            return ASK_AGAIN_S + random.random() * (_MAX_ASK_AGAIN_S - ASK_AGAIN_S)  # noqa: S311  (no secret)
        raise self._exceeded(request, result)

    def reserved_earlier(self, entry: int, provider: str, model: str) -> Charge:
        """What an earlier process has reserved, by the number of its entry."""
        return Charge(self, entry, Facts(provider, model, self._file, self._tag, self.run))

    def settle(self, entry: int | None, facts: Facts, outcome: object) -> None:
        """Count what an attempt cost. Never raises: the answer counts more than its price."""
        try:
            response = outcome if isinstance(outcome, ModelResponse) else getattr(outcome, "response", None)
            if isinstance(response, ModelResponse):
                tokens = (response.usage.input_tokens, response.usage.output_tokens)
                self._write(entry, facts, response.cost_estimate, tokens)
            elif is_surely_unbilled(outcome):
                if entry is not None:
                    self._ledger.release(entry)
            else:
                self._write(entry, facts, None, (None, None))
        except LedgerError as error:
            end = "written down" if entry is None else "settled, and stays reserved"
            self._warn(f"what {facts.provider}/{facts.model} cost is not {end}: the ledger {error}")
        except Exception:  # noqa: BLE001  (a bug here must not cost an answer)
            _log.exception("what an answer cost could not be settled")

    def record(self, request: PreparedRequest, response: ModelResponse) -> None:
        """Count an answer for which nothing was reserved, as an earlier run has asked for it. Never raises."""
        self._note(request, response, "an answer", lambda *noted: self._ledger.record(response.cost_estimate, *noted))

    def record_hit(self, request: PreparedRequest, response: ModelResponse) -> None:
        """Count an answer of the cache, under a budget or a tag. Never raises: nothing was spent."""
        self._note(
            request, response, "an answer of the cache", lambda *noted: self._ledger.record_hit(response.saved_estimate, *noted)
        )

    def _note(self, request: PreparedRequest, response: ModelResponse, what: str, write: Callable[..., None]) -> None:
        """Call ``write`` with the facts, tokens and budgets of a request that has a budget or a tag."""
        budgets = self.budgets_of(request.provider, request.model)
        if not budgets and not self._tag:
            return
        try:
            write(self._facts(request), (response.usage.input_tokens, response.usage.output_tokens), budgets)
        except LedgerError as error:
            self._warn(f"{what} for {request.provider}/{request.model} is not counted: the ledger {error}")
        except Exception:  # noqa: BLE001  (a bug here must not cost an answer)
            _log.exception("%s could not be counted", what)

    def release(self, entry: int | None) -> None:
        """Give back what was reserved for an attempt that was not made. Never raises."""
        try:
            if entry is not None:
                self._ledger.release(entry)
        except LedgerError as error:
            self._warn(f"a reservation stays, although nothing was sent: the ledger {error}")

    def _write(self, entry: int | None, facts: Facts, usd: float | None, tokens: tuple[int | None, int | None]) -> None:
        if entry is None:
            self._ledger.record(usd, facts, tokens)
        else:
            self._ledger.settle(entry, usd, tokens)

    def _facts(self, request: PreparedRequest) -> Facts:
        return Facts(request.provider, request.model, self._file, self._tag, self.run)

    def _bound(self, request: PreparedRequest) -> float:
        tier = request.request.provider_specific.get("service_tier") or getattr(request.request, "service_tier", None)
        price = self._price(request.provider, request.model, tier.lower() if isinstance(tier, str) else None)
        try:
            return cost_bound(request, price, self._config.providers[request.provider].max_tokens_field).usd
        except LLMConnectorError as error:
            error.provider, error.model = request.provider, request.model
            raise

    def _price(self, provider: str, model: str, tier: str | None) -> ModelPrice:
        left, price = self._prices.get((provider, model, tier), (0, None))
        if price is None or left <= 0:
            left, price = _PRICE_AGE, model_price(self._config, provider, model, tier)
        self._prices[provider, model, tier] = (left - 1, price)
        return price

    def _warn(self, message: str) -> None:
        (_log.debug if self._warned else _log.warning)("%s", message)
        self._warned = True

    # Errors ---------------------------------------------------------------------------------------------------------

    def _name(self, budget: Budget) -> str:
        return MAX_COST if budget in self._own else budget.name

    def _exceeded(self, request: PreparedRequest, refusal: Refusal) -> BudgetExceededError:
        budget = refusal.budget
        opens = None if refusal.opens_at is None else datetime.fromtimestamp(refusal.opens_at, timezone.utc)
        when = "" if opens is None else f" It opens again at {opens:%Y-%m-%d %H:%M:%S} UTC."
        taken = f"{_usd(refusal.spent)} spent and {_usd(refusal.reserved)} reserved by requests in flight"
        return self._unsent(
            request,
            budget,
            f"has {taken}; this request can cost up to {_usd(refusal.asked)}",
            f"{when} Raise it, lower max_tokens{', or wait' if refusal.reserved or opens else ''}.",
            spent=refusal.spent,
            reserved=refusal.reserved,
            asked=refusal.asked,
            opens_at=opens,
            retry_after=None if opens is None else max(0.0, (opens - datetime.now(timezone.utc)).total_seconds()),
        )

    def _too_small(self, request: PreparedRequest, budget: Budget, asked: float) -> BudgetExceededError:
        problem = f"is less than this request can cost alone, up to {_usd(asked)}"
        return self._unsent(request, budget, problem, " Raise it, or lower max_tokens.", asked=asked)

    def _unusable(self, request: PreparedRequest, budgets: tuple[Budget, ...], error: LedgerError) -> BudgetExceededError:
        advice = f" {error.guidance}" if error.guidance else ""
        return self._unsent(request, budgets[0], f"cannot be checked: the ledger {error}", advice)

    def _unsent(self, request: PreparedRequest, budget: Budget, problem: str, advice: str, **facts: Any) -> BudgetExceededError:
        """The error of a request that is not sent. ``problem`` goes on from the budget's description."""
        return BudgetExceededError(
            f"{self._described(budget)} {problem}",
            provider=request.provider,
            model=request.model,
            attempts=0,
            budget=self._name(budget),
            guidance=f"The request was not sent.{advice}",
            **facts,
        )

    def _described(self, budget: Budget) -> str:
        if budget in self._own:
            return f"the maximum of {_usd(budget.usd)} for this run"
        return f"the budget {budget.name} of {_usd(budget.usd)} {each_window(budget)}"


class Charge:
    """The reservation of one attempt: the number of its entry in the ledger, or None for one that is only recorded."""

    def __init__(self, spending: Spending, entry: int | None, facts: Facts) -> None:
        self._spending = spending
        self.entry = entry
        self._facts = facts

    def settle(self, outcome: object) -> None:
        """See Reservation."""
        self._spending.settle(self.entry, self._facts, outcome)

    def release(self) -> None:
        """See Reservation."""
        self._spending.release(self.entry)


def is_surely_unbilled(outcome: Any) -> bool:
    """Whether an attempt that ended with this error was not billed: nothing was sent in full, or the provider refused it."""
    if isinstance(outcome, ClientClosedError):
        return outcome.attempts == 0 and not outcome.possibly_billed
    if not isinstance(outcome, LLMConnectorError) or outcome.possibly_billed:
        return False
    status = outcome.status
    if status is None and type(outcome) is ProviderError:  # an answer over the size limit
        return False
    return status is None or (status >= 300 and status not in _MAYBE_BILLED)


def _usd(dollars: float) -> str:
    """US dollars, with the digits that matter."""
    return f"{dollars:.2f} USD" if dollars >= 1 or dollars == 0 else f"{dollars:.9f}".rstrip("0").rstrip(".") + " USD"
