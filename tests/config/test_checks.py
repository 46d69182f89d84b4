"""Every problem of a file, in file order, with field, message and hint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llm_sync.config import LLMConfig

Problems = Callable[..., list[str]]
Load = Callable[..., LLMConfig]


def provider(entry: str) -> str:
    """A file with one provider."""
    return f"providers:\n  p:\n    {entry}\n"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("temperature: 3", "temperature: expected a number from 0 to 2, found 3"),
        ("temperature: -0.1", "temperature: expected a number from 0 to 2, found -0.1"),
        ("temperature: .nan", "temperature: expected a number from 0 to 2, found nan"),
        ("temperature: '0.2'", "temperature: expected a number from 0 to 2, found text '0.2' (write it without quotes)"),
        ("temperature: 0,2", "temperature: expected a number from 0 to 2, found text '0,2' (write 0.2)"),
        ("temperature: true", "temperature: expected a number from 0 to 2, found true (yes, no, on and off are not numbers; "),
        ("top_p: 1.01", "top_p: expected a number from 0 to 1, found 1.01"),
        ("max_tokens: 0", "max_tokens: expected a whole number, 1 or more, found 0"),
        ("max_tokens: 1e3", "max_tokens: expected a whole number, 1 or more, found 1000 (write 1000)"),
        ("max_tokens: 1_000", "max_tokens: expected a whole number, 1 or more, found text '1_000' (write 1000)"),
        ("max_tokens: 4k", "max_tokens: expected a whole number, 1 or more, found text '4k' (write 4000)"),
        ("max_tokens: 1.5", "max_tokens: expected a whole number, 1 or more, found 1.5"),
        ("seed: 1.5", "seed: expected a whole number, found 1.5"),
        ("seed: true", "seed: expected a whole number, found true"),
        ("timeout: yes", "timeout: expected seconds, more than 0, at most a year, found text 'yes' (yes, no, on and off are no"),
        (
            "timeout: 12:30",
            "timeout: expected seconds, more than 0, at most a year, found text '12:30' (times are in seconds: write 750)",
        ),
        ("timeout: 5m", "timeout: expected seconds, more than 0, at most a year, found text '5m' (write 300)"),
        ("timeout: 0", "timeout: expected seconds, more than 0, at most a year, found 0"),
        ("timeout: -1", "timeout: expected seconds, more than 0, at most a year, found -1"),
        ("timeout: .inf", "timeout: expected seconds, more than 0, at most a year, found inf"),
        ("timeout: 1e20", "timeout: expected seconds, more than 0, at most a year, found 1e+20"),
        ("timeout: 2024-01-01", "timeout: expected seconds, more than 0, at most a year, found text '2024-01-01'"),
        ("deadline: [5]", "deadline: expected seconds, more than 0, at most a year, found a list"),
        ("max_retries: -1", "max_retries: expected a whole number from 0 to 1000, found -1"),
        ("max_retries: no", "max_retries: expected a whole number from 0 to 1000, found text 'no' (yes, no, on"),
        ("retry_base: -1", "retry_base: expected seconds, 0 or more, at most a year, found -1"),
        ("retry_timeouts: off", "retry_timeouts: expected true or false, found text 'off' (write false)"),
        ("allow_insecure: yes", "allow_insecure: expected true or false, found text 'yes' (write true)"),
        ("allow_insecure: 'true'", "allow_insecure: expected true or false, found text 'true' (write true)"),
        ("concurrency: 0", "concurrency: expected a whole number from 1 to 4096, auto, or {from: 1, to: 64}, found 0"),
        ("requests_per_minute: 0", "requests_per_minute: expected a number more than 0, found 0"),
        ("max_queue: 0", "max_queue: expected a whole number, 1 or more, found 0"),
        ("idle_timeout: 0", "idle_timeout: expected seconds, more than 0, at most a year, found 0"),
        (
            "max_response_bytes: 32 MiB",
            "max_response_bytes: expected a whole number, 1 or more, found text '32 MiB' (write 3.35544e+07)",
        ),
        (
            "models: gpt-4o",
            "models: expected a list of models, found text (as in: models: [NAME, {name: NAME, max_tokens: 4000}])",
        ),
        ("models: {gpt-4o: {}}", "models: expected a list of models, found a mapping (as in: models: [NAME, "),
        ("models: [4.5]", "models[0]: expected a model's name, or a mapping with name, found 4.5 (put it in quotes)"),
        ("models: ['']", "models[0].name: expected a model's name, found empty string"),
        ("models: [{max_tokens: 5}]", "models[0].name: is missing (as in: name: gpt-4o-mini)"),
        ("models: [{name: 5}]", "models[0].name: expected a model's name, found 5 (put it in quotes)"),
        ("models: [{name: a, pricing: 5}]", "models[0].pricing: expected {input: USD, output: USD} per million tokens, found 5"),
        (
            "models: [{name: a, pricing: {input: -1, output: 1}}]",
            "models[0].pricing.input: expected US dollars per million tokens, 0",
        ),
        ("models: [{name: a, pricing: {input: 1}}]", "models[0].pricing.output: is missing"),
        ("models: [{name: a, base_url: x}]", "models[0].base_url: unknown key (it belongs under providers.NAME)"),
        ("models: [a, {name: a}]", "models[1].name: names the same model as models[0] (keep one of them)"),
        ("models: [' a']", "models[0].name: has blanks around it, or a control character in it"),
        ("stop_sequences: 5", "stop_sequences: expected a text or a list of texts, found 5"),
        ("stop_sequences: ['']", "stop_sequences[0]: expected a text that is not empty, found empty string"),
        ("system_prompt: 5", "system_prompt: expected text, found 5 (put it in quotes)"),
        ("provider_specific: [a]", "provider_specific: expected a mapping of payload parameters, found a list"),
        ("provider_specific: {model: x}", "provider_specific.model: is not to be replaced (llm-sync puts model and prompt"),
        ("provider_specific: {messages: []}", "provider_specific.messages: is not to be replaced"),
        (
            "default_params: {provider_specific: {contents: []}}",
            "default_params.provider_specific.contents: is not to be replaced",
        ),
        ("models: [{name: a, provider_specific: {input: x}}]", "models[0].provider_specific.input: is not to be replaced"),
        (
            "default_params: {top_k: 5}",
            "default_params.top_k: unknown key (did you mean top_p? provider-specific parameters go under",
        ),
        ("default_params: {base_url: x}", "default_params.base_url: unknown key (it belongs under providers.NAME)"),
        (
            "{temperature: 1, default_params: {temperature: 1}}",
            "default_params.temperature: is also given by the provider's own temperat",
        ),
        (
            "{provider_specific: {a: 1}, default_params: {provider_specific: {a: 1, b: 2}}}",
            "default_params.provider_specific.a: is also",
        ),
        ("apikey: sk-SECRET", "apikey: unknown key (did you mean api_key? "),
        ("base-url: x", "base-url: unknown key (did you mean base_url? "),
        ("strict: true", "strict: unknown key (it belongs under defaults)"),
        ("sk-SECRET0123456789abcdef: x", "sk-…: unknown key (provider-specific parameters go under provider_specific)"),
        ("api_key: 12345678901234", "api_key: expected text, found 12345678901234 (put it in quotes)"),
        ("api_key: [sk-SECRET]", "api_key: expected text, found a list (as in: api_key: ${OPENAI_API_KEY})"),
        (
            "{api_key: sk-SECRET, api_key_file: x}",
            "api_key_file: cannot be combined with api_key (give exactly one of api_key, api_key_file, api_",
        ),
        ("{api_key_file: x, api_key_command: x}", "api_key_command: cannot be combined with api_key_file (give exactly one of"),
        ("api_key_command: []", "api_key_command: expected a command that prints the key, found empty list"),
        ("api_key_command: [pass, 5]", "api_key_command[1]: expected a word of the command, found 5 (put it in quotes)"),
        ('api_key_command: "pass \'x"', "api_key_command: is not a command line: a quotation is not closed"),
        ("type: ''", "type: expected the name of a dialect, found empty string (as in: type: openai)"),
        ("type: 5", "type: expected the name of a dialect, found 5"),
        ("base_url: api.openai.com/v1", "base_url: is not an http:// or https:// URL with a host (as in: base_url: https://api"),
        ("base_url: ftp://x/v1", "base_url: is not an http:// or https:// URL with a host"),
        ("base_url: 'https:///v1'", "base_url: is not an http:// or https:// URL with a host"),
        ("base_url: 'http://[::1'", "base_url: is not an http:// or https:// URL with a host"),
        ("base_url: 'http://h:99999/'", "base_url: is not an http:// or https:// URL with a host"),
        (
            "base_url: https://SECRET:SECRET@h/v1",
            "base_url: holds a user name or password (keys and passwords do not belong in a URL",
        ),
        ("base_url: https://h/v1?key=SECRET", "base_url: holds a query (write it under query:"),
        ("base_url: https://h/v1#x", "base_url: holds a fragment (#…) (leave it out)"),
        ("base_url: 'https://h/a b'", "base_url: holds a character that no URL has (percent-encode it)"),
        ("base_url: 'https://h/{deployment}'", "base_url: holds a brace ({model} is the one thing that is filled in)"),
        (
            "base_url: https://h/models/m:streamGenerateContent",
            "base_url: asks for streaming (streamGenerateContent) (name the endpoint",
        ),
        ("base_url: https://h/v1?alt=sse", "base_url: asks for streaming (alt=sse) (name the endpoint"),
        *(
            (f"proxy: {url}", "proxy: is not an http:// or https:// URL of a proxy (as in: proxy: http://proxy.example.com:3128)")
            for url in ("proxy.example:3128", "socks5://proxy.example:1080")
        ),
        (
            "ca_bundle: nowhere.pem",
            "ca_bundle: there is no such file (a relative path starts at the configuration file's folder)",
        ),
        ("max_tokens_field: 'max tokens'", "max_tokens_field: is not the name of a payload field"),
        ("headers: {X-A: true}", "headers.X-A: expected text, found true (put it in quotes)"),
        ("headers: {'X A': x}", "headers.X A: is not a header's name (letters, digits and hyphens)"),
        ('headers: {X-A: "SECRET\\nX-B: 1"}', "headers.X-A: holds a line end, another control character, one that is not ASCII"),
        ("headers: {X-A: 'é'}", "headers.X-A: holds a line end"),
        ("headers: {Content-Length: 5}", "headers.Content-Length: is set by llm-sync itself (leave it out)"),
        (
            "auth: {header: Content-Length}",
            "auth.header: is set by llm-sync itself (name the header that the provider reads the key from)",
        ),
        (
            "headers: {x-a: a, X-A: b}",
            "headers.X-A: is given twice (upper and lower case are the same in header names: keep one of them)",
        ),
        ("headers: [a]", "headers: expected a mapping of header names to texts, found a list"),
        ("query: {a: [b]}", "query.a: expected text, found a list"),
        (
            "auth: bearer",
            "auth: expected google-cloud, aws, or a mapping {header, prefix}, found text (as in: auth: {header: api-key})",
        ),
        ("auth: {prefix: x}", "auth.header: is missing"),
        ("auth: {header: 'a b'}", "auth.header: cannot be in a header"),
        ("auth: google-cloud", "auth: google-cloud needs a project (add project: ${GOOGLE_CLOUD_PROJECT})"),
        ("project: x", "project: goes with auth: google-cloud only"),
        ("region: us-east-1", "region: goes with type: bedrock only"),
        ("profile: work", "profile: goes with type: bedrock only"),
        ("auth: aws", "auth: goes with type: bedrock only"),
        ("{type: bedrock, region: evil.example/x}", "region: evil.example/x is not the name of an AWS region"),
        ("{type: bedrock, auth: aws, api_key: k}", "auth: cannot be combined with api_key"),
        ("{type: bedrock, profile: p, api_key_command: k}", "profile: cannot be combined with api_key_command"),
        (
            "system_prompt: 'cost ${5}'",
            "system_prompt: holds an unreadable ${…} (write ${NAME} or ${NAME:-default}, and $$ for a dollar sign)",
        ),
        (
            "timeout: ${NO:-60}",
            "timeout: expected seconds, more than 0, at most a year, found text '60' (variables give texts only: write",
        ),
        ("[a]", "expected a mapping of the provider's settings, found a list"),
        ("sk-SECRET", "expected a mapping of the provider's settings, found text"),
    ],
)
def test_one_mistake_one_problem(problems: Problems, entry: str, expected: str) -> None:
    """Each with its line and path; no text of the file that may be a key is ever shown."""
    (problem,) = problems(provider(entry))
    dot = "." if not expected.startswith("expected") else ": "
    assert problem.startswith(f"x.yaml:3: providers.p{dot}{expected}" if dot == "." else f"x.yaml:2: providers.p: {expected}")
    assert "SECRET" not in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "x.yaml: the file is empty (a configuration is a mapping: providers: {openai: {…}})"),
        ("[a, b]", "x.yaml:1: the file is a list (a configuration is a mapping: providers: {openai: {…}})"),
        ("just text", "x.yaml:1: the file is a single value"),
        ("5", "x.yaml:1: the file is a single value"),
        ("{}", "x.yaml:1: providers: is missing (as in: providers: {openai: {models: [gpt-4o-mini]}})"),
        ("providers:", "x.yaml:1: providers: is missing"),
        ("providers: {}", "x.yaml:1: providers: expected a mapping of provider names to their settings, found empty object"),
        ("providers: [openai]", "x.yaml:1: providers: expected a mapping of provider names to their settings, found a list"),
        ("provider: {p: }\nproviders: {p: }", "x.yaml:1: provider: unknown key (did you mean providers?)"),
        ("timeout: 5\nproviders: {p: }", "x.yaml:1: timeout: unknown key (it belongs under defaults or providers.NAME or"),
        ("defaults: 5\nproviders: {p: }", "x.yaml:1: defaults: expected a mapping, found 5"),
        (
            "defaults: {pricing: 5}\nproviders: {p: }",
            "x.yaml:1: defaults.pricing: unknown key (it belongs under providers.NAME.models[…])",
        ),
        ("defaults: {model: 5}\nproviders: {p: }", "x.yaml:1: defaults.model: expected a model's name, found 5"),
        ("defaults: {strict: 1}\nproviders: {p: }", "x.yaml:1: defaults.strict: expected true or false, found 1 (write true)"),
        (
            "defaults: {provider_specific: {prompt: x}}\nproviders: {p: }",
            "x.yaml:1: defaults.provider_specific.prompt: is not to be repl",
        ),
        ("providers: {a/b: }", "x.yaml:1: providers.a/b: is not a provider's name (a name has no slash"),
        ("providers: {' a': }", "x.yaml:1: providers. a: is not a provider's name"),
        ('providers: {"a\\nb": }', "x.yaml:1: providers.a\\nb: is not a provider's name"),
    ],
)
def test_mistakes_around_the_providers(problems: Problems, text: str, expected: str) -> None:
    """Root, defaults and names."""
    (problem,) = problems(text)
    assert problem.startswith(expected)


def test_all_problems_come_at_once_in_file_order(problems: Problems) -> None:
    """Form, schema and relations together, each at its line."""
    reported = problems(
        """\
        defaults:
          temperature: 3
          retry: 5
        providers:
          a:
            timeout: yes
            timeout: 5
            provider_specific: {model: x}
          b:
            models: gpt-4o
            base_url: nowhere
            headers: {X: !!binary aGk=}
        extra: 1
        """
    )
    assert [problem.split(": ")[0] for problem in reported] == [f"x.yaml:{line}" for line in (2, 3, 6, 7, 8, 10, 11, 12, 13)]


def test_a_problem_in_an_alias_is_reported_where_it_is_used(problems: Problems) -> None:
    """Paths are those of the use, lines those of the text."""
    reported = problems("providers:\n  a: &a\n    temperature: 3\n  b: *a\n  c:\n    <<: *a\n")
    assert [problem.split(": expected")[0] for problem in reported] == [
        f"x.yaml:3: providers.{name}.temperature" for name in "abc"
    ]


def test_unset_variables_are_no_problems(load: Load) -> None:
    """Not even where the text as it is could not stand: base_url, proxy, ca_bundle, max_tokens_field, type."""
    config = load(
        """\
        providers:
          p:
            type: ${T}
            base_url: ${HOST}/v1
            proxy: ${PROXY}
            ca_bundle: ${CA}/x.pem
            max_tokens_field: ${FIELD}
            auth: {header: "${HEADER}"}
        """
    )
    unset = [(unset.variable, unset.field, unset.line) for unset in config.providers["p"].unset]
    assert unset[:2] == [("T", "providers.p.type", 3), ("HOST", "providers.p.base_url", 4)]


def test_a_ca_bundle_beside_the_file_is_found(tmp_path: Path) -> None:
    """Relative paths start at the configuration's folder, not at the current one."""
    from llm_sync.config import ConfigLoader

    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "ca.pem").touch()
    (folder / "x.yaml").write_text(provider("ca_bundle: ca.pem"))
    assert ConfigLoader().load_config(folder / "x.yaml").providers["p"].ca_bundle == str(folder / "ca.pem")
