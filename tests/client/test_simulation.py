"""Rehearsals: what a configuration would ask elsewhere is asked at the simulator, without a key of the user's."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import llm_sync
from llm_sync import ConfigurationError, LLMClient, ProviderFactory
from llm_sync.client import simulation
from llm_sync.config import ConfigLoader
from llm_sync.providers.openai.chat_completions import OpenAIDialect
from llm_sync.simulator import Simulator, command
from llm_sync.simulator.server import routes

REAL = "sk-real-0123456789abcdef"
EVERYWHERE = f"""
defaults: {{max_retries: 0, model: openai/gpt-4o-mini}}
providers:
  openai: {{api_key: {REAL}}}
  usual: {{type: anthropic}}
  named: {{type: openai, base_url: https://api.openai.com/v1, api_key: "${{NOBODY_SETS_THIS}}"}}
  responses: {{type: openai-responses, api_key_command: ["touch", "ran"]}}
  gemini: {{api_key_file: no-such-file, query: {{key: {REAL}}}}}
  openrouter: {{proxy: "http://user:{REAL}@proxy.example:3128"}}
  azure:
    type: openai
    base_url: "https://${{NOBODY_SETS_THIS}}.openai.azure.com/openai/deployments/{{model}}"
    query: {{api-version: "2024-10-21"}}
    auth: {{header: api-key}}
    api_key: {REAL}
    headers: {{Authorization: "Bearer {REAL}", X-Team: "{REAL}", X-Other: "${{NOBODY_SETS_THIS}}"}}
  vertex: {{type: gemini, auth: google-cloud, project: p, location: eu}}
  claude: {{type: anthropic, auth: google-cloud, project: p, location: europe-west1}}
  groq: {{type: openai, base_url: https://api.groq.com/openai/v1, api_key: {REAL}, ca_bundle: ca.pem}}
  plain: {{type: openai, base_url: "http://llm.example/v1", allow_insecure: true}}
  resource:
    {{type: openai-responses, base_url: "https://my.openai.azure.com:443/openai/v1", auth: {{header: api-key}}, api_key: {REAL}}}
  cloud: {{type: gemini, auth: google-cloud, project: p, api_key: {REAL}}}
  google: {{type: openai, base_url: "https://generativelanguage.googleapis.com/v1beta/openai", api_key: {REAL}}}
  bridge: {{type: openai, base_url: "https://api.anthropic.com/v1", api_key: {REAL}}}
  router: {{type: openai, base_url: "https://openrouter.ai/api/v1", api_key: {REAL}}}
"""
MODELS = {
    **dict.fromkeys(("openai", "named", "responses", "azure", "plain", "resource"), "gpt-4o-mini"),
    **dict.fromkeys(("usual", "claude", "bridge"), "claude-haiku-4-5"),
    **dict.fromkeys(("gemini", "vertex", "google", "cloud"), "gemini-2.5-flash"),
    "router": "openai/gpt-4o-mini",
    "openrouter": "openai/gpt-4o-mini",
    "groq": "llama-3.3-70b-versatile",
}
DOORS = {
    "usual": "/anthropic/v1/messages",
    "gemini": "/gemini/v1beta/models/gemini-2.5-flash:generateContent",
    "openrouter": "/openrouter/api/v1/chat/completions",
    "router": "/openrouter/api/v1/chat/completions",
    "responses": "/openai/v1/responses",
    "resource": "/azure/openai/v1/responses",
    "azure": "/azure/openai/deployments/gpt-4o-mini/chat/completions",
    "vertex": f"{simulation.VERTEX}/publishers/google/models/gemini-2.5-flash:generateContent",
    "cloud": f"{simulation.VERTEX}/publishers/google/models/gemini-2.5-flash:generateContent",
    "claude": f"{simulation.VERTEX}/publishers/anthropic/models/claude-haiku-4-5:rawPredict",
    "google": "/gemini/v1beta/openai/chat/completions",
    "bridge": "/anthropic/v1/chat/completions",
    "groq": "/groq/openai/v1/chat/completions",
}


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a configuration, and gives its path. The environment has a real key, and commands are not run."""
    (tmp_path / "ca.pem").write_text("")
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "OPENROUTER_API_KEY"):
        monkeypatch.setenv(name, REAL)

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError(f"{arguments} is run")

    monkeypatch.setattr(subprocess, "run", refuse)

    def written(text: str) -> str:
        (tmp_path / "mine.yaml").write_text(text)
        return str(tmp_path / "mine.yaml")

    return written


@pytest.fixture
def opened(load: Callable[[str], str]) -> Iterator[Callable[..., LLMClient]]:
    """Makes clients of a configuration's text, ended with the test."""
    clients: list[LLMClient] = []

    def make(text: str = EVERYWHERE, **options: Any) -> LLMClient:
        clients.append(LLMClient.from_config(load(text), **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close(cancel_pending=True, grace=0)


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dialect of somebody else's, at an address of its own."""

    class Acme(OpenAIDialect):
        default_base_url = "https://acme.example/v1"

    monkeypatch.setattr(ProviderFactory, "_classes", dict(ProviderFactory._classes))
    ProviderFactory.register("acme", Acme)


def test_both_sides_know_the_same_doors_and_variables() -> None:
    """They share no code, so each has them."""
    assert simulation.BASE_PATHS == routes.BASE_PATHS
    further = {simulation.VERTEX, simulation.AZURE, simulation.AZURE_CLASSIC, *simulation.COMPATIBLE.values()}
    further |= {
        simulation.BEDROCK_OPENAI,
        routes.FURTHER_BASES["bedrock-anthropic"],
    }  # the latter for clients without a redirection
    assert further == {*routes.FURTHER_BASES.values(), routes.BASE_PATHS["openrouter"]}
    for name in ("URL_VARIABLE", "KEY_VARIABLE", "CA_VARIABLE"):
        assert getattr(simulation, name) == getattr(command, name)


@pytest.mark.parametrize("provider", MODELS)
def test_every_kind_of_provider_is_answered_by_the_simulator(
    rehearsal: Simulator, opened: Callable[..., LLMClient], provider: str, tmp_path: Path
) -> None:
    """At its type's door, with the simulator's key alone; names in answers stay the configuration's."""
    client = opened()
    answer = client.generate("Say hello", f"{provider}/{MODELS[provider]}")
    assert (answer.provider, "Say hello" in answer.text) == (provider, True)
    (record,) = rehearsal.requests
    assert record.path.partition("?")[0] == DOORS.get(provider, "/openai/v1/chat/completions")
    assert REAL not in str(vars(record) if hasattr(record, "__dict__") else record)
    key = os.environ["LLM_SYNC_SIMULATOR_KEY"]
    assert record.key_hash
    assert hashlib.sha256(key.encode()).hexdigest().startswith(record.key_hash)
    assert not (tmp_path / "ran").exists()


def test_listings_go_the_same_way(rehearsal: Simulator, opened: Callable[..., LLMClient]) -> None:
    """Of every provider that has one: none has a path that holds the model, Anthropic on Google Cloud, or as OpenAI."""
    found = opened().list_all_models()
    assert [name for name, listing in found.items() if listing.error or not listing.models] == ["azure", "claude", "bridge"]
    assert {record.method for record in rehearsal.requests} == {"GET"}


def test_the_headers_that_reach_the_simulator(opened: Callable[..., LLMClient], rehearsal: Simulator) -> None:
    """Those that change what is answered; any other may be a key."""
    headers = f"{{anthropic-beta: a, Anthropic-Version: '2023-06-01', X-Own: {REAL}}}"
    config = opened(f"providers: {{usual: {{type: anthropic, headers: {headers}}}}}")._config
    assert config.providers["usual"].headers == {"anthropic-beta": "a", "Anthropic-Version": "2023-06-01"}
    templated = opened("providers: {usual: {type: anthropic, headers: {anthropic-beta: '${OPENAI_API_KEY}'}}}")._config
    assert templated.providers["usual"].headers == {}


def test_keys_in_parameters_are_masked(rehearsal: Simulator, opened: Callable[..., LLMClient]) -> None:
    """Of a search service that the provider is to ask, say; set or not."""
    specific = f"{{sources: [{{endpoint: x, authentication: {{api_key: {REAL}, token: '${{NOBODY_SETS_THIS}}'}}}}]}}"
    client = opened(
        f"""
        defaults: {{provider_specific: {{user: ada, search_key: {REAL}}}}}
        providers: {{gemini: {{}}, openrouter: {{provider_specific: {specific}, models: [m, {{name: n, max_tokens: 5}}]}}}}
        """
    )
    for model in ("m", "n"):
        assert client.generate("x", f"openrouter/{model}").text
    assert REAL not in repr([record.payload for record in rehearsal.requests])
    for record in rehearsal.requests:
        assert record.payload["user"] == "ada"
        assert record.payload["sources"] == [{"endpoint": "x", "authentication": {"api_key": "***", "token": "***"}}]


def test_what_else_a_configuration_says_stays(rehearsal: Simulator, opened: Callable[..., LLMClient]) -> None:
    """Limits, times, models, prices, settings of requests."""
    client = opened(
        """
        providers:
          openai:
            models: [{name: gpt-4o, pricing: {input: 1, output: 2}, timeout: 7}]
            concurrency: 3
            requests_per_minute: 100
            max_queue: 5
            machine_wide: true
            max_response_bytes: 100000
            system_prompt: Be brief.
            max_tokens: 20
            retry_cap: 2
        """
    )
    found = client._config.providers["openai"]
    assert (found.concurrency, found.requests_per_minute, found.max_queue, found.machine_wide) == (3, 100, 5, True)
    assert (found.entry("gpt-4o").attempts.timeout, found.attempts.retry_cap, found.max_response_bytes) == (7, 2, 100000)
    answer = client.generate("Say hello")
    assert answer.cost_estimate
    (record,) = rehearsal.requests
    assert (record.payload["messages"][0]["content"], record.payload["max_tokens"]) == ("Be brief.", 20)


def test_limits_that_processes_share_are_not_those_of_the_real_provider(
    rehearsal: Simulator, opened: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cool-down of a rehearsal holds up no real run."""
    here = opened()._endpoints["openai"].provider.identity()
    monkeypatch.delenv("LLM_SYNC_SIMULATOR_URL")
    assert opened()._endpoints["openai"].provider.identity() != here


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"])
def test_what_is_on_this_machine_is_left_alone(rehearsal: Simulator, opened: Callable[..., LLMClient], address: str) -> None:
    """A second simulator, a local server: address, key and all else are the configuration's."""
    text = f"providers: {{local: {{type: openai, base_url: 'http://{address}:4711/v1', api_key: {REAL}, headers: {{X: y}}}}}}"
    client = opened(text)
    assert client._config == client.config == ConfigLoader().load_config(client.config.file)


def test_the_simulator_itself_may_be_configured(rehearsal: Simulator, opened: Callable[..., LLMClient]) -> None:
    """With a key of the user's, which is the one that is sent: the README rehearses a wrong one so."""
    with pytest.raises(llm_sync.AuthenticationError):
        opened(f"providers: {{work: {{type: openai, base_url: '{rehearsal.url('openai')}', api_key: {REAL}}}}}").generate(
            "x", "work/m"
        )
    assert len(rehearsal.requests) == 1


@pytest.mark.parametrize(
    "entry",
    [
        "base_url: 'http://127.0.0.1.example:4711/v1', allow_insecure: true",
        "base_url: 'https://127.0.0.1.nip.io/v1'",
        "base_url: 'https://localhost.example/v1'",
        "base_url: 'http://169.254.169.254/v1', allow_insecure: true",
        "base_url: 'http://0.0.0.0:4711/v1', allow_insecure: true",
        "base_url: 'https://2130706433/v1'",
        "base_url: '${NOBODY_SETS_THIS}'",
        "base_url: 'http://127.0.0.1:4711/v1', proxy: 'http://proxy.example:3128'",
    ],
)
def test_what_only_looks_like_this_machine_is_not(rehearsal: Simulator, opened: Callable[..., LLMClient], entry: str) -> None:
    """Whatever is not surely here is asked at the simulator, as is what a proxy elsewhere would take for itself."""
    client = opened(f"providers: {{odd: {{type: openai, api_key: {REAL}, {entry}}}}}")
    assert client.generate("x", "odd/m").text
    assert len(rehearsal.requests) == 1


def test_proxies_of_the_environment_see_nothing(
    rehearsal: Simulator, opened: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_PROXY or not."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    assert opened().generate("x").text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://api.openai.com", "names https://api.openai.com, which is not this machine"),
        ("http://169.254.169.254", "not this machine"),
        ("http://0.0.0.0:80", "not this machine"),
        ("http://127.0.0.1.example:80", "not this machine"),
        ("http://2130706433", "not this machine"),
        ("http://user:secret-word@127.0.0.1:80", "user name or a password"),
        ("http://127.0.0.1:80\\@evil.example", "backslash"),
        ("127.0.0.1:8080", "does not begin with"),
        ("file:///etc/passwd", "does not begin with"),
        ("http://127.0.0.1:99999", "invalid host or port"),
        ("http://127.0.0.1:80/elsewhere", "more than host and port"),
        ("http://127.0.0.1:80?a=b", "more than host and port"),
        (" http://127.0.0.1:80", "a space"),
        ("1", "does not begin with"),
    ],
)
def test_a_variable_that_names_anything_but_this_machine(
    opened: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    """Nothing is asked there, and nothing in its place."""
    monkeypatch.setenv("LLM_SYNC_SIMULATOR_URL", url)
    with pytest.raises(ConfigurationError, match="LLM_SYNC_SIMULATOR_URL") as caught:
        opened()
    assert said in str(caught.value)
    assert "secret-word" not in str(caught.value)


def test_an_empty_variable_is_none(opened: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch) -> None:
    """As shells have it."""
    monkeypatch.setenv("LLM_SYNC_SIMULATOR_URL", "")
    assert opened()._config.providers["openai"].base_url is None


def test_a_simulator_that_was_started_by_hand_takes_any_key(
    upstream: Simulator, opened: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its address is enough, with the slash that people put behind it."""
    monkeypatch.setenv("LLM_SYNC_SIMULATOR_URL", f"{upstream.root}/")
    assert opened().generate("x").text
    assert REAL not in repr(upstream.requests)


def test_a_key_that_can_be_none_is_told_by_its_variable(
    rehearsal: Simulator, opened: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that the simulator refuses; neither is shown."""
    for key in ("no key at all", "sk-another-0123456789"):
        monkeypatch.setenv("LLM_SYNC_SIMULATOR_KEY", key)
        with pytest.raises(llm_sync.AuthenticationError, match="LLM_SYNC_SIMULATOR_KEY") as caught:
            opened().generate("x")
        assert key not in f"{caught.value} {caught.value!r}"


def test_a_dialect_without_a_door_is_refused(rehearsal: Simulator, opened: Callable[..., LLMClient], acme: None) -> None:
    """Its host is not asked; the other providers are rehearsed."""
    client = opened("providers: {openai: {}, other: {type: acme, api_key: k-0123456789}}")
    for ask in (lambda: client.generate("x", "other/m"), lambda: client.check_providers(["other"])):
        with pytest.raises(ConfigurationError, match="does not support provider type 'acme'") as caught:
            ask()
        assert caught.value.provider == "other"
    assert client.generate("x", "openai/gpt-4o-mini").text
    assert isinstance(client.list_all_models()["other"].error, ConfigurationError)
    with pytest.raises(ConfigurationError, match="does not support provider type 'acme'"):
        opened("providers: {other: {type: acme, api_key: k-0123456789}}", strict=True)


def test_a_dialect_that_cannot_be_made_without_a_network_is_refused(
    rehearsal: Simulator, opened: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it would go cannot be told, so it is not asked."""

    class Eager(ProviderFactory.provider_class("openai")):  # type: ignore[misc]
        def __init__(self, config: Any, http: Any, retry: Any, **options: Any) -> None:
            super().__init__(config, http, retry, **options)
            http.close()

    monkeypatch.setattr(ProviderFactory, "_classes", dict(ProviderFactory._classes))
    ProviderFactory.register("eager", Eager)
    client = opened(f"providers: {{eager: {{api_key: {REAL}, base_url: 'http://localhost:1/v1'}}}}")
    with pytest.raises(ConfigurationError, match="does not support provider type 'eager'"):
        client.generate("x", "eager/m")


def test_a_dialect_without_a_door_may_be_asked_here(
    rehearsal: Simulator, upstream: Simulator, opened: Callable[..., LLMClient], acme: None
) -> None:
    """Where its base_url is on this machine, nothing is changed."""
    client = opened(f"providers: {{other: {{type: acme, api_key: k-0123456789, base_url: '{upstream.url('openai')}'}}}}")
    assert client.generate("x", "other/m").text
    assert (len(upstream.requests), rehearsal.requests) == (1, [])


def test_a_dialect_that_goes_by_an_address_of_its_own_is_stopped(
    rehearsal: Simulator, opened: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that took a known type's name, say: the connection is what refuses."""

    class Own(OpenAIDialect):
        def url_for(self, model: str) -> str:
            return "https://own.example/v1/chat/completions"

    monkeypatch.setattr(ProviderFactory, "_classes", dict(ProviderFactory._classes))
    ProviderFactory.register("openai", Own)
    with pytest.raises(ConfigurationError, match="would go to https://own.example"):
        opened().generate("x")


def test_strict_asks_for_no_keys(rehearsal: Simulator, opened: Callable[..., LLMClient]) -> None:
    """All that it checks at start is the simulator's."""
    assert opened(strict=True).generate("x").text


def test_streaming_is_refused_as_ever(rehearsal: Simulator, opened: Callable[..., LLMClient]) -> None:
    """The checks of requests do not know where they go."""
    with pytest.raises(llm_sync.StreamingNotSupportedError):
        opened(strict_streaming=True).generate("x", provider_specific={"stream": True})
    assert rehearsal.requests == []


def test_a_warning_says_who_is_answered_by_whom(
    rehearsal: Simulator, opened: Callable[..., LLMClient], caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each client; those that are asked as configured are not among them."""
    opened("providers: {openai: {}, usual: {type: anthropic}, local: {type: openai, base_url: 'http://localhost:1/v1'}}")
    (record,) = caplog.records
    assert (record.levelno, record.name) == (logging.WARNING, "llm_sync.simulated")
    assert record.getMessage() == (
        f"answered by the simulator at {rehearsal.root} (LLM_SYNC_SIMULATOR_URL), not as configured: openai, usual"
    )
    opened("providers: {local: {type: openai, base_url: 'http://localhost:1/v1'}}")
    assert len(caplog.records) == 1


PROGRAM = """
import logging, sys
from llm_sync import ConfigLoader, LLMClient
if sys.argv[1:]:
    logging.basicConfig(format="logged: %(message)s")
for _ in range(2):
    LLMClient(ConfigLoader().load_text("providers: {openai: {}}")).close()
"""


@pytest.mark.parametrize(("logging_is_set_up", "start", "times"), [(False, "llm-sync: ", 1), (True, "logged: ", 2)])
def test_a_program_without_logging_is_told_on_standard_error(
    rehearsal: Simulator, logging_is_set_up: bool, start: str, times: int
) -> None:
    """Nobody is to take such answers for the real ones; a program that logs has it in its log."""
    command = [sys.executable, "-c", PROGRAM, *(["log"] if logging_is_set_up else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    told = f"answered by the simulator at {rehearsal.root} (LLM_SYNC_SIMULATOR_URL), not as configured: openai\n"
    assert done.stderr == f"{start}{told}" * times


def test_it_is_decided_when_the_client_is_made(
    rehearsal: Simulator, opened: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What becomes of the variables afterwards changes nothing, not even the key; and a client made before does not join."""
    client = opened()
    monkeypatch.delenv("LLM_SYNC_SIMULATOR_URL")
    monkeypatch.setenv("LLM_SYNC_SIMULATOR_KEY", REAL)
    before = opened()
    monkeypatch.setenv("LLM_SYNC_SIMULATOR_URL", rehearsal.root)
    assert client.generate("x").text
    assert before._config.providers["openai"].base_url is None


def test_a_client_pickles_as_its_own_configuration(
    rehearsal: Simulator, opened: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process decides by its own environment; a literal key is refused as it would be."""
    client = opened("providers: {openai: {}}")
    assert client.config == ConfigLoader().load_config(client.config.file)
    carried = pickle.dumps(client)
    assert b"sk-simulated" not in carried
    with pickle.loads(carried) as other:  # noqa: S301  (made a line above)
        assert other.generate("x", "openai/gpt-4o-mini").text
    monkeypatch.delenv("LLM_SYNC_SIMULATOR_URL")
    with pickle.loads(carried) as real:  # noqa: S301  (likewise)
        assert real._config.providers["openai"].base_url is None
    with pytest.raises(ConfigurationError, match="cannot be pickled"):
        pickle.dumps(opened())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_is_answered_by_the_simulator_too(rehearsal: Simulator, opened: Callable[..., LLMClient]) -> None:
    """With the parent's client."""
    client = opened()
    assert client.generate("x").text
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if client.generate("y").text else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert len(rehearsal.requests) == 2


def test_the_shared_client_is_rehearsed(rehearsal: Simulator, load: Callable[[str], str]) -> None:
    """``llm_sync.generate(…, config=…)``."""
    try:
        assert llm_sync.generate("x", config=load(EVERYWHERE)).text
    finally:
        llm_sync.close()


def test_over_tls_the_simulators_authority_is_trusted(
    opened: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And no other that the configuration names."""
    with Simulator(tls=True) as started:
        for name, value in command.environment(started, tmp_path, "sk-simulated", os.environ).items():
            monkeypatch.setenv(name, value)
        assert opened().generate("x", "groq/m").text
