"""What shows beside the known dialects and in this environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llm_sync.config import ConfigLoader, ConfigValidator, LLMConfig

Load = Callable[..., LLMConfig]
KNOWN = ("openai", "openai-responses", "anthropic", "gemini", "openrouter")


def problem_texts(config: LLMConfig) -> list[str]:
    """The problems as texts."""
    return [str(problem) for problem in ConfigValidator(KNOWN).validate_config(config)]


def environment(config: LLMConfig) -> list[str]:
    """The problems of the environment as texts."""
    return [str(problem) for problem in ConfigValidator(KNOWN).validate_environment_variables(config)]


def test_a_good_configuration_has_no_problem(load: Load) -> None:
    """Types by name or by ``type:``."""
    assert problem_texts(load("defaults: {model: openai/x}\nproviders: {openai: , mine: {type: openrouter}}")) == []


def test_unknown_types_get_the_nearest_known(load: Load) -> None:
    """At the line of ``type:``, or of the entry whose name should have been one."""
    config = load("providers:\n  opnai:\n  mine:\n    type: antropic\n  other:\n    base_url: https://x/v1\n")
    known = "known are anthropic, gemini, openai, openai-responses, openrouter"
    assert problem_texts(config) == [
        f"x.yaml:2: providers.opnai: unknown provider type 'opnai' (did you mean openai? {known})",
        f"x.yaml:4: providers.mine.type: unknown provider type 'antropic' (did you mean anthropic? {known})",
        (
            f"x.yaml:5: providers.other: unknown provider type 'other' "
            f"(add type: to the entry, or install the package that offers 'other'; {known})"
        ),
    ]


def test_no_type_is_judged_where_none_is_known(load: Load) -> None:
    """Everything else is."""
    config = load("providers:\n  mine:\n    type: antropic\n    base_url: http://example.com/v1\n")
    assert [problem.field for problem in ConfigValidator().validate_config(config)] == ["providers.mine.base_url"]


def test_a_type_from_an_unset_variable_is_no_unknown_type(load: Load) -> None:
    """It is an unset variable, which the other check reports."""
    config = load("providers: {openai: {type: '${T}'}}")
    assert problem_texts(config) == []
    assert environment(config) == [
        "x.yaml:1: providers.openai.type: the environment variable T is not set (set it, or write a default: ${T:-…})"
    ]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("a/anything", None),
        ("only-a", None),
        ("meta/llama", None),
        ("both", "both is listed by a and b (write a/both)"),
        ("onlya", "no provider lists onlya (did you mean only-a?)"),
        ("zzz", "no provider lists zzz (write PROVIDER/MODEL, with PROVIDER one of a, b)"),
        ("c/only-a", "no provider lists c/only-a (did you mean a/only-a?)"),
    ],
)
def test_the_default_model_can_be_routed(load: Load, model: str, expected: str | None) -> None:
    """``provider/model`` always, a bare name where exactly one provider lists it."""
    config = load(
        f"defaults:\n  model: {model}\nproviders:\n  a: {{type: openai, models: [only-a, both]}}\n"
        "  b: {type: openai, models: [both, meta/llama]}\n"
    )
    assert problem_texts(config) == ([] if expected is None else [f"x.yaml:2: defaults.model: {expected}"])


def test_a_provider_without_models_takes_any_name(load: Load) -> None:
    """So a bare default model is no problem if there is one."""
    assert problem_texts(load("defaults: {model: any}\nproviders: {openai: , anthropic: {models: [x]}}")) == []


@pytest.mark.parametrize(
    ("entry", "count"),
    [
        ("base_url: http://example.com/v1", 1),
        ("base_url: http://192.168.1.5/v1", 1),
        ("base_url: http://localhost.example.com/v1", 1),
        ("base_url: http://127.0.0.1.example.com/v1", 1),
        ("base_url: http://x.localhost/v1", 1),
        ("base_url: https://example.com/v1", 0),
        ("{base_url: http://example.com/v1, allow_insecure: true}", 0),
        ("base_url: http://localhost:8080/v1", 0),
        ("base_url: http://127.0.0.1/v1", 0),
        ("base_url: 'http://[::1]:8080/v1'", 0),
        ("base_url: 'http://[::ffff:127.0.0.1]/v1'", 0),
        ("base_url: http://LOCALHOST./v1", 0),
    ],
)
def test_plain_http_is_reported_before_it_is_refused(load: Load, entry: str, count: int) -> None:
    """Anything but loopback, unless allowed."""
    reported = problem_texts(load(f"providers:\n  openai:\n    {entry}\n"))
    assert len(reported) == count
    assert all(problem.startswith("x.yaml:3: providers.openai.base_url: plain http://") for problem in reported)


def test_keys_are_checked_on_request(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset, impossible and unobtainable ones, each at its line, none shown; good ones and absent ones pass."""
    monkeypatch.setenv("GOOD", "sk-good")
    monkeypatch.setenv("BAD", "sk-MARKER bad")
    config = load(
        """\
        providers:
          a: {type: openai, api_key: "${GOOD}"}
          b: {type: openai, api_key: "${BAD}"}
          c: {type: openai, api_key: "${NO_KEY}", base_url: "${NO_URL}"}
          d: {type: openai, api_key_file: /no/such/file}
          e: {type: openai}
          f: {type: openai, api_key: your-key-here}
        """
    )
    reported = environment(config)
    assert [problem.split(" ")[0:2] for problem in reported] == [
        ["x.yaml:3:", "providers.b.api_key:"],
        ["x.yaml:4:", "providers.c.base_url:"],
        ["x.yaml:4:", "providers.c.api_key:"],
        ["x.yaml:5:", "providers.d.api_key_file:"],
        ["x.yaml:7:", "providers.f.api_key:"],
    ]
    assert "NO_KEY is not set (set it in the environment" in reported[2]
    assert "MARKER" not in "".join(reported)


def test_key_commands_are_not_run(write: Callable[..., Path], tmp_path: Path) -> None:
    """Only whether their program exists is checked: validating a file does nothing that the file says."""
    marker = tmp_path / "ran"
    config = ConfigLoader().load_config(
        write(
            f"""
            providers:
              runs: {{type: openai, api_key_command: [touch, {marker}]}}
              text: {{type: openai, api_key_command: "touch {marker}"}}
              missing: {{type: openai, api_key_command: no-such-program-anywhere}}
              relative: {{type: openai, api_key_command: ./no-such-script}}
              unset: {{type: openai, api_key_command: [touch, "${{NO_SUCH_VARIABLE}}"]}}
            """
        )
    )
    problems = {problem.field: problem.message for problem in ConfigValidator().validate_environment_variables(config)}
    assert problems == {
        "providers.missing.api_key_command": "api_key_command no-such-program-anywhere cannot be run: there is no such program",
        "providers.relative.api_key_command": "api_key_command no-such-script cannot be run: there is no such program",
        "providers.unset.api_key_command": "the environment variable NO_SUCH_VARIABLE is not set",
    }
    assert not marker.exists()
