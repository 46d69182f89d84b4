"""What an answer cost: the provider's own figure, else tokens times the configured price, else unknown."""

from __future__ import annotations

from typing import Any

import pytest

from llm_sync import errors
from llm_sync.config.models import ModelEntry, Pricing
from llm_sync.models import ModelRequest

PRICED = (ModelEntry("m", pricing=Pricing(2.0, 8.0)), ModelEntry("free", pricing=Pricing(0.0, 0.0)), ModelEntry("unpriced"))


def body(usage: Any, content: Any = "Hi") -> dict[str, Any]:
    """A chat completion with this usage."""
    return {"choices": [{"message": {"content": content}, "finish_reason": "stop"}], "usage": usage}


@pytest.fixture
def cost(provider: Any, reply: Any) -> Any:
    """``cost(kind, usage, model)``: the estimate of an answer."""
    return lambda kind, usage, model="m": (
        provider(kind, reply(body(usage)), models=PRICED).generate_response(ModelRequest("x", model)).cost_estimate
    )


USAGE = {"prompt_tokens": 1_000_000, "completion_tokens": 500_000}


def test_price_times_tokens(cost: Any) -> None:
    """Prices are USD per million tokens."""
    assert cost("openai", USAGE) == pytest.approx(6.0)
    assert cost("openai", USAGE, "free") == 0.0


def test_an_estimate_has_no_noise_of_binary_fractions(provider: Any, reply: Any) -> None:
    """0.1 and 0.2 make 0.3, not 0.30000000000000004."""
    models = (ModelEntry("m", pricing=Pricing(0.1, 0.2)),)
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000}
    answer = provider("openai", reply(body(usage)), models=models).generate_response(ModelRequest("x", "m"))
    assert answer.cost_estimate == 0.3


@pytest.mark.parametrize("model", ["unpriced", "never-heard-of"])
def test_an_unknown_price_is_none(cost: Any, model: str) -> None:
    """Not 0."""
    assert cost("openai", USAGE, model) is None


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": 5},
        {"completion_tokens": 5},
        {"prompt_tokens": -1, "completion_tokens": 5},
        {"prompt_tokens": True, "completion_tokens": 5},
        {"prompt_tokens": "5", "completion_tokens": 5},
        {"prompt_tokens": 10**400, "completion_tokens": 5},
        {"prompt_tokens": 1e300, "completion_tokens": 5},
    ],
)
def test_unknown_tokens_make_an_unknown_cost(cost: Any, usage: Any) -> None:
    """What cannot be counted costs None, and breaks nothing."""
    assert cost("openai", usage) is None


def test_openrouters_own_figure_wins(cost: Any) -> None:
    """It knows what it billed; only there is usage.cost read so."""
    assert cost("openrouter", {**USAGE, "cost": 0.25}) == 0.25
    assert cost("openrouter", {**USAGE, "cost": 0}) == 0.0
    assert cost("openai", {**USAGE, "cost": {"total_cost": 1}}) == pytest.approx(6.0)


@pytest.mark.parametrize("told", [None, "0.25", -1, True, 10**400, {}, []])
def test_a_strange_figure_is_not_taken(cost: Any, told: Any) -> None:
    """Then the configured price counts."""
    assert cost("openrouter", {**USAGE, "cost": told}) == pytest.approx(6.0)


def test_an_infinite_figure_is_not_taken(provider: Any, reply: Any) -> None:
    """1e999 is JSON, and infinite."""
    text = '{"choices": [{"message": {"content": "Hi"}}], "usage": {"cost": 1e999}}'
    assert provider("openrouter", reply(text)).generate_response(ModelRequest("x", "m")).cost_estimate is None


@pytest.mark.parametrize(
    ("content", "error"), [("", errors.EmptyResponseError), (5, errors.ResponseValidationError)], ids=["empty", "malformed"]
)
@pytest.mark.parametrize("kind", ["openai", "openrouter"])
def test_a_bad_answer_costs_too(
    provider: Any, reply: Any, kind: str, content: Any, error: type[errors.UnusableAnswerError]
) -> None:
    """A billed bad answer has its usage and cost on the error."""
    made = provider(kind, reply(body({**USAGE, "cost": 0.25}, content)), models=PRICED)
    with pytest.raises(error) as caught:
        made.generate_response(ModelRequest("x", "m", id=7))
    response = caught.value.response
    assert response.cost_estimate == pytest.approx(0.25 if kind == "openrouter" else 6.0)
    assert response.usage.output_tokens == 500_000
    assert response.id == 7


def test_cached_and_reasoning_tokens_are_inside() -> None:
    """Anthropic's cached tokens are added to the input, xAI's and Gemini's thoughts to the output."""
    from llm_sync.config.models import ProviderConfig
    from llm_sync.providers import ProviderFactory

    def usage(kind: str, body: Any) -> Any:
        read = ProviderFactory.dialect(ProviderConfig("p", kind)).read_usage(body)
        return read.input_tokens, read.output_tokens, read.cached_tokens, read.reasoning_tokens

    anthropic = {"input_tokens": 1, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 100, "output_tokens": 5}
    assert usage("anthropic", {"usage": anthropic}) == (111, 5, 10, None)
    assert usage("anthropic", {"usage": {**anthropic, "cache_read_input_tokens": None}}) == (101, 5, None, None)
    xai = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 15, "completion_tokens_details": {"reasoning_tokens": 3}}
    assert usage("openai", {"usage": xai}) == (10, 5, None, 3)
    assert usage("openai", {"usage": {**xai, "total_tokens": 12}}) == (10, 2, None, 3)
    assert usage("openai", {"usage": {"prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 4}}) == (
        10,
        2,
        4,
        None,
    )
    assert usage("gemini", {"usageMetadata": {"promptTokenCount": 10, "thoughtsTokenCount": 3}}) == (10, 3, None, 3)
    assert usage("gemini", {"usageMetadata": {"trafficType": "ON_DEMAND"}}) == (None, None, None, None)


def read_usage(kind: str, usage: Any, **config: Any) -> Any:
    """The Usage that a dialect reads from a body with these token counts."""
    from llm_sync.config.models import ProviderConfig
    from llm_sync.providers import ProviderFactory

    return ProviderFactory.dialect(ProviderConfig("p", kind, **config)).read_usage({"usage": usage})


def test_thoughts_count_as_output_at_googles_openai_endpoint() -> None:
    """It tells of them only in the total, also when they are more than the answer."""
    google = "https://generativelanguage.googleapis.com/v1beta/openai"
    counts = {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}
    read = read_usage("openai", counts, base_url=google)
    assert (read.input_tokens, read.output_tokens, read.reasoning_tokens) == (35, 74, 62)
    elsewhere = read_usage("openai", counts, base_url="https://llm.example/v1")
    assert (elsewhere.output_tokens, elsewhere.reasoning_tokens) == (12, None)
    told = {**counts, "total_tokens": 47}
    assert read_usage("openai", told, base_url=google).output_tokens == 12


def test_audio_tokens_count() -> None:
    """They are within the counts of input and output, whatever the details say."""
    details = {"prompt_tokens_details": {"audio_tokens": 30}, "completion_tokens_details": {"audio_tokens": 40}}
    read = read_usage("openai", {"prompt_tokens": 50, "completion_tokens": 60, "total_tokens": 110, **details})
    assert (read.input_tokens, read.output_tokens) == (50, 60)
    assert read_usage("openai-responses", {"input_tokens": 5, "output_tokens": 7}).output_tokens == 7


@pytest.mark.parametrize(
    ("kind", "usage"),
    [
        ("anthropic", {"input_tokens": 1, "cache_creation_input_tokens": 100, "output_tokens": 5}),
        ("openai", {"prompt_tokens": 101, "completion_tokens": 5, "prompt_tokens_details": {"cache_write_tokens": 100}}),
        ("openai", {"prompt_tokens": 101, "prompt_tokens_details": {"cache_creation_input_tokens": 100}}),
        ("openrouter", {"prompt_tokens": 101, "prompt_tokens_details": {"cache_write_tokens": 100}}),
        ("openai-responses", {"input_tokens": 101, "input_tokens_details": {"cache_write_tokens": 100}}),
    ],
)
def test_writes_to_the_cache_are_told(kind: str, usage: Any) -> None:
    """They are within the input tokens, whatever the provider's own count includes."""
    read = read_usage(kind, usage)
    assert (read.input_tokens, read.cache_write_tokens) == (101, 100)
