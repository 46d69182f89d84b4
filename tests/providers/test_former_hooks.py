"""Dialects written the former way: subclasses of LLMProvider with underscored hooks still work, with one warning."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models import ModelRequest
from llm_sync.providers import LLMProvider, ProviderFactory

FORMER = Path(__file__).with_name("former_dialect.py")


@pytest.fixture
def former() -> None:
    """The example of the former documentation, loaded and registered in the place of today's."""
    with pytest.warns(DeprecationWarning, match="AcmeProvider") as warned:
        runpy.run_path(str(FORMER))
    (only,) = warned
    assert "llm_sync.providers.Dialect" in str(only.message)


@pytest.mark.usefixtures("former")
def test_the_former_example_loads_with_one_warning_and_answers(provider: Any, reply: Any) -> None:
    """Its data and hooks are used as before: payload, key header, path, answer, usage, adjustments."""
    made = provider("acme", reply({"says": "Hi", "ended": "done", "tokens": {"in": 3, "out": 4}}))
    response = made.generate_response(ModelRequest("ping", "m", seed=7, max_tokens=5))
    assert (response.text, response.finish_reason, response.token_count) == ("Hi", "stop", 7)
    assert [(adjustment.parameter, adjustment.sent) for adjustment in response.adjustments] == [("seed", None)]
    sent = made.web.sent[0]
    assert sent.url == "https://llm.acme.example/ask"
    assert sent.headers["x-acme-key"].startswith("sk-test")
    assert sent.body == {"model": "m", "turns": [{"who": "user", "says": "ping"}], "limit": 5}


@pytest.mark.usefixtures("former")
def test_the_former_example_says_what_is_blocked(provider: Any, reply: Any) -> None:
    """Its Answer(blocked=…) is the error it always was; the keyword is warned of where it says something."""
    made = provider("acme", reply({"says": "partly", "refused": "no"}))
    with pytest.warns(DeprecationWarning, match="give outcome="), pytest.raises(errors.ContentBlockedError, match="no"):
        made.generate_response(ModelRequest("ping", "m"))


@pytest.mark.usefixtures("former")
def test_a_former_dialect_can_be_asked_for_its_address_without_a_network() -> None:
    """As every dialect: the simulator needs to know."""
    from llm_sync.config.models import ProviderConfig

    config = ProviderConfig("p", "acme")
    assert ProviderFactory.dialect(config).url_for("m") == "https://llm.acme.example/ask"
    assert ProviderFactory.provider_class("acme").path == "/ask"


def test_hooks_reach_what_they_build_on(provider: Any, reply: Any) -> None:
    """super() in a hook is the dialect that the class builds on; what that calls in turn is the hook again."""
    with pytest.warns(DeprecationWarning, match="Mine"):

        class Mine(ProviderFactory.provider_class("openai")):  # type: ignore[misc]
            type = "mine"

            def _prepare_request(self, request: Any, changes: Any) -> Any:
                return {**super()._prepare_request(request, changes), "mine": True}

            def _read_usage(self, body: Any) -> Any:
                usage = super()._read_usage(body)
                return type(usage)(usage.input_tokens, 99)

            def _path_for(self, model: str) -> str:
                return f"/mine/{model}"

    with warnings.catch_warnings():
        warnings.simplefilter("error")

        class Plain(Mine):  # type: ignore[valid-type,misc]
            """Adds nothing to the wire, so there is nothing to warn of."""

        ProviderFactory.register("mine", Plain)
        body = {"choices": [{"message": {"content": "Hi"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
        made = provider("mine", reply(body), base_url="https://x.test/v1")
        response = made.generate_response(ModelRequest("ping", "m"))
    assert (response.usage.input_tokens, response.usage.output_tokens) == (1, 99)
    assert made.web.sent[0].url == "https://x.test/v1/mine/m"
    assert made.web.sent[0].body["mine"] is True
    assert made.web.sent[0].body["messages"] == [{"role": "user", "content": "ping"}]


def test_a_former_dialect_without_its_first_two_hooks_cannot_be_made(provider: Any, reply: Any) -> None:
    """As ever, they are required."""
    with pytest.warns(DeprecationWarning, match="Half"):

        class Half(LLMProvider):
            def _prepare_request(self, request: Any, changes: Any) -> Any:
                return {}

    ProviderFactory.register("half", Half)
    with pytest.raises(TypeError, match="read_answer"):
        provider("half", reply())


@pytest.mark.parametrize(("former", "now"), [("Changes", "Adjustments"), ("Fault", "ApiError")])
def test_former_names_are_the_present_ones(former: str, now: str) -> None:
    """Importing one warns, and names the other."""
    import llm_sync.providers

    with pytest.warns(DeprecationWarning, match=f"{former} is now called {now}"):
        found = getattr(llm_sync.providers, former)
    assert found is getattr(llm_sync.providers, now)


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "openrouter"])
def test_former_provider_classes_are_found_where_they_were(name: str) -> None:
    """llm_sync.providers.openai.OpenAIProvider and its like are what the factory gives for the type."""
    from importlib import import_module

    room = import_module(f"llm_sync.providers.{name}")
    kind = ProviderFactory.provider_class(name)
    assert getattr(room, kind.__name__) is kind
    assert kind.type == name
