"""Prices of the package genai-prices: looked up when a cost is looked at, and equal to the package's own."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from llm_sync.config.models import ModelEntry, Pricing, ProviderConfig
from llm_sync.config.secrets import Secret
from llm_sync.models import AttemptOptions, ModelRequest, Reply, Usage
from llm_sync.providers.factory import ProviderFactory
from llm_sync.providers.ports import BilledAnswer
from llm_sync.providers.served_tier import served_tier
from llm_sync.spending import price_list

genai_prices = pytest.importorskip("genai_prices", reason="the extra [prices] is for Python 3.11 and later")

AT = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
RECORDED = next((path for up in (3, 4) if (path := Path(__file__).parents[up] / "shared/wire/recorded").is_dir()), None)
TYPES = {"openai": "openai", "responses": "openai-responses", "anthropic": "anthropic", "gemini": "gemini"}
FLAVORS = {"openai": ("chat", "default"), "responses": ("responses",), "anthropic": ("default",), "gemini": ("default",)}


def billed(model: str = "gpt-4o-mini", usage: Usage | None = None, **more: Any) -> BilledAnswer:
    """An answer of OpenAI's own host with 1,000,000 tokens in and 100,000 out."""
    usage = usage or Usage(1_000_000, 100_000)
    facts = {"base_url": "https://api.openai.com/v1", "asked": model, "answered": model, "tier": None, "body": {}, "at": AT}
    return BilledAnswer(usage=usage, **{**facts, **more})


def answer(body: Any, *, prices: Any = price_list.cost_of, models: tuple[ModelEntry, ...] = (), **config: Any) -> Any:
    """What a provider makes of a body."""

    class Web:
        def request(self, *arguments: Any, **options: Any) -> Reply:
            return Reply(200, {"content-type": "application/json"}, json.dumps(body).encode(), 0.1)

    class Once:
        def steps(self, attempt: Any, options: AttemptOptions, control: Any, request: Any = None) -> Any:
            return attempt(1, 10.0)

    settings = ProviderConfig(name="p", type="openai", key=Secret.literal("k-0123456789"), models=models, **config)
    return ProviderFactory.provider_class("openai")(settings, Web(), Once(), prices=prices).generate_response(
        ModelRequest("x", "gpt-4o-mini")
    )


def completion(**more: Any) -> dict[str, Any]:
    """A chat completion."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 500}}
    choice = {"message": {"content": "Hi"}, "finish_reason": "stop"}
    return {"model": "gpt-4o-mini-2024-07-18", "choices": [choice], "usage": usage, **more}


def test_a_cost_comes_by_itself() -> None:
    """Without any pricing in the configuration; cached tokens cost less."""
    response = answer(completion())
    assert response.cost_estimate == pytest.approx((500 * 0.15 + 500 * 0.075 + 100 * 0.6) / 1e6)
    assert response.metadata["price_source"] == "genai-prices"
    assert response.to_dict()["metadata"]["price_source"] == "genai-prices"


def test_the_price_is_looked_up_when_the_cost_is_looked_at_and_only_once() -> None:
    """Loading the list takes longer than many a request."""
    asked: list[BilledAnswer] = []

    def prices(question: BilledAnswer) -> tuple[float | None, str | None]:
        asked.append(question)
        return 0.5, "a list"

    response = answer(completion(), prices=prices)
    assert (response.text, dict(response.metadata)["finish_reason_raw"], asked) == ("Hi", "stop", [])
    assert response.metadata["price_source"] == "a list"
    assert (response.cost_estimate, response.cost_estimate, "price_source" in response.metadata) == (0.5, 0.5, True)
    assert [(question.answered, question.asked) for question in asked] == [("gpt-4o-mini-2024-07-18", "gpt-4o-mini")]


def test_the_source_alone_can_be_asked_for() -> None:
    """A mapping's own ways find it before the cost was read; without a price there is none."""
    assert answer(completion(), prices=lambda question: (0.5, "a list")).metadata.get("price_source") == "a list"
    unpriced = answer(completion(), prices=lambda question: (None, None))
    assert (unpriced.metadata.get("price_source", 7), "price_source" in unpriced.metadata) == (7, False)
    with pytest.raises(KeyError):
        unpriced.metadata["price_source"]


def test_a_response_pickles_with_its_cost() -> None:
    """What finds the price out stays behind."""
    copy = pickle.loads(pickle.dumps(answer(completion())))  # noqa: S301
    assert copy.cost_estimate == answer(completion()).cost_estimate
    assert type(copy.metadata) is dict
    assert copy.metadata["price_source"] == "genai-prices"


def test_the_configuration_wins_over_the_list_and_the_provider_over_both() -> None:
    """And the answer says which it was."""
    own = answer(completion(), models=(ModelEntry("gpt-4o-mini", pricing=Pricing(1.0, 2.0)),))
    assert (own.cost_estimate, own.metadata["price_source"]) == (pytest.approx(1200 / 1e6), "configuration")


def test_an_unknown_model_or_address_has_no_price() -> None:
    """None, never 0."""
    assert price_list.cost_of(billed("made-up-model")) == (None, None)
    assert price_list.cost_of(billed(base_url="http://127.0.0.1:8000/v1")) == (None, None)
    assert price_list.cost_of(billed(usage=Usage(5, None))) == (None, None)


@pytest.mark.parametrize("tier", ["flex", "batch", "priority"])
def test_a_tier_has_its_own_price(tier: str) -> None:
    """Half for flex and batch, more for priority."""
    usual, other = (price_list.cost_of(billed("gpt-5-mini", tier=each))[0] for each in (None, tier))
    assert usual is not None
    assert other is not None
    assert other == pytest.approx(usual / 2) if tier != "priority" else other > usual


def test_google_asks_for_flex_what_it_asks_for_a_batch() -> None:
    """The list has the one only."""
    google = {"base_url": "https://generativelanguage.googleapis.com/v1beta"}
    assert price_list.cost_of(billed("gemini-2.5-flash", tier="flex", **google)) == price_list.cost_of(
        billed("gemini-2.5-flash", tier="batch", **google)
    )


def test_a_tier_without_a_price_of_its_own_has_an_unknown_cost() -> None:
    """The usual price would be wrong; the usual tiers have the usual price."""
    assert price_list.cost_of(billed("gpt-3.5-turbo", tier="flex")) == (None, None)
    assert price_list.cost_of(billed(tier="default")) == price_list.cost_of(billed(tier="scale")) != (None, None)


def test_the_tier_is_read_where_each_provider_writes_it() -> None:
    """In the body, in the usage, or in a header."""
    assert served_tier({}, {"service_tier": "Flex"}) == "flex"
    assert served_tier({}, {"service_tier": None, "usage": {"service_tier": "batch"}}) == "batch"
    assert served_tier({}, {"usageMetadata": {"serviceTier": "priority"}}) == "priority"
    assert served_tier({"x-gemini-service-tier": "flex"}, {}) == "flex"
    assert [served_tier({}, body) for body in ({}, [], None, {"service_tier": 5}, {"service_tier": "x" * 99})] == [None] * 5


def test_a_broken_list_costs_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code and data are foreign."""

    def broken(*arguments: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(price_list, "find_model", broken)
    assert answer(completion()).cost_estimate is None


def test_what_a_request_can_cost_at_most_takes_the_dearest_prices() -> None:
    """Of cached and fresh input, of text, images and audio, and of every tier that the prompt may reach."""
    listed = price_list.find_model("https://api.openai.com/v1", "gpt-5.4")
    assert listed is not None
    pricing = price_list.pricing_of(listed, None, AT)
    assert pricing is not None
    assert pricing.most(272_000, 1000) == pytest.approx((272_000 * 2.5 + 1000 * 15) / 1e6)
    assert pricing.most(272_001, 1000) == pytest.approx((272_001 * 5 + 1000 * 22.5) / 1e6)
    assert price_list.context_window(listed)


def test_neither_a_call_nor_its_answer_loads_the_list() -> None:
    """In a fresh interpreter: only reading the cost does."""
    code = (
        "import sys\nfrom llm_sync import LLMClient\nfrom llm_sync.config import LLMConfig, ProviderConfig\n"
        "LLMClient(LLMConfig({'openai': ProviderConfig('openai', 'openai')}))\n"
        "print(sorted(name for name in sys.modules if name.startswith(('genai_prices', 'llm_sync.spending', 'sqlite3'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout == "[]\n"


def recorded_answers() -> list[tuple[str, str, str, Any]]:
    """(file, dialect, url, body) of every recorded answer with usage."""
    found = []
    for path in sorted(RECORDED.glob("*/*.json")) if RECORDED else ():
        case = json.loads(path.read_text("utf-8"))
        if case["dialect"] in TYPES and case["response"].get("status", 200) == 200 and isinstance(case["response"]["body"], dict):
            found.append((path.stem, case["dialect"], case["request"]["url"], case["response"]["body"]))
    return found


@pytest.mark.skipif(RECORDED is None, reason="no recorded exchanges beside the repository")
def test_costs_equal_the_package_s_own_on_recorded_answers() -> None:
    """Over four dialects, with cached, tiered and reasoning ones among them."""
    equal = dict.fromkeys(TYPES, 0)
    different = []
    for name, kind, url, body in recorded_answers():
        usage = ProviderFactory.dialect(ProviderConfig("p", TYPES[kind])).read_usage(body)
        model = str(body.get("model") or body.get("modelVersion") or "")
        if served_tier({}, body) == "flex":
            continue  # on Google Cloud, where the package does not see it
        ours = price_list.cost_of(billed(model, usage, base_url=url, tier=served_tier({}, body), body=body))[0]
        for flavor in FLAVORS[kind]:
            try:
                used = genai_prices.extract_usage(body, provider_api_url=url, api_flavor=flavor)
                theirs = float(used.calc_price(genai_request_timestamp=AT).total_price)
            except (ValueError, LookupError, AttributeError):  # what it cannot read
                continue
            reads_alike = (used.usage.input_tokens, used.usage.output_tokens) == (usage.input_tokens, usage.output_tokens)
            if ours == pytest.approx(theirs, abs=1e-10):
                equal[kind] += 1
            elif reads_alike:  # it does not read xAI's reasoning, nor a Gemini answer that has reasoning only
                different.append((name, ours, theirs))
            break
    assert different == []
    assert sum(equal.values()) >= 200
    assert min(equal.values()) >= 20
