"""Azure, Google Cloud and the OpenAI-compatible endpoints of Google and Anthropic, with plain HTTP and with the client."""

from __future__ import annotations

import json

import pytest

import llm_sync
from llm_sync import LLMClient
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator

CHAT = {"messages": [{"role": "user", "content": "Say hello"}]}
MESSAGES = {"anthropic_version": "vertex-2023-10-16", "max_tokens": 50, **CHAT}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Say hello"}]}]}
CLASSIC = "/azure/openai/deployments/mine/chat/completions"
VERTEX = "/v1/projects/p/locations/us-central1/publishers"


def bearer(key="good-key"):
    """The header of a bearer token."""
    return {"Authorization": f"Bearer {key}"}


def entries(simulator):
    """The configuration of a provider for every such endpoint."""
    command = ["printf", "good-key"]
    cloud = {"auth": "google-cloud", "api_key_command": command, "base_url": simulator.url("vertex"), "project": "p"}
    return {
        "azure": {"type": "openai", "auth": {"header": "api-key"}, "base_url": simulator.url("azure")},
        "azure-responses": {"type": "openai-responses", "auth": {"header": "api-key"}, "base_url": simulator.url("azure")},
        "azure-classic": {
            "type": "openai",
            "auth": {"header": "api-key"},
            "base_url": simulator.url("azure-classic"),
            "query": {"api-version": "2024-10-21"},
        },
        "vertex": {"type": "gemini", **cloud},
        "vertex-anthropic": {"type": "anthropic", **cloud},
        "gemini-openai": {"type": "openai", "base_url": simulator.url("gemini-openai")},
        "anthropic-openai": {"type": "openai", "base_url": simulator.url("anthropic-openai")},
    }


MODELS = {
    "azure": "gpt-4o-mini",
    "azure-responses": "gpt-4o-mini",
    "azure-classic": "my-deployment",
    "vertex": "gemini-2.5-flash",
    "vertex-anthropic": "claude-sonnet-4-5@20250929",
    "gemini-openai": "gemini-2.5-flash",
    "anthropic-openai": "claude-haiku-4-5",
}


@pytest.fixture
def client_at():
    """Creates a client of one endpoint, without retries."""
    opened = []

    def make(simulator, endpoint, key="good-key"):
        entry = {"api_key": key, **entries(simulator)[endpoint]}
        if "api_key_command" in entry:
            del entry["api_key"]
            entry["api_key_command"] = ["printf", key]
        document = {"defaults": {"max_retries": 0}, "providers": {endpoint: entry}}
        opened.append(LLMClient(ConfigLoader().load_text(json.dumps(document))))
        return opened[-1]

    yield make
    for client in opened:
        client.close(cancel_pending=True, grace=0)


@pytest.mark.parametrize("endpoint", MODELS)
def test_the_client_is_answered(simulator, client_at, endpoint):
    """The client gets a text, a model and usage from every endpoint."""
    response = client_at(simulator, endpoint).generate("Say hello", f"{endpoint}/{MODELS[endpoint]}")
    assert "Say hello" in response.text
    assert response.usage.input_tokens > 0
    assert [record.outcome for record in simulator.requests] == ["ok"]


@pytest.mark.parametrize("endpoint", MODELS)
def test_a_wrong_key_is_an_authentication_error(simulator, client_at, endpoint):
    """A wrong key is an authentication error at every endpoint."""
    with pytest.raises(llm_sync.AuthenticationError):
        client_at(simulator, endpoint, "wrong-key").generate("Say hello", f"{endpoint}/{MODELS[endpoint]}")


@pytest.mark.parametrize("endpoint", MODELS)
def test_an_unknown_model_is_not_found(simulator, client_at, endpoint):
    """An unknown model or deployment is a ModelNotFoundError."""
    with pytest.raises(llm_sync.ModelNotFoundError):
        client_at(simulator, endpoint).generate("Say hello", f"{endpoint}/no-such-model")


@pytest.mark.parametrize("endpoint", MODELS)
@pytest.mark.parametrize(
    ("does", "raised"),
    [
        ({"error": "overloaded"}, llm_sync.ProviderUnavailableError),
        ({"error": "rate_limit"}, llm_sync.RateLimitError),
        ({"empty": True}, llm_sync.EmptyResponseError),
        ({"event_stream": True}, llm_sync.StreamingNotSupportedError),
    ],
    ids=["overloaded", "rate_limit", "empty", "event_stream"],
)
def test_scripts_act_there_too(client_at, endpoint, does, raised):
    """A script's rule matches an endpoint by the type that it speaks."""
    with Simulator(script={"rules": [does]}) as simulator:
        with pytest.raises(raised):
            client_at(simulator, endpoint).generate("Say hello", f"{endpoint}/{MODELS[endpoint]}")
        assert simulator.faults == []


@pytest.mark.parametrize("endpoint", ["azure", "vertex", "gemini-openai"])
def test_the_models_are_listed(simulator, client_at, endpoint):
    """Endpoints with a listing list their models."""
    (listing,) = client_at(simulator, endpoint).list_all_models().values()
    assert MODELS[endpoint] in listing.models
    assert listing.error is None


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        (f"{CLASSIC}?api-version=2024-10-21", {"api-key": "k"}, 200, None),
        (f"{CLASSIC[len('/azure') :]}?api-version=2024-10-21", {"api-key": "k"}, 200, None),
        (f"{CLASSIC}?api-version=2024-10-21", bearer(), 200, None),
        (CLASSIC, {"api-key": "k"}, 404, "404"),
        (f"{CLASSIC}/?api-version=2024-10-21", {"api-key": "k"}, 404, "404"),
        ("/azure/openai/deployments/mine/completions?api-version=2024-10-21", {"api-key": "k"}, 404, "404"),
        ("/azure/openai/chat/completions?api-version=2024-10-21", {"api-key": "k"}, 404, "404"),
        (f"{CLASSIC}?api-version=2024-10-21", {"api-key": "wrong"}, 401, "401"),
        (f"{CLASSIC}?api-version=2024-10-21", {}, 401, "401"),
        (CLASSIC.replace("mine", "no-such") + "?api-version=1", {"api-key": "k"}, 404, "DeploymentNotFound"),
    ],
)
def test_azures_classic_api(wire, path, headers, status, code):
    """Azure's classic API takes the deployment from the path and the version from the query."""
    got = wire.send("POST", path, CHAT, headers)
    assert got.status == status
    assert got.headers["apim-request-id"]
    if code:
        assert got.body["error"]["code"] == code
    else:
        assert got.body["prompt_filter_results"][0]["content_filter_results"]["hate"]["severity"] == "safe"
        assert got.body["choices"][0]["content_filter_results"]
        assert got.headers["x-ratelimit-reset-requests"] == "0"


def test_vertex_has_its_own_answer_fields(wire):
    """Vertex answers have a time and a traffic type, and no tier; errors have details."""
    path = f"{VERTEX}/google/models/gemini-2.5-flash:generateContent"
    body = wire.send("POST", path, CONTENTS, bearer()).body
    assert body["createTime"].endswith("Z")
    assert body["usageMetadata"]["trafficType"] == "ON_DEMAND"
    assert "serviceTier" not in body["usageMetadata"]
    refused = wire.send("POST", path, {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, bearer())
    assert (refused.status, refused.body["error"]["details"]) == (400, [])
    keyed = wire.send("POST", "/v1/publishers/google/models/gemini-2.5-flash:generateContent", CONTENTS, {"x-goog-api-key": "k"})
    assert keyed.status == 200
    assert wire.send("POST", path, CONTENTS).status == 401


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"anthropic_version": "2023-06-01"}, "anthropic_version"),
        ({"model": "claude-sonnet-4-5"}, "model: Extra inputs"),
        ({"foo": 1}, "foo: Extra inputs"),
    ],
)
def test_anthropic_on_vertex_is_as_strict(wire, change, said):
    """Anthropic on Vertex requires the version in the body and refuses a model there."""
    path = f"{VERTEX}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict"
    assert wire.send("POST", path, MESSAGES, bearer()).status == 200
    got = wire.send("POST", path, MESSAGES | change, bearer())
    assert got.status == 400
    assert said in got.body["error"]["message"]


def test_gemini_speaking_openai_lists_its_errors(wire):
    """Google's compatible endpoint sends an error in a list, and answers without OpenAI's own fields."""
    path = "/gemini/v1beta/openai/chat/completions"
    good = wire.send("POST", path, {"model": "gemini-2.5-flash", **CHAT}, bearer()).body
    assert good["choices"][0]["message"].keys() == {"role", "content"}
    (error,) = wire.send("POST", path, {"model": "gemini-2.5-flash", "foo": 1, **CHAT}, bearer()).body
    assert error["error"]["status"] == "INVALID_ARGUMENT"
    assert 'Unknown name "foo"' in error["error"]["message"]


def test_anthropic_speaking_openai_ignores_what_it_does_not_know(wire):
    """Anthropic's compatible endpoint ignores unknown fields."""
    payload = {"model": "claude-haiku-4-5", "foo": 1, **CHAT}
    assert wire.send("POST", "/anthropic/v1/chat/completions", payload, bearer()).status == 200


@pytest.mark.parametrize(
    "path",
    [
        f"{VERTEX}/google/models/gemini-2.5-flash:streamGenerateContent",
        f"{VERTEX}/anthropic/models/claude-sonnet-4-5:streamRawPredict",
        f"{CLASSIC}?api-version=1&stream=true",
        "/gemini/v1beta/openai/chat/completions?stream=1",
        "/anthropic/v1/chat/completions?stream=1",
    ],
)
def test_nothing_streams(simulator, wire, path):
    """Every endpoint refuses and counts streams."""
    assert wire.send("POST", path, CHAT, bearer()).status == 400
    assert simulator.stream_attempts == 1
