"""Which file is read, and what becomes of it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import llm_sync
from llm_sync.config import Auth, ConfigLoader, LLMConfig, Pricing
from llm_sync.errors import AuthenticationError, ConfigurationError
from llm_sync.models import AttemptOptions

Load = Callable[..., LLMConfig]
Write = Callable[..., Path]
MINIMAL = "providers: {p: {models: [%s]}}"


def model_of(config: LLMConfig) -> str:
    """Which file was read."""
    return config.providers["p"].models[0].name


# Finding --------------------------------------------------------------------------------------------------------------


def test_the_search_path_is_walked_in_order(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """$LLM_SYNC_CONFIG_DIR, ./config/llms, the user's folder; the first that has the name."""
    loader = ConfigLoader()
    user = loader.search_path()[-1]
    assert user.name == "llm-sync"
    write(MINIMAL % "user", str(user / "default-llms.yaml"))
    assert model_of(loader.load_config()) == "user"
    write(MINIMAL % "local", "config/llms/default-llms.yml")
    assert model_of(loader.load_config()) == "local"
    write(MINIMAL % "named", "elsewhere/default-llms.yaml")
    monkeypatch.setenv("LLM_SYNC_CONFIG_DIR", str(tmp_path / "elsewhere"))
    assert model_of(loader.load_config()) == "named"
    assert model_of(loader.load_config("default-llms")) == "named"


def test_a_folder_of_its_own_is_looked_in_alone(write: Write, tmp_path: Path) -> None:
    """``--config-dir`` hides all others."""
    write(MINIMAL % "local", "config/llms/default-llms.yaml")
    with pytest.raises(ConfigurationError, match="no configuration named 'default-llms' in"):
        ConfigLoader(tmp_path / "own").load_config()
    write(MINIMAL % "own", "own/default-llms.yaml")
    assert model_of(ConfigLoader(tmp_path / "own").load_config()) == "own"


def test_yaml_comes_before_yml(write: Write, tmp_path: Path) -> None:
    """Where a folder has both."""
    write(MINIMAL % "yml", "a.yml")
    assert model_of(ConfigLoader(tmp_path).load_config("a")) == "yml"
    write(MINIMAL % "yaml", "a.yaml")
    assert model_of(ConfigLoader(tmp_path).load_config("a")) == "yaml"


def test_the_variable_names_the_configuration(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """$LLM_SYNC_CONFIG is a name or a path; an argument beats it; empty is as good as unset."""
    path = write(MINIMAL % "x", "x.yaml")
    write(MINIMAL % "named", "config/llms/named.yaml")
    write(MINIMAL % "default", "config/llms/default-llms.yaml")
    monkeypatch.setenv("LLM_SYNC_CONFIG", str(path))
    assert model_of(ConfigLoader().load_config()) == "x"
    assert model_of(ConfigLoader().load_config("default-llms")) == "default"
    monkeypatch.setenv("LLM_SYNC_CONFIG", "named")
    assert model_of(ConfigLoader().load_config()) == "named"
    monkeypatch.setenv("LLM_SYNC_CONFIG", "")
    assert model_of(ConfigLoader().load_config()) == "default"


def test_paths_are_taken_as_paths(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a slash, or ending in .yaml or .yml, or a Path object; ``~`` is the home folder."""
    path = write(MINIMAL % "x", "x.yaml")
    write(MINIMAL % "odd", "conf/odd")
    write(MINIMAL % "odd", "odd")
    for name in ("x.yaml", "./x.yaml", str(path), path, "conf/odd", Path("odd")):
        assert model_of(ConfigLoader("/nowhere").load_config(name)) in ("x", "odd")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert model_of(ConfigLoader().load_config("~/x.yaml")) == "x"
    with pytest.raises(ConfigurationError) as caught:
        ConfigLoader().load_config("no.yaml")
    assert str(caught.value.problems[0]) == f"no.yaml: there is no such file (looked in {os.getcwd()})"


@pytest.mark.parametrize("name", ["", "no", "a\0b", "x" * 5000, ".", "..", "ünï"])
def test_impossible_names_are_configuration_errors(name: str) -> None:
    """None of them is another exception."""
    with pytest.raises(ConfigurationError):
        ConfigLoader().load_config(name)


def test_an_unknown_name_gets_the_nearest(write: Write) -> None:
    """And the folders that were looked in, and what to do."""
    write(MINIMAL % "x", "config/llms/openai.yaml")
    with pytest.raises(ConfigurationError, match="named 'opnai' in .*config.llms, .*Did you mean openai"):
        ConfigLoader().load_config("opnai")


def test_a_folder_in_place_of_the_file_is_reported(tmp_path: Path) -> None:
    """As a path and as a name."""
    (tmp_path / "a.yaml").mkdir()
    for loader, name in ((ConfigLoader(), str(tmp_path / "a.yaml")), (ConfigLoader(tmp_path), "a")):
        with pytest.raises(ConfigurationError, match="is a folder, not a file"):
            loader.load_config(name)


def test_a_dangling_link_is_reported(tmp_path: Path) -> None:
    """Rather than falling through to a file of the same name elsewhere."""
    (tmp_path / "a.yaml").symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigurationError, match="there is no such file"):
        ConfigLoader(tmp_path).load_config("a")


def test_configurations_are_listed_in_the_order_they_are_found(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Names; a file hidden by another of its name by its path; each can be loaded as listed."""
    assert ConfigLoader().list_available_configs() == []
    write(MINIMAL % "m1", "first/b.yaml")
    write(MINIMAL % "m2", "first/a.yml")
    write(MINIMAL % "m3", "config/llms/b.yaml")
    write(MINIMAL % "m4", "config/llms/c.yaml")
    write("x", "config/llms/notes.txt")
    write("x", "config/llms/.hidden.yaml")
    (tmp_path / "config/llms/folder.yaml").mkdir()
    monkeypatch.setenv("LLM_SYNC_CONFIG_DIR", "first")
    names = ConfigLoader().list_available_configs()
    assert names == ["a", "b", "./config/llms/b.yaml", "c"]
    assert [model_of(ConfigLoader().load_config(name)) for name in names] == ["m2", "m1", "m3", "m4"]
    assert ConfigLoader("config/llms").list_available_configs() == ["b", "c"]


# Levels ---------------------------------------------------------------------------------------------------------------


def test_a_whole_file(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key finds its place."""
    monkeypatch.setenv("KEY", "sk-good")
    config = load(
        """\
        defaults: {model: a/m, strict: true, timeout: 10}
        providers:
          a:
            type: openai
            api_key: ${KEY}
            base_url: http://localhost:1/v1/{model}
            models: [m, {name: n, pricing: {input: 2, output: 8.5}}]
            headers: {X-N: 5, X-T: "yes"}
            query: {api-version: 2024-10-21, flag: true, n: 1}
            auth: {header: api-key, prefix: Key}
            max_tokens_field: max_tokens
            proxy: http://u:p@proxy:1080
            allow_insecure: true
            max_response_bytes: 1000
            concurrency: 4
            requests_per_minute: 0.5
            max_queue: 7
            idle_timeout: 1
          g: {type: gemini, auth: google-cloud, project: x, location: us}
          bare:
        """
    )
    a, g, bare = config.providers.values()
    assert (config.default_model, config.strict, config.strict_streaming, config.file) == ("a/m", True, False, "x.yaml")
    assert (a.name, a.type, a.base_url, a.line) == ("a", "openai", "http://localhost:1/v1/{model}", 3)
    assert a.key is not None
    assert a.key.reveal() == "sk-good"
    assert a.key.source == "KEY (x.yaml:5)"
    assert a.headers == {"X-N": "5", "X-T": "yes"}
    assert a.query == {"api-version": "2024-10-21", "flag": "true", "n": "1"}
    assert isinstance(a.auth, Auth)
    assert a.auth.value("k") == "Key k"
    assert (a.proxy, a.allow_insecure, a.max_response_bytes) == ("http://u:p@proxy:1080", True, 1000)
    assert (a.concurrency, a.requests_per_minute, a.max_queue, a.idle_timeout) == (4, 0.5, 7, 1)
    assert (a.max_tokens_field, a.models[1].pricing) == ("max_tokens", Pricing(2, 8.5))
    assert (g.auth, g.project, g.location, g.key) == ("google-cloud", "x", "us", None)
    assert (bare.type, bare.models, bare.base_url, bare.concurrency, bare.max_response_bytes) == ("bare", (), None, 1, 32 * 2**20)
    assert bare.attempts == AttemptOptions(timeout=10.0)
    assert config.lines["providers.a.models[1].pricing.output"] == 7


def test_the_nearest_level_wins(load: Load) -> None:
    """Model entry, provider (or its default_params), defaults; provider_specific key by key."""
    config = load(
        """\
        defaults:
          {temperature: 0.1, top_p: 0.1, seed: 1, max_tokens: 1, timeout: 1, max_retries: 1,
           stop_sequences: a, provider_specific: {a: 1, b: 1, c: 1}}
        providers:
          p:
            temperature: 0.2
            default_params: {top_p: 0.2, deadline: 2, retry_timeouts: false}
            timeout: 2
            provider_specific: {b: 2, c: 2}
            models:
              - plain
              - {name: own, temperature: 0, timeout: 3, stop_sequences: [x, y], system_prompt: "", provider_specific: {c: null}}
        """
    )
    p = config.providers["p"]
    plain, own = p.models
    assert (plain.defaults, plain.attempts) == (p.defaults, p.attempts)
    assert (p.defaults.temperature, p.defaults.top_p, p.defaults.seed, p.defaults.max_tokens) == (0.2, 0.2, 1, 1)
    assert p.defaults.stop_sequences == ("a",)
    assert p.defaults.system_prompt is None
    assert p.defaults.provider_specific == {"a": 1, "b": 2, "c": 2}
    assert p.attempts == AttemptOptions(timeout=2.0, deadline=2.0, max_retries=1, retry_timeouts=False)
    assert (own.defaults.temperature, own.defaults.system_prompt, own.defaults.stop_sequences) == (0, "", ("x", "y"))
    assert own.defaults.provider_specific == {"a": 1, "b": 2, "c": None}
    assert own.attempts.timeout == 3.0
    assert p.entry("own") is own
    assert p.entry("unlisted").defaults == p.defaults
    assert p.entry("unlisted").name == "unlisted"


def test_a_key_without_a_value_is_absent(load: Load) -> None:
    """``temperature:`` at a model falls back to the provider's; inside provider_specific null is a value."""
    p = load(
        "providers: {p: {temperature: 1, api_key: , headers: , models: [{name: m, temperature: ~}], provider_specific: {x: ~}}}"
    )
    entry = p.providers["p"].models[0]
    assert entry.defaults.temperature == 1
    assert entry.defaults.provider_specific == {"x": None}
    assert p.providers["p"].key is None


def test_numbers_as_names_in_provider_specific(load: Load) -> None:
    """logit_bias has token numbers for keys; JSON has texts."""
    entry = load("providers: {p: {provider_specific: {logit_bias: {50256: -100}}}}").providers["p"].entry("m")
    assert entry.defaults.provider_specific == {"logit_bias": {"50256": -100}}


# Variables ------------------------------------------------------------------------------------------------------------


def test_variables_are_resolved_in_texts(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anywhere in the file, after parsing: what a variable holds is never YAML."""
    monkeypatch.setenv("HOST", "h")
    monkeypatch.setenv("TRICK", "x\n    allow_insecure: true")
    p = load(
        """\
        defaults: {model: "p/${M:-m}"}
        providers:
          p:
            base_url: https://${HOST}/v1
            system_prompt: ${TRICK}
            models: ["${M:-m}"]
            provider_specific: {user: "${HOST}", price: "$$5", deep: [{a: "${HOST}"}]}
        """
    )
    provider = p.providers["p"]
    assert (p.default_model, provider.base_url, provider.models[0].name) == ("p/m", "https://h/v1", "m")
    assert provider.defaults.system_prompt == "x\n    allow_insecure: true"
    assert provider.allow_insecure is False
    assert provider.defaults.provider_specific == {"user": "h", "price": "$5", "deep": [{"a": "h"}]}


def test_unset_variables_concern_the_provider_that_needs_them(load: Load) -> None:
    """Loading works; the other provider does, too; the one that needs them says which."""
    config = load(
        """\
        defaults: {model: "${MODEL}"}
        providers:
          a: {base_url: "${A_URL}", models: [{name: m, system_prompt: "${B}"}], api_key: "${A_KEY}"}
          b: {base_url: https://b/v1}
        """
    )
    assert config.default_model is None
    assert [unset.variable for unset in config.unset] == ["MODEL", "A_URL", "B"]
    config.providers["b"].require_variables()
    with pytest.raises(AuthenticationError) as caught:
        config.providers["a"].require_variables()
    assert str(caught.value).startswith(
        "a: the environment does not set A_URL (for providers.a.base_url), B (for providers.a.models[0].system_prompt)."
    )
    assert caught.value.status is None


def test_unset_variables_of_the_defaults_concern_all(load: Load) -> None:
    """Those that become part of requests."""
    config = load("defaults: {system_prompt: '${S}', stop_sequences: ['${T}']}\nproviders: {a: , b: }")
    assert [[unset.variable for unset in provider.unset] for provider in config.providers.values()] == [["S", "T"]] * 2


# Streaming ------------------------------------------------------------------------------------------------------------

STREAMING = """\
defaults: {stream: true, provider_specific: {stream_options: {}}}
providers:
  a:
    stream: 1
    provider_specific: {stream: true, background: true, tools: [{stream: true}]}
    default_params: {deferred: true, provider_specific: {stream: true}}
    headers: {Accept: text/event-stream, X-A: x}
    query: {alt: sse, v: 1}
    models: [m, {name: n, stream_options: {include_usage: true}}]
  b:
    stream: false
    provider_specific: {stream: no, stream_options: null}
background: true
"""


def test_switches_are_stripped_with_a_warning(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    """Wherever they stand; one for each place, with file, line and parameters, logged once."""
    with caplog.at_level(logging.WARNING, "llm_sync.config"):
        config = load(STREAMING)
    places = [
        "x.yaml:1: defaults: stream",
        "x.yaml:1: defaults.provider_specific: stream_options",
        "x.yaml:4: providers.a: stream",
        "x.yaml:5: providers.a.provider_specific: stream and background",
        "x.yaml:6: providers.a.default_params: deferred",
        "x.yaml:6: providers.a.default_params.provider_specific: stream",
        "x.yaml:7: providers.a.headers: Accept",
        "x.yaml:8: providers.a.query: alt",
        "x.yaml:9: providers.a.models[1]: stream_options",
        "x.yaml:13: background",
    ]
    assert config.warnings == tuple(f"{place}: left out, llm-sync never streams" for place in places)
    assert [(record.name, record.levelno, record.getMessage()) for record in caplog.records] == [
        ("llm_sync.config", logging.WARNING, warning) for warning in config.warnings
    ]
    a, b = config.providers.values()
    assert a.defaults.provider_specific == {"tools": [{"stream": True}]}
    assert (a.headers, a.query) == ({"X-A": "x"}, {"v": "1"})
    assert b.defaults.provider_specific == {}


def test_what_was_stripped_stays_known_per_model(load: Load) -> None:
    """For the adjustments of every answer: by model, with the levels it inherits from."""
    config = load(STREAMING)
    a, b = config.providers.values()
    shared = {
        "stream": True,
        "stream_options": {},
        "background": True,
        "deferred": True,
        "Accept": "text/event-stream",
        "alt": "sse",
    }
    assert a.stripped == a.models[0].stripped == a.entry("unlisted").stripped == shared
    assert a.models[1].stripped == {**shared, "stream_options": {"include_usage": True}}
    assert b.stripped == {"stream": True, "stream_options": {}, "background": True}


def test_switches_that_are_off_are_no_matter(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    """``stream: false``, ``no`` or null is stripped without a word, strict or not."""
    text = "providers: {p: {stream: false, provider_specific: {stream: off, background: ~}}}"
    for options in ({}, {"strict_streaming": True}):
        config = load(text, **options)
        assert config.warnings == ()
        assert config.providers["p"].stripped == {}
        assert config.providers["p"].defaults.provider_specific == {}
    assert caplog.records == []


def test_strict_streaming_makes_problems_of_them(problems: Callable[..., list[str]]) -> None:
    """One for each switch, at its line, whether the file or the caller is strict."""
    text = "defaults: {strict_streaming: %s}\n"
    text += "providers:\n  p:\n    provider_specific:\n      stream: true\n      stream_options: {}\n"
    expected = [
        f"x.yaml:{line}: providers.p.provider_specific.{name}: asks for streaming (strict_streaming is on: leave it out)"
        for line, name in ((5, "stream"), (6, "stream_options"))
    ]
    assert problems(text % "true") == expected
    assert problems(text % "false", strict_streaming=True) == expected


def test_an_aliased_mapping_is_stripped_at_both_ends(load: Load) -> None:
    """Shared by an anchor, or merged."""
    config = load("providers:\n  a: &a {provider_specific: {stream: true, x: 1}}\n  b: *a\n  c: {<<: *a}\n")
    assert [provider.defaults.provider_specific for provider in config.providers.values()] == [{"x": 1}] * 3


# Errors ---------------------------------------------------------------------------------------------------------------


def test_the_error_lists_all_problems(write: Write) -> None:
    """Under one line that names the file."""
    path = write("providers:\n  p:\n    temperature: 3\n    apikey: x\n")
    with pytest.raises(ConfigurationError) as caught:
        ConfigLoader().load_config(path)
    own = "provider-specific parameters go under provider_specific"
    assert str(caught.value).splitlines() == [
        f"2 problems with {path}",
        f"  {path}:3: providers.p.temperature: expected a number from 0 to 2, found 3",
        f"  {path}:4: providers.p.apikey: unknown key (did you mean api_key? {own})",
    ]


def test_no_key_shows_in_any_problem_or_repr(
    load: Load, problems: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it was put by mistake."""
    key = "sk-MARKER0123456789abcdefghij"
    monkeypatch.setenv("K", key)
    places = (
        "temperature",
        "timeout",
        "models",
        "base_url",
        "auth",
        "max_tokens",
        "seed",
        "concurrency",
        "default_params",
        "pricing",
    )
    lines = [f"    {place}: {value}\n" for place, value in zip(places, [key, "${K}"] * 5, strict=True)]
    text = "providers:\n  p:\n" + "".join(lines) + f"    {key}: x\n    headers: {{'a b': {key}, '{key} ': x}}\n    proxy: {key}\n"
    assert not any("MARKER" in problem for problem in problems(text))
    config = load(
        f"providers: {{p: {{api_key: {key}, headers: {{X-Key: {key}}}, query: {{key: '${{K}}'}}, proxy: 'http://u:{key}@p'}},"
        f" q: {{api_key: '${{K}}'}}, r: {{api_key_command: 'echo {key}'}}}}"
    )
    assert "MARKER" not in repr(config)


HEAVY = ("requests", "urllib3", "asyncio", "tenacity", "llm_sync.transport", "llm_sync.providers")


def loaded_by(code: str, *modules: str) -> str:
    """Which of the modules a fresh interpreter has loaded after the code."""
    code = f"import sys\n{code}\nprint([name for name in {modules!r} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(Path(llm_sync.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


def test_loading_imports_no_http(write: Write) -> None:
    """``validate`` and listings stay quick: no requests, no asyncio."""
    path = write(MINIMAL % "m")
    code = (
        "from llm_sync.config import ConfigLoader, ConfigValidator\n"
        f"config = ConfigLoader().load_config({str(path)!r})\n"
        "ConfigValidator(['p']).validate_config(config)"
    )
    assert loaded_by(code, *HEAVY) == "[]"


def test_the_models_load_without_yaml_and_cerberus() -> None:
    """Providers need the dataclasses, not the reader."""
    assert loaded_by("from llm_sync.config import LLMConfig, Secret", "yaml", "cerberus", *HEAVY) == "[]"


def test_with_the_known_types_everything_is_reported_at_once(tmp_path):
    """An unknown type, plain http and an unroutable default model stand beside the file's other problems, in its order."""
    path = tmp_path / "x.yaml"
    path.write_text(
        "defaults: {model: nowhere, timeout: yes}\n"
        "providers:\n"
        "  a:\n"
        "    type: opnai\n"
        "    models: [m]\n"
        "    colour: red\n"
        "  b:\n"
        "    type: openai\n"
        "    models: [n]\n"
        "    base_url: http://example.com/v1\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        ConfigLoader(known_types=lambda wanted: {"openai", *wanted} - {"opnai"}).load_config(str(path))
    reported = [(problem.line, problem.field) for problem in caught.value.problems]
    assert reported == [
        (1, "defaults.timeout"),
        (1, "defaults.model"),
        (4, "providers.a.type"),
        (6, "providers.a.colour"),
        (10, "providers.b.base_url"),
    ]
    assert "did you mean openai?" in str(caught.value)
