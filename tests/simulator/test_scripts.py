"""Loading behaviour scripts: the included ones, and every mistake that a script can have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llm_sync.cli.options import simulate
from llm_sync.errors import ConfigurationError
from llm_sync.simulator import Simulator
from llm_sync.simulator.faults.script import load_script, shipped
from llm_sync.simulator.faults.script_schema import ACTIONS
from llm_sync.validation.document import MAX_BYTES

RULE = "rules:\n  - {error: overloaded}\n"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)
DEEP = "a: &a [x]\n" + "".join(f"k{n}: &k{n} [*{'a' if not n else f'k{n - 1}'}]\n" for n in range(60))


def told(content: str | bytes, tmp_path: Path) -> list[str]:
    """The problems of a script with this content, without the file's name."""
    path = tmp_path / "s.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigurationError, match="cannot be used") as caught:
        load_script(path)
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


def rule(text: str) -> str:
    """A script with one rule, in line 2."""
    return f"rules:\n  - {{{text}}}\n"


@pytest.mark.parametrize("name", shipped())
def test_shipped_scripts_load_and_say_what_they_are(name):
    """Every included script loads by its name and has a description."""
    script = load_script(name)
    assert script.description
    assert script.rules


def test_the_four_are_there_and_named_in_the_help():
    """The command's help names the included scripts."""
    assert shipped() == ["bad-day", "calm", "hostile", "rate-limited"]
    listed = re.search(r"Included are ([\w, -]+)\.", re.sub(r"\s+", " ", simulate._EXAMPLES))
    assert listed
    assert sorted(re.split(r", | and ", listed[1])) == shipped()


def test_hostile_does_everything():
    """``hostile`` has every action that is a fault."""
    assert {rule.action.name for rule in load_script("hostile").rules} == set(ACTIONS) - {"latency", "rate_limit"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (rule("eror: auth"), "2: rules[0].eror: unknown key (did you mean error?)"),
        (rule("when: {prompt: '('}, empty: true"), "2: rules[0].when.prompt: is not a regular expression: missing ), unter"),
        (rule("when: {probability: 2}, empty: true"), "2: rules[0].when.probability: expected a number greater than 0"),
        (rule("when: {probability: 0}, empty: true"), "expected a number greater than 0, at most 1, found 0"),
        (rule("when: {probability: .nan}, empty: true"), "expected a number greater than 0, at most 1, found nan"),
        (rule("when: {share: -1}, empty: true"), "expected a number greater than 0, at most 1, found -1"),
        (rule("when: {probability: true}, empty: true"), "expected a number greater than 0, at most 1, found true"),
        ("- {error: auth}\n", "1: a script is a mapping, this is a list (begin it with rules:)"),
        ("just text\n", "1: a script is a mapping, this is a single value"),
        ("", "a script is a mapping, this is nothing"),
        ("# only a comment\n", "a script is a mapping, this is nothing"),
        ("rules: []\n", "1: rules: expected a list of 1 to 1000 rules, found empty list"),
        ("rules: {error: auth}\n", "1: rules: expected a list of 1 to 1000 rules, found a mapping"),
        ("rules:\n  - auth\n", "2: rules[0]: expected a mapping with an action and its conditions, found 'auth'"),
        ("rules:\n  -\n", "2: rules[0]: expected a mapping"),
        ("seed: x\n" + RULE, "1: seed: expected a whole number, found 'x'"),
        ("sed: 1\n" + RULE, "1: sed: unknown key (did you mean seed?)"),
        (rule("error: auth, status: 500"), "2: rules[0]: a rule has one action, this one has error and status"),
        (rule("name: x"), "2: rules[0]: the rule has no action (one of latency, rate_limit, error"),
        (rule("when: {provider: opnai}, empty: true"), "2: rules[0].when.provider: expected a provider, or a list, of openai"),
        (rule("when: {provider: [openai, cohere]}, empty: true"), "2: rules[0].when.provider: expected a provider"),
        (rule("latency: -1"), "2: rules[0].latency.seconds: expected seconds, from 0 to 86400, found -1"),
        (rule("latency: .nan"), "2: rules[0].latency.seconds: expected seconds, from 0 to 86400, found nan"),
        (rule("latency: .inf"), "2: rules[0].latency.seconds: expected seconds, from 0 to 86400, found inf"),
        (rule("latency: {uniform: [2, 1]}"), "2: rules[0].latency.uniform: the minimum is greater than the maximum"),
        (rule("latency: {uniform: [1]}"), "2: rules[0].latency.uniform: expected [MIN, MAX] seconds, found list of length 1"),
        (rule("latency: {normal: {mean: 1}}"), "2: rules[0].latency.normal.deviation: is missing"),
        (rule("latency: {most: 1}"), "2: rules[0].latency: expected one distribution"),
        (rule("latency: {seconds: 1, exponential: {mean: 1}}"), "2: rules[0].latency: expected one distribution"),
        (rule("error: nonsense"), "2: rules[0].error.kind: expected one of bad_request, auth"),
        (rule("error: {message: x}"), "2: rules[0].error.kind: is missing"),
        (rule("error: {kind: auth, hint: secs}"), "2: rules[0].error.hint: expected a form, or a list of forms, of seconds"),
        (rule("status: 99"), "2: rules[0].status.code: expected an HTTP status from 200 to 599, found 99"),
        (rule("status: {code: 200, headers: {'a b': x}}"), "rules[0].status.headers.a b: is not a header name"),
        (rule(r'status: {code: 200, headers: {a: "b\r\nc: d"}}'), "rules[0].status.headers.a: contains characters that are"),
        (rule("status: {code: 200, headers: {Content-Length: 3}}"), "is set by the simulator"),
        (rule(r'redirect: {location: "http://x/\r\ny"}'), "rules[0].redirect.location: contains characters that"),
        (rule("rate_limit: {burst: 3}"), "2: rules[0].rate_limit: sets no limit"),
        (rule("rate_limit: {concurrency: 1, burst: 3}"), "rules[0].rate_limit.burst: has no effect without a limit per minute"),
        (rule("rate_limit: 5"), "2: rules[0].rate_limit: expected a mapping with requests_per_minute"),
        (rule("whitespace: {times: 3}"), "2: rules[0].whitespace: expected blanks, or times and every"),
        (rule("reset: {}"), "2: rules[0].reset: expected when or after_bytes"),
        (rule("reset: later"), "2: rules[0].reset.when: expected before_status, mid_headers or mid_body, found 'later'"),
        (rule("drip: 0"), "2: rules[0].drip.bytes_per_second: expected bytes per second, more than 0, found 0"),
        (rule("empty: false"), "2: rules[0].empty: expected true, found false (remove the rule to turn it off)"),
        (rule("wrong_type: {a..b: 1}"), "2: rules[0].wrong_type.a..b: is not a path in an answer"),
        (rule("when: {nth: 0}, empty: true"), "rules[0].when.nth: expected a number of 1 or more, a list of numbers, or {every"),
        (rule("when: {nth: {every: 0}}, empty: true"), "rules[0].when.nth: expected {every: NUMBER}, a number of 1 or more"),
        (rule("when: {attempt: [1, x]}, empty: true"), "rules[0].when.attempt: expected a list of numbers, each 1 or more"),
        (rule("when: {request: models, model: x}, error: auth"), "when.model: the rule never matches: a listing request has no"),
        (rule("when: {request: models}, truncated: 1"), "rules[0].when.request: the rule never matches: truncated is"),
        (RULE + "  - {empty: true}\n", "3: rules[1]: the rule never matches: rules[0] matches all its requests (put it first"),
        (BOMB, "the file says more than 20000 values (are aliases nested in aliases?)"),
        (DEEP, "the file is nested more than 24 deep (are aliases nested in aliases?)"),
        ("[" * 100_000, "1: "),
        ("a: &a [*a]\n", "1: the alias *a is inside what it names"),
        (b"a: 1\n" + b"#" * MAX_BYTES, " the file is over 1 MiB (is this a script?)"),
        (b"a: 1\nb: \xff\n", "2: the file is not UTF-8 (save it as UTF-8)"),
        (b"a: \0", "1: the file holds the control character U+0000 (is this a script?)"),
        ("a:\n\t- b\n", "not YAML: while scanning for the next token found character"),
        ("rules: [\n", "not YAML: "),
        (RULE + RULE, "3: the key rules is written twice, first in line 1 (keep one of them)"),
        (RULE + "---\n" + RULE, "3: a second document begins here (---)"),
        ("a: !!python/object:os.system x\n", "1: the tag !!python/object:os.system is not allowed"),
        ("? [a]\n: b\n", "1: a key is a list or a mapping"),
    ],
)  # fmt: skip
def test_problems_are_reported(content, problem, tmp_path):
    """A mistake is reported with its place and a suggestion."""
    assert any(problem in each for each in told(content, tmp_path)), told(content, tmp_path)


def test_ten_megabytes_are_refused_unread(tmp_path):
    """A file of ten megabytes is refused."""
    assert told(b"rules:\n" + b"  - {error: auth}\n" * 600_000, tmp_path) == [" the file is over 1 MiB (is this a script?)"]


def test_all_problems_are_reported_by_line(tmp_path):
    """All problems are reported at once, by line."""
    lines = ["rules:", "  - {eror: auth}", "  - {latency: -1}", "  - {when: {prompt: '['}, empty: true}", "sed: 3"]
    assert [problem.partition(":")[0] for problem in told("\n".join(lines), tmp_path)] == ["2", "3", "4", "5"]


def test_a_rule_behind_one_that_goes_on_can_be_reached(tmp_path):
    """A rule after one that continues, or that has other conditions, is reachable."""
    path = tmp_path / "s.yml"
    path.write_text(
        "rules:\n"
        "  - {latency: 0, continue: true}\n"
        "  - {when: {provider: openai, model: a}, error: auth}\n"
        "  - {when: {provider: openai}, truncated: 3}\n"
        "  - {when: {provider: openai}, error: quota}\n"
        "  - {when: {nth: 3}, error: server}\n"
        "  - {error: timeout}\n"
    )
    assert len(load_script(str(path)).rules) == 6


def test_yaml_is_read_as_people_mean_it(tmp_path):
    """1e-3 is a number, ``on`` is text, and an alias is its anchor's value."""
    path = tmp_path / "s.yaml"
    path.write_text("rules:\n  - {when: &some {model: on, probability: 1e-3}, error: auth}\n  - {when: *some, empty: true}\n")
    first, second = load_script(path).rules
    assert (first.probability, first.models) == (0.001, ("on",)) == (second.probability, second.models)


def test_a_mapping_given_in_code_is_checked_alike():
    """A mapping is checked like a file, without lines; tuples are lists, and it is not changed."""
    given = {"rules": ({"error": "auth"},)}
    assert load_script(given).rules[0].action.name == "error"
    assert given == {"rules": ({"error": "auth"},)}
    endless: dict[str, object] = {}
    endless["rules"] = [endless]
    for wrong in ({}, [], endless, {"rules": [{"status": {"code": 200, "body": {"a": {1, 2}}}}]}, 5):
        with pytest.raises(ConfigurationError, match="the script cannot be used"):
            Simulator(script=wrong)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bad-dya", "Did you mean bad-day?"),
        ("x", "There are bad-day, calm, hostile, rate-limited"),
        ("./none.yaml", "there is no such file"),
        ("none.yml", "there is no such file"),
        ("/", "is a folder, not a file"),
        ("a/b\0c", "it is not a file name"),
    ],
)
def test_a_script_that_is_not_there(name, words):
    """An unknown name lists the included scripts; an unreadable file has a reason."""
    with pytest.raises(ConfigurationError) as caught:
        load_script(name)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"error": "overlodad"}, "found 'overlodad' (did you mean overloaded?)"),
        ({"when": {"provider": "opnai"}, "error": "auth"}, "found 'opnai' (did you mean openai?)"),
        ({"reset": "sometimes"}, "expected before_status, mid_headers or mid_body, found 'sometimes'"),
    ],
)
def test_a_wrong_word_is_shown_with_the_right_one(rule, said):
    """A wrong word is shown with a suggestion."""
    with pytest.raises(ConfigurationError) as caught:
        load_script({"rules": [rule]})
    (problem,) = caught.value.problems
    assert said in str(problem)
