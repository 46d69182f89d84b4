"""litellm's completion over llm-sync: providers by prefix, batches in order, its exceptions."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.compat import litellm, openai
from llm_sync.compat.litellm import providers
from llm_sync.simulator import Response

HELLO = [{"role": "user", "content": "Say hello"}]


def test_a_completion_of_openai_and_of_anthropic(lite: Any, upstream: Any) -> None:
    """One shape for both; the other one's words are translated."""
    for model, finish in (("openai/gpt-4o-mini", "stop"), ("anthropic/claude-haiku-4-5", "stop")):
        response = lite(model, max_tokens=500, temperature=0.5)
        assert isinstance(response, litellm.ModelResponse)
        assert response.choices[0].message.content == response["choices"][0]["message"]["content"]
        assert response.choices[0].finish_reason == finish
        assert response.usage.total_tokens == response.usage.prompt_tokens + response.usage.completion_tokens
        assert response.json() == response.model_dump()
        assert response._hidden_params["custom_llm_provider"] == model.partition("/")[0]
        assert pickle.loads(pickle.dumps(response)) == response  # noqa: S301
    assert [body["model"] for body in upstream.bodies] == ["gpt-4o-mini", "claude-haiku-4-5"]


def test_further_arguments_reach_the_provider(lite: Any, upstream: Any) -> None:
    """What is OpenAI's goes to whoever speaks so; what is the provider's own goes to any."""
    upstream.say()
    lite(frequency_penalty=0.5, brand_new=1, extra_body={"a": 2}, messages=HELLO)
    lite("anthropic/claude-haiku-4-5", top_k=3, thinking={"type": "disabled"}, max_tokens=500)
    assert (upstream.bodies[0]["frequency_penalty"], upstream.bodies[0]["brand_new"], upstream.bodies[0]["a"]) == (0.5, 1, 2)
    assert (upstream.bodies[1]["top_k"], upstream.bodies[1]["thinking"]) == (3, {"type": "disabled"})


def test_drop_params_decides_what_a_provider_does_not_know(lite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, litellm's error; with it, in the call or on the module, an adjustment."""
    with pytest.raises(litellm.UnsupportedParamsError, match="frequency_penalty"):
        lite("anthropic/claude-haiku-4-5", frequency_penalty=1)
    response = lite("anthropic/claude-haiku-4-5", frequency_penalty=1, drop_params=True)
    assert "frequency_penalty" in [each.parameter for each in response.adjustments]
    monkeypatch.setattr(litellm, "drop_params", True)
    assert lite("anthropic/claude-haiku-4-5", frequency_penalty=1).choices


def test_a_batch_is_answered_in_order_with_exceptions_in_place(lite: Any, upstream: Any) -> None:
    """One that fails at the provider and one that cannot be sent stand where they were asked."""

    def answer(record: Any) -> Response | None:
        failed = {"error": {"message": "no", "type": "e", "param": None, "code": None}}
        return Response(400, failed) if record.payload["messages"][0]["content"] == "Fail" else None

    upstream.judge = answer
    conversations: list[Any] = [[{"role": "user", "content": text}] for text in ("One", "Fail", "Three")]
    conversations.insert(2, [{"role": "robot", "content": "x"}])
    answers = litellm.batch_completion(
        "openai/gpt-4o-mini", conversations, api_key="sk-0123456789", api_base=upstream.url(), max_workers=2, n=1
    )
    assert [type(each).__name__ for each in answers] == ["ModelResponse", "BadRequestError", "BadRequestError", "ModelResponse"]
    assert ["One" in answers[0].choices[0].message.content, "Three" in answers[3].choices[0].message.content] == [True, True]
    assert "max_workers" in [each.parameter for each in answers[0].adjustments]
    assert isinstance(answers[1].__cause__, errors.InvalidRequestError)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (422, "BadRequestError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (502, "BadGatewayError"),
        (503, "ServiceUnavailableError"),
    ],
)
def test_statuses_are_litellms_exceptions(lite: Any, upstream: Any, status: int, name: str) -> None:
    """Which are openai's too, as in the original."""
    upstream.fail(status)
    with pytest.raises(openai.OpenAIError) as caught:
        lite()
    error = caught.value
    assert type(error) is getattr(litellm, name)
    assert (error.status_code, error.llm_provider, error.model) == (status, "openai", "gpt-4o-mini")
    assert str(error).startswith(f"litellm.{name}: OpenAIException - status {status}")
    assert isinstance(error, getattr(openai, name, openai.APIStatusError))
    assert isinstance(error.__cause__, errors.ProviderError)


def test_closer_names_than_a_400(lite: Any, upstream: Any) -> None:
    """Too long, and refused by policy."""
    for code, name in (
        ("context_length_exceeded", "ContextWindowExceededError"),
        ("content_filter", "ContentPolicyViolationError"),
    ):
        upstream.fail(400, {"error": {"message": "no", "type": "e", "param": None, "code": code}})
        with pytest.raises(litellm.BadRequestError) as caught:
            lite()
        assert type(caught.value).__name__ == name
        assert caught.value.status_code == 400


def test_no_answer_in_time_is_a_timeout(lite: Any, upstream: Any) -> None:
    """And no connection an APIConnectionError; both have a status."""
    with upstream.simulator.hold(), pytest.raises(litellm.Timeout) as caught:
        lite(timeout=0.2)
    assert caught.value.status_code == 408
    with upstream.simulator.hold(), pytest.raises(litellm.Timeout):
        lite(request_timeout=0.2)
    with pytest.raises(litellm.APIConnectionError) as caught:
        lite(api_base="http://127.0.0.1:9/v1")
    assert caught.value.status_code == 500


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("gpt-4o", ("openai", "gpt-4o")),
        ("o3-mini", ("openai", "o3-mini")),
        ("claude-opus-5", ("anthropic", "claude-opus-5")),
        ("openrouter/openai/gpt-4o", ("openrouter", "openai/gpt-4o")),
        ("ollama_chat/llama3", ("ollama", "llama3")),
        ("together_ai/meta/llama", ("together_ai", "meta/llama")),
    ],
)
def test_a_models_name_says_whose_it_is(model: str, found: tuple[str, str]) -> None:
    """A prefix, or a bare name that is known."""
    assert providers.named(model, None) == found
    assert providers.named(found[1], found[0]) == found


@pytest.mark.parametrize("model", ["llama3", "nowhere/llama3", "openai/", "", None, 7])
def test_a_name_that_says_nothing_is_litellms_error(upstream: Any, model: Any) -> None:
    """With the providers there are."""
    with pytest.raises(litellm.BadRequestError, match="LLM Provider NOT provided.*anthropic"):
        litellm.completion(model=model, messages=HELLO)


def test_where_each_provider_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call's arguments, then the module's, then the environment, then what is known."""
    settings = providers.settings_for("groq", {}, litellm)
    assert (settings.base_url, settings.api_key, settings.type) == ("https://api.groq.com/openai/v1", None, "openai")
    monkeypatch.setenv("GROQ_API_KEY", "from-environment")
    monkeypatch.setenv("GROQ_API_BASE", "https://other/v1/")
    settings = providers.settings_for("groq", {}, litellm)
    assert (settings.base_url, settings.api_key) == ("https://other/v1", "from-environment")
    monkeypatch.setattr(litellm, "api_key", "from-module")
    assert providers.settings_for("groq", {}, litellm).api_key == "from-module"
    assert providers.settings_for("groq", {"api_key": "from-call"}, litellm).api_key == "from-call"
    assert providers.settings_for("ollama", {}, litellm).base_url == "http://localhost:11434/v1"
    azure = providers.settings_for("azure", {"api_base": "https://x/", "api_version": "v"}, litellm)
    assert (azure.base_url, azure.query, azure.key_header) == (
        "https://x/openai/deployments/{model}",
        (("api-version", "v"),),
        "api-key",
    )


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: litellm.completion(model="gpt-4o", messages=HELLO, stream=True), "stream=True"),
        (lambda: litellm.batch_completion(model="gpt-4o", messages=[HELLO], fallbacks=["x"]), "fallbacks"),
        (lambda: litellm.completion(model="gpt-4o", messages=HELLO, ssl_verify=False), "ssl_verify"),
        (lambda: litellm.completion(model="gpt-4o", messages=HELLO, mock_timeout=True), "mock_timeout"),
        (lambda: litellm.model_cost["gpt-4o"], "model_cost"),
        (lambda: "gpt-4o" in litellm.model_cost, "model_cost"),
        (lambda: len(litellm.model_cost), "model_cost"),
        (lambda: litellm.model_cost.__setitem__("mine", {}), "model_cost"),
        (litellm.Cache, "Cache"),
        (lambda: litellm.acompletion(model="gpt-4o"), "acompletion"),
        (lambda: litellm.embedding(model="x"), "embedding"),
        (lambda: litellm.Router(model_list=[]), "Router"),
        (lambda: litellm.completion_cost(litellm.ModelResponse()), "completion_cost"),
    ],
)
def test_what_is_not_carried_is_refused_by_name_with_the_way_out(upstream: Any, call: Any, named: str) -> None:
    """The root exception, with ours as its cause."""
    with pytest.raises(litellm.OpenAIError) as caught:
        call()
    assert named in str(caught.value)
    assert "Instead: " in str(caught.value)
    assert isinstance(caught.value.__cause__, errors.LLMConnectorError)


def test_settings_without_effect_are_told_once(
    lite: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Callbacks and a cache."""
    monkeypatch.setattr(litellm, "success_callback", ["langfuse"])
    monkeypatch.setattr(litellm, "cache", object())
    lite()
    lite(caching=True)
    said = capsys.readouterr().err
    assert said.count("litellm.success_callback is not called") == 1
    assert said.count("litellm.cache is not used") == 1
    assert said.count("completion: caching is not sent") == 1


def test_the_cost_is_the_configurations(lite: Any) -> None:
    """Where the answer has a price."""
    response = lite()
    object.__setattr__(response.llm_sync[0], "cost_estimate", 0.25)
    assert response._hidden_params["response_cost"] == 0.25
    assert litellm.completion_cost(completion_response=response) == 0.25
    assert litellm.completion_cost(response, model="openai/gpt-4o-mini") == 0.25


@pytest.mark.parametrize("arguments", [{"model": "openai/o3"}, {"prompt": "x", "completion": "y"}])
def test_the_cost_of_another_model_or_of_texts_is_refused(lite: Any, arguments: dict[str, str]) -> None:
    """Though the answer itself has a price."""
    response = lite()
    object.__setattr__(response.llm_sync[0], "cost_estimate", 0.25)
    with pytest.raises(litellm.OpenAIError, match="completion_cost supports only an answer.*Instead: call completion_cost"):
        litellm.completion_cost(response, **arguments)


def test_a_mocked_answer_sends_nothing(upstream: Any) -> None:
    """The script's own text comes back in litellm's shape; its own exception is raised; anything else is refused."""
    answer = litellm.completion(model="gpt-4o", messages=HELLO, mock_response="mocked", api_key="sk-script-0123456789")
    assert answer.choices[0].message.content == "mocked"
    assert answer.choices[0].finish_reason == "stop"
    with pytest.raises(litellm.RateLimitError, match="slow"):
        litellm.completion(
            model="gpt-4o",
            messages=HELLO,
            api_key="sk-script-0123456789",
            mock_response=litellm.RateLimitError("slow", "openai", "gpt-4o"),
        )
    with pytest.raises(litellm.BadRequestError, match="mock_response"):
        litellm.completion(model="gpt-4o", messages=HELLO, api_key="sk-script-0123456789", mock_response=7)
    assert upstream.bodies == []


def down(model: str, status: int = 503) -> Any:
    """Judges requests: those for ``model`` are refused."""

    def judge(record: Any) -> Response | None:
        failed = {"error": {"message": "no", "type": "e", "param": None, "code": None}}
        return Response(status, failed) if record.model == model else None

    return judge


@pytest.mark.parametrize(
    "fallbacks",
    [["openai/gpt-4.1"], [{"model": "openai/gpt-4.1", "max_tokens": 7}], ["openai/gpt-4o-mini", "openai/gpt-4.1"]],
)
def test_a_fallback_answers(lite: Any, upstream: Any, fallbacks: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The next model answers when the first one is down; a line on standard error says so."""
    upstream.judge = down("gpt-4o-mini")
    response = lite("openai/gpt-4o-mini", fallbacks=fallbacks, num_retries=0)
    assert response.model.startswith("gpt-4.1")
    assert "its fallback, is asked" in capsys.readouterr().err


def test_fallbacks_are_not_for_bad_requests(lite: Any, upstream: Any) -> None:
    """What the request is to blame for is raised: no other model is asked."""
    upstream.judge = down("gpt-4o-mini", 400)
    with pytest.raises(litellm.BadRequestError):
        lite("openai/gpt-4o-mini", fallbacks=["openai/gpt-4.1"])
    assert len(upstream.bodies) == 1


def test_the_last_error_is_raised(lite: Any, upstream: Any) -> None:
    """When the fallbacks fail too."""
    upstream.judge = lambda record: Response(503 if record.model == "gpt-4o-mini" else 403, {"error": {"message": "no"}})
    with pytest.raises(litellm.PermissionDeniedError):
        lite("openai/gpt-4o-mini", fallbacks=["openai/gpt-4.1"], num_retries=0)


@pytest.mark.parametrize("fallbacks", ["gpt-4o", [1], [{"temperature": 1}], {"a": "b"}])
def test_what_is_no_list_of_models_is_refused(lite: Any, upstream: Any, fallbacks: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(litellm.BadRequestError, match="fallbacks"):
        lite("openai/gpt-4o-mini", fallbacks=fallbacks)
    assert not upstream.bodies


def test_a_route_of_the_configuration_is_a_model(upstream: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name, or models with commas between, goes to the configuration's route, in litellm's shape and in OpenAI's."""
    file = tmp_path / "routes.yaml"
    file.write_text(
        "defaults: {max_retries: 0}\n"
        f"providers:\n  a: {{type: openai, api_key: test-key-1, base_url: '{upstream.url()}', models: [gpt-4o-mini]}}\n"
        f"  b: {{type: anthropic, api_key: test-key-2, base_url: '{upstream.url('anthropic')}', models: [claude-haiku-4-5]}}\n"
        "routes: {smart: [gpt-4o-mini, claude-haiku-4-5]}\n"
    )
    monkeypatch.setenv("LLM_SYNC_CONFIG", str(file))
    upstream.judge = down("gpt-4o-mini")
    for model in ("smart", "a/gpt-4o-mini,b/claude-haiku-4-5"):
        response = litellm.completion(model=model, messages=HELLO)
        assert [step.provider for step in response.llm_sync[0].route] == ["a", "b"]
    answer = openai.OpenAI().chat.completions.create(model="smart", messages=HELLO)
    assert answer.llm_sync[0].provider == "b"
