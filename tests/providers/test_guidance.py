"""What errors tell a person to do next."""

from __future__ import annotations

from typing import Any

import pytest

from llm_sync import errors
from llm_sync.config import ModelEntry
from llm_sync.config.secrets import Secret
from llm_sync.models import ModelRequest


@pytest.fixture
def guidance(provider: Any, reply: Any) -> Any:
    """``guidance(kind, body, status, **config)``: what the error of one reply says to do."""

    def asking(kind: str, body: Any, status: int = 400, **config: Any) -> str:
        with pytest.raises(errors.LLMConnectorError) as caught:
            provider(kind, reply(body, status), **config).generate_response(ModelRequest("x", "m"))
        assert str(caught.value).endswith(caught.value.guidance)
        return str(caught.value.guidance)

    return asking


def error(message: str, **rest: Any) -> dict[str, Any]:
    """An error body."""
    return {"error": {"message": message, **rest}}


@pytest.mark.parametrize(
    ("kind", "base_url", "advice"),
    [
        ("openai", "http://localhost:1234", "http://localhost:1234/v1"),
        ("openai", "http://localhost:1234/", "http://localhost:1234/v1"),
        ("openai-responses", "http://localhost:1234", "http://localhost:1234/v1"),
        ("gemini", "https://generativelanguage.googleapis.com", "/v1beta"),
        ("anthropic", "https://api.anthropic.com/v1", "bare host"),
    ],
)
def test_a_wrong_base_url(guidance: Any, kind: str, base_url: str, advice: str) -> None:
    """A missing or doubled version in the URL is named, on a 404."""
    assert advice in guidance(kind, error("Not Found"), 404, base_url=base_url)


def test_lm_studios_200_for_unknown_paths(guidance: Any) -> None:
    """An error inside a 200 that means a missing /v1."""
    body = {"error": "Unexpected endpoint or method. (POST /chat/completions)"}
    assert "http://localhost:1234/v1" in guidance("openai", body, 200, base_url="http://localhost:1234")
    assert "Check base_url" in guidance("openai", body, 200, base_url="http://localhost:1234/api")


@pytest.mark.parametrize(
    ("message", "rest", "setting"),
    [
        ("Unsupported parameter: 'temperature' is not supported with this model.", {"param": "temperature"}, "temperature"),
        (
            "Unsupported value: 'temperature' does not support 0.5 with this model.",
            {"code": "unsupported_value", "param": "temperature"},
            "temperature",
        ),
        ("Unsupported parameter: 'stop'", {"code": "unsupported_parameter", "param": "stop"}, "stop_sequences"),
        ("Unknown parameter: 'seed'.", {}, "seed"),
        ("`temperature` and `top_p` cannot both be specified for this model. Please use only one.", {}, "temperature"),
        ("Unsupported parameter: 'response_format'", {"code": "unsupported_parameter"}, "response_schema"),
        ("no", {"code": "unsupported_parameter", "param": "tool_choice"}, "tool_choice"),
        ("no", {"code": "unsupported_parameter", "param": "top_k"}, "top_k"),
    ],
)
@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_an_unsupported_parameter_names_the_setting(guidance: Any, kind: str, message: str, rest: Any, setting: str) -> None:
    """The setting of ours, not the provider's name for it."""
    assert f"Leave {setting} out" in guidance(kind, error(message, **rest))


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_other_name_of_max_tokens(guidance: Any, name: str) -> None:
    """The way out is the other field."""
    message = f"Unsupported parameter: '{name}' is not supported with this model."
    assert "max_tokens_field" in guidance("openai", error(message, param=name, code="unsupported_parameter"))


def test_extra_inputs_of_anthropic(guidance: Any) -> None:
    """Anthropic refuses unknown keys by name."""
    assert "Leave" in guidance("anthropic", error("seed: Extra inputs are not permitted"))


@pytest.mark.parametrize(
    ("kind", "message", "advice"),
    [
        ("openai", "This model is only supported in v1/responses and not in v1/chat/completions.", "type openai-responses"),
        ("openai-responses", "The requested model 'o1-mini' is not supported with the Responses API.", "type openai for"),
        ("openai", "This is not a chat model and thus not supported in the v1/chat/completions endpoint.", "choose a chat model"),
    ],
)
@pytest.mark.parametrize("status", [400, 404])
def test_a_model_of_another_api(guidance: Any, kind: str, message: str, advice: str, status: int) -> None:
    """Which type of provider serves it, seen from this one."""
    assert advice in guidance(kind, error(message, code="model_not_found" if status == 400 else None), status)


def test_a_streaming_only_model(guidance: Any) -> None:
    """There is a way out that is not streaming."""
    assert "answers in one piece" in guidance(
        "openai", error("This model only support stream mode, please enable the stream parameter")
    )


def test_quota_pages(guidance: Any) -> None:
    """The page of the provider is named, on its own host only."""
    assert "openai.com/settings" in guidance("openai", error("m", type="insufficient_quota"), 429)
    assert "http" not in guidance("openai", error("m", type="insufficient_quota"), 429, base_url="https://h.example/v1")
    assert "console.anthropic.com" in guidance("anthropic", error("Your credit balance is too low"))
    assert "openrouter.ai/settings/credits" in guidance("openrouter", error("m"), 402)
    assert "aistudio.google.com" in guidance("gemini", error("m"), 402)


def test_where_the_key_comes_from(guidance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused key is named by its variable, with the page where keys are made."""
    monkeypatch.setenv("MY_KEY", "sk-live-0123456789")
    told = guidance("openai", error("m"), 401, key=Secret.from_variable("MY_KEY"))
    assert "MY_KEY" in told
    assert "api.openai.com" in told
    assert "platform.openai.com/api-keys" in told
    assert "0123456789" not in told
    told = guidance("openai", error("m"), 401, key=None, base_url="http://localhost:8000/v1")
    assert "No key is configured: set api_key for provider 'p'" in told
    assert "platform" not in told


def test_an_unset_variable(provider: Any, reply: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request is made without the key that the host wants."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    made = provider("anthropic", reply(), key=None)
    for call in (made.check, made.list_models, lambda: made.generate_response(ModelRequest("x", "m"))):
        with pytest.raises(errors.AuthenticationError, match="ANTHROPIC_API_KEY") as caught:
            call()
        assert (caught.value.status, caught.value.provider) == (None, "p")
    assert made.web.sent == []


def test_a_context_limit_is_told(guidance: Any) -> None:
    """With the numbers the provider gave."""
    told = guidance("anthropic", error("prompt is too long: 205429 tokens > 200000 maximum"))
    assert "205429 and 200000 tokens" in told


def test_a_rate_limit_is_told(provider: Any, reply: Any) -> None:
    """With the wait, and the settings that keep below it."""
    with pytest.raises(errors.RateLimitError) as caught:
        provider("openai", reply(error("m"), 429, retry_after="20")).generate_response(ModelRequest("x", "m"))
    assert "Wait 20 s" in caught.value.guidance
    assert "requests_per_minute" in caught.value.guidance
    assert caught.value.retry_after == 20


def test_a_dialect_without_a_host(provider: Any, reply: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which setting is missing."""
    made = provider("acme", reply(), base_url=None)
    monkeypatch.setattr(type(made.dialect), "default_base_url", None)
    with pytest.raises(errors.ConfigurationError, match="has no base_url") as caught:
        made.check()
    assert "Set base_url" in caught.value.guidance


def test_transport_trouble_is_described(provider: Any) -> None:
    """An error from below gets provider, model and a next step."""
    made = provider("openai", errors.ProviderConnectionError("no route"))
    with pytest.raises(errors.ProviderConnectionError) as caught:
        made.generate_response(ModelRequest("x", "m"))
    assert (caught.value.provider, caught.value.model) == ("p", "m")
    assert "base_url" in caught.value.guidance


def test_a_web_server_that_is_no_provider(guidance: Any) -> None:
    """What cannot even be posted to is no provider in trouble."""
    assert "Check base_url" in guidance("openai", "<h1>Unsupported method</h1>", 501, base_url="http://localhost:8000")


def test_a_misspelt_model_names_its_like(guidance: Any) -> None:
    """Of those that are configured for the provider; the asked one itself, listed or not, is none."""
    models = (ModelEntry("mm"), ModelEntry("m"), ModelEntry("other"))
    told = guidance("openai", error("no such model", code="model_not_found"), 404, name="work", models=models)
    assert told.startswith("Did you mean work/mm? Check the name")
    assert "Did you mean" not in guidance("openai", error("no", code="model_not_found"), 404, models=models[1:])


def test_a_listing_that_is_not_there(provider: Any, reply: Any) -> None:
    """The advice is not to look the name up in the listing."""
    for base_url, advice in (("http://localhost:9", "/v1"), ("http://localhost:9/v1", "lists no models")):
        with pytest.raises(errors.InvalidRequestError) as caught:
            provider("openai", reply(b"", 404), base_url=base_url).list_models()
        assert advice in caught.value.guidance
        assert "llm-sync models" not in caught.value.guidance


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("Model is unsupported here", "model"),
        ("Unsupported value: 'messages[0].role' does not support 'developer' with this model.", "messages[0].role"),
        ("'input' is not supported", None),
    ],
)
def test_what_no_request_goes_without(guidance: Any, message: str, param: str | None) -> None:
    """Nobody is told to leave out the model or the prompt."""
    assert "Leave" not in guidance("openai", error(message, param=param, code="unsupported_value"))


def test_spent_money_is_not_waited_for(guidance: Any) -> None:
    """The advice is about credit and limits, not about time."""
    assert "wait" not in guidance("openai", error("Insufficient Balance"), 402).lower()
