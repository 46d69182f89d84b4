"""openai as it was in 2023: settings on the module, class methods, ``openai.error``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.compat import openai
from llm_sync.compat.openai import error

HELLO = [{"role": "user", "content": "Say hello"}]
MODEL = "gpt-4o-mini"


def test_a_chat_completion_of_2023(old: Any, upstream: Any) -> None:
    """Items, attributes and JSON; the settings of the module are used."""
    completion = old.ChatCompletion.create(model=MODEL, messages=HELLO, temperature=0, request_timeout=(3, 30), user="ada")
    assert completion["choices"][0]["message"]["content"] == completion.choices[0].message.content
    assert json.loads(str(completion)) == json.loads(json.dumps(completion))
    assert completion.response_ms >= 0
    assert completion.openai_id == completion.id
    assert type(completion).__name__ == "OpenAIObject"
    assert (upstream.bodies[0]["temperature"], upstream.bodies[0]["user"]) == (0, "ada")


def test_a_completion_is_asked_as_a_chat(old: Any, upstream: Any) -> None:
    """Its shape is the old one."""
    upstream.say("said")
    completion = old.Completion.create(engine="gpt-3.5-turbo-instruct", prompt="Say it", max_tokens=9)
    assert completion.choices[0].text == "said"
    assert completion.object == "text_completion"
    assert upstream.bodies[0]["messages"] == [{"role": "user", "content": "Say it"}]
    assert upstream.bodies[0]["model"] == "gpt-3.5-turbo-instruct"


def test_azure_needs_a_version(old: Any, upstream: Any) -> None:
    """Told before anything is sent, as by the original."""
    old.api_type = "azure"
    with pytest.raises(error.InvalidRequestError, match="API version"):
        old.ChatCompletion.create(engine="mine", messages=HELLO)
    assert upstream.bodies == []


def test_models_of_2023(old: Any) -> None:
    """list has data, retrieve finds one, and what is missing is an InvalidRequestError, as it was."""
    assert "gpt-4o" in [model["id"] for model in old.Model.list()["data"]]
    assert old.Model.retrieve("gpt-4o").id == "gpt-4o"
    with pytest.raises(error.InvalidRequestError):
        old.Model.retrieve("gpt-none")


def test_a_calls_own_settings_come_before_the_modules(old: Any, upstream: Any) -> None:
    """api_key and api_base in the call, and headers."""
    old.api_base = "http://127.0.0.1:9/v1"
    old.ChatCompletion.create(
        model=MODEL, messages=HELLO, api_base=upstream.url(), api_key="sk-other-0123456789", headers={"X": "1"}
    )
    assert len(upstream.bodies) == 1


def test_further_parameters_reach_the_provider(old: Any, upstream: Any) -> None:
    """0.28 sent whatever it was given."""
    upstream.say()
    old.ChatCompletion.create(model=MODEL, messages=HELLO, brand_new=1)
    assert upstream.bodies[0]["brand_new"] == 1


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "InvalidRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionError"),
        (404, "InvalidRequestError"),
        (409, "TryAgain"),
        (415, "InvalidRequestError"),
        (422, "APIError"),
        (429, "RateLimitError"),
        (500, "APIError"),
        (502, "APIError"),
        (503, "ServiceUnavailableError"),
    ],
)
def test_statuses_are_the_exceptions_of_2023(old: Any, upstream: Any, status: int, name: str) -> None:
    """With its attributes: http_status, json_body, code, user_message, error, headers."""
    upstream.fail(status, times=3, headers=(("x-should-retry", "false"),))
    with pytest.raises(error.OpenAIError) as caught:
        old.ChatCompletion.create(model=MODEL, messages=HELLO)
    raised = caught.value
    assert type(raised).__name__ == name
    assert type(raised) is getattr(error, name)
    assert raised.http_status == status
    assert raised.code == ("code" if name == "InvalidRequestError" else None)
    assert raised.user_message == (f"status {status}" if status != 503 else "The server is overloaded or not ready yet.")
    assert raised.json_body["error"]["param"] == raised.error.param == "it"
    assert json.loads(raised.http_body) == raised.json_body
    assert raised.headers["X-Request-Id"] == "req_1"
    assert isinstance(raised.__cause__, errors.LLMConnectorError)


def test_the_names_at_the_top_catch_too(old: Any, upstream: Any) -> None:
    """openai.InvalidRequestError is openai.error's; openai.APIError catches 500 and no 429, as it did."""
    assert openai.InvalidRequestError is error.InvalidRequestError
    assert issubclass(error.APIError, openai.APIError)
    assert not issubclass(error.RateLimitError, (openai.APIError, error.APIError))
    assert issubclass(error.RateLimitError, openai.OpenAIError)
    assert error.OpenAIError is openai.OpenAIError


def test_no_answer_in_time_is_a_timeout(old: Any, upstream: Any) -> None:
    """And no connection an APIConnectionError."""
    with upstream.simulator.hold(), pytest.raises(error.Timeout):
        old.ChatCompletion.create(model="gpt-4o", messages=HELLO, request_timeout=0.2, max_tokens=5)
    with pytest.raises(error.APIConnectionError):
        old.ChatCompletion.create(model="gpt-4o", messages=HELLO, api_base="http://127.0.0.1:9/v1")


def test_without_a_key_or_a_model_nothing_is_asked(old: Any, upstream: Any) -> None:
    """As it was: AuthenticationError and InvalidRequestError."""
    with pytest.raises(error.InvalidRequestError, match="'engine' or 'model'"):
        old.ChatCompletion.create(messages=HELLO)
    old.api_key = None
    with pytest.raises(error.AuthenticationError, match="No API key provided"):
        old.ChatCompletion.create(model=MODEL, messages=HELLO)
    assert upstream.bodies == []


def test_a_key_file_is_read(old: Any, tmp_path: Path) -> None:
    """openai.api_key_path."""
    (tmp_path / "key").write_text("sk-from-a-file-0123456789\n")
    old.api_key, old.api_key_path = None, str(tmp_path / "key")
    assert old.ChatCompletion.create(model=MODEL, messages=HELLO).choices


def test_azure_of_2023(old: Any, upstream: Any) -> None:
    """api_type azure puts the engine into the URL and the version into the query."""
    old.api_type, old.api_version, old.api_base = "azure", "2023-05-15", upstream.simulator.root
    assert old.ChatCompletion.create(engine="deployed", messages=HELLO).choices[0].message.content
    assert upstream.simulator.requests[0].path == "/openai/deployments/deployed/chat/completions"
    old.api_type = "gemini"
    with pytest.raises(error.InvalidAPIType):
        old.ChatCompletion.create(engine="deployed", messages=HELLO)


@pytest.mark.parametrize(
    ("name", "value"),
    [("proxy", "http://proxy"), ("verify_ssl_certs", False), ("ca_bundle_path", "x"), ("requestssession", 1)],
)
def test_settings_that_would_change_the_way_are_refused(old: Any, upstream: Any, name: str, value: Any) -> None:
    """Rather than ignored: where the prompts go is no trifle."""
    setattr(old, name, value)
    with pytest.raises(error.OpenAIError, match=f"openai.{name} .*Instead"):
        old.ChatCompletion.create(model=MODEL, messages=HELLO)
    assert upstream.bodies == []
