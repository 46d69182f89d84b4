"""Answers files: their forms, how answers are found, and how problems are reported."""

from __future__ import annotations

import re

import pytest

from llm_sync.errors import ConfigurationError
from llm_sync.simulator import Simulator
from llm_sync.simulator.answers.answer_file import load_answers

YAML = r"""
answers:
  Say hello: Hello there.
  What is 2 + 2?: 4
  How much?: 0.10
  Is it true?: true
  Think: {text: '42', thinking: Six times seven.}
  |
    Two
    lines
: &anchored both of them
  Weather in Oslo?:
    tool_calls: [{name: weather, arguments: {city: Oslo, days: 3, wet: yes, sure: true, wind: 1e-1}}]
  Nothing: ''
patterns:
  (?i)capital of (france|belgium): It is in the pattern.
  ^Refuse: {refusal: I will not.}
  overloaded: {error: {type: ProviderUnavailableError, status: 503}}
models:
  claude-*:
    answers: {Say hello: 'Claude says hello.'}
  gpt-4o-mini:
    patterns: {hello: Mini says hello.}
"""
YAML = YAML.replace("  |\n    Two\n    lines\n: &anchored both of them\n", '  "Two\\nlines": both of them\n')


def write(folder, text, name="answers.yaml"):
    """A file with this text or these bytes."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def found(answers, prompt, model="m"):
    """The answer to a prompt."""
    return answers.find(model, [("system", "Be brief."), ("user", prompt)])


@pytest.fixture
def answers(tmp_path):
    """The answers in YAML."""
    return load_answers(write(tmp_path, YAML))


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Say hello", "Hello there."),
        ("  Say hello\n", "Hello there."),
        ("What is 2 + 2?", "4"),
        ("How much?", "0.10"),
        ("Is it true?", "true"),
        ("Two\nlines", "both of them"),
        ("Nothing", ""),
        ("The Capital of France, please", "It is in the pattern."),
    ],
)
def test_texts(answers, prompt, text):
    """A text answer is read as written, numbers and words too; prompts match exactly or by pattern."""
    assert found(answers, prompt).text == text


def test_whole_answers(answers):
    """An answer may have thinking, tool calls with typed arguments, a refusal or an error."""
    assert found(answers, "Think").thinking == "Six times seven."
    call = found(answers, "Weather in Oslo?").tool_calls[0]
    assert (call.name, call.arguments) == ("weather", {"city": "Oslo", "days": 3, "wet": "yes", "sure": True, "wind": 0.1})
    assert found(answers, "Refuse me").refusal == "I will not."
    error = found(answers, "Are you overloaded?").error
    assert (error.error_class, error.status) == ("ProviderUnavailableError", 503)


def test_a_models_own_answers_come_first(answers):
    """The section of a model, by name or wildcard, comes before the general answers."""
    assert found(answers, "Say hello", "claude-haiku-4-5").text == "Claude says hello."
    assert found(answers, "Say hello", "gpt-4o-mini").text == "Mini says hello."
    assert found(answers, "Think", "claude-haiku-4-5").text == "42"


def test_what_is_not_there(answers):
    """A prompt that matches nothing has no answer."""
    assert found(answers, "Say") is None
    assert answers.find("m", []) is None


def test_json_says_the_same(tmp_path):
    """A JSON file has the same form as a YAML file."""
    text = '{\n\t"answers": {"Smile": "\\ud83d\\ude00", "n": 4, "f": 0.10},\n\t"patterns": {"^a\\\\d+$": {"text": "x"}}\n}'
    answers = load_answers(write(tmp_path, text, "answers.json"))
    assert [found(answers, prompt).text for prompt in ("Smile", "n", "f", "a12")] == ["😀", "4", "0.10", "x"]


def test_in_code():
    """A mapping may have prompts and compiled patterns as keys."""
    answers = load_answers({"Hi": "Hello", re.compile("w.rld", re.IGNORECASE): {"text": "yes", "tool_calls": ({"name": "f"},)}})
    assert found(answers, "Hi").text == "Hello"
    assert found(answers, "WORLD").tool_calls[0].name == "f"


def test_tools_results_are_answered_as_prompts():
    """A tool's result is a prompt, so that a conversation with tools can continue."""
    answers = load_answers({"Weather?": {"tool_calls": [{"name": "weather"}]}, "sunny": "It is sunny."})
    talk = [("user", "Weather?"), ("tool", "sunny")]
    assert answers.find("m", talk).text == "It is sunny."


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
WRONG = {
    "a list": ("- Say hello\n- Hello\n", ["expected a mapping, found list"]),
    "a text": ("Say hello\n", ["expected a mapping, found string"]),
    "nothing": ("", ["it contains no answers"]),
    "an empty mapping": ("{}", ["it contains no answers"]),
    "an unknown section": ("answer: {Hi: Hello}\n", ["answer: unknown key (did you mean answers?"]),
    "a prompt's answer is a list": ("answers:\n  Hi: [a]\n", ["2: answers.Hi: expected a text or a mapping, found a list"]),
    "a prompt without an answer": ("answers:\n  Hi:\n", ["2: answers.Hi: expected a text or a mapping, found nothing"]),
    "an empty answer": ("answers:\n  Hi: {}\n", ["2: answers.Hi: the answer is empty"]),
    "an unknown part": ("answers:\n  Hi: {txt: x}\n", ["2: answers.Hi.txt: unknown key (did you mean text?"]),
    "a bad pattern": (
        "patterns:\n  ok: x\n  '(a': x\n",
        ["3: patterns.(a: is not a regular expression: missing ), unterminated"],
    ),
    "a prompt written twice": (
        "answers:\n  Hi: a\n  Ho: b\n  Hi: c\n",
        ["4: the key Hi is written twice, first in line 2"],
    ),
    "calls without a name": ("answers:\n  Hi: {tool_calls: [{arguments: {}}]}\n", ["answers.Hi.tool_calls[0].name: is missing"]),
    "arguments no mapping": ("answers:\n  Hi: {tool_calls: [{name: f, arguments: [1]}]}\n", ["arguments: expected"]),
    "calls that are none": ("answers:\n  Hi: {tool_calls: []}\n", ["answers.Hi.tool_calls: expected"]),
    "an error of no kind": ("answers:\n  Hi: {error: {type: Oops}}\n", ["answers.Hi.error.type: expected the name of an error"]),
    "an error beside a text": (
        "answers:\n  Hi: {text: x, error: {type: RateLimitError}}\n",
        ["an error and an answer are given together"],
    ),
    "an impossible status": ("answers:\n  Hi: {error: {type: RateLimitError, status: 42}}\n", ["status: expected"]),
    "several problems": (
        "answers:\n  Hi: [a]\npatterns:\n  '*': x\nfoo: 1\n",
        ["answers.Hi", "patterns.*: is not a regular", "foo: unknown key"],
    ),
    "a model's section": ("models:\n  gpt-*:\n    prompts: {}\n", ["models.gpt-*.prompts: unknown key"]),
    "a model without a section": ("models:\n  gpt-*: hello\n", ["models.gpt-*: expected"]),
    "an alias of nothing": ("answers:\n  Ho: *a\n", ["2: the alias *a names nothing"]),
    "a bomb": (BOMB, ["the file says more than 100000 values"]),
    "a tag": ("answers:\n  Hi: !!python/object:os.system {}\n", ["is not allowed"]),
    "a key that is a list": ("answers:\n  [a]: b\n", ["a key is a list or a mapping"]),
    "two documents": ("answers: {a: b}\n---\nanswers: {}\n", ["a second document begins here"]),
    "no YAML": ("answers: {a: b\n", ["not YAML"]),
    "tabs": ("answers:\n\ta: b\n", ["not YAML"]),
    "control characters": ("answers: {a: \x00}\n", ["holds the control character U+0000"]),
    "no UTF-8": (b"answers: {a: \xff}\n", ["1: the file is not UTF-8"]),
    "nested deeply": ("answers: " + "[" * 40 + "]" * 40, ["nested more than"]),
    "nothing but aliases": ("a: &a x\nb: [" + "*a, " * 120_000 + "]\n", ["the file says more than 100000 values"]),
    "over the cap": (b"#" * (17 * 2**20), ["the file is over 16 MiB"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_problems_are_reported(tmp_path, name):
    """All problems are reported with file, line and field."""
    text, said = WRONG[name]
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_answers(path)
    told = [str(problem) for problem in caught.value.problems]
    assert all(line.startswith(str(path)) for line in told)
    assert [part for part in said if not any(part in line for line in told)] == [], told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"answers": {"a": "b", "a": "c"}}', "the key a is written 2 times in one object"),
        ('{"answers": ["a"]}', "answers: expected a mapping of prompts to answers"),
        ('{"answers": {"a": NaN}}', "NaN is not JSON"),
        ('{"answers": ', "1: not JSON"),
        ('{"answers": {"a": {"text": true}}}', "answers.a.text: expected a text, found true"),
        ("[" * 100_000, "nested more than 24 deep"),
        (
            '{"answers": {"a": {"tool_calls": [{"name": "f", "arguments": {"n": ' + "9" * 400 + '}}]}, "b": 1, "b": 2}}',
            "the key b",
        ),
    ],
)
def test_json_is_read_as_strictly(tmp_path, text, said):
    """Duplicate keys, NaN and deep nesting in JSON are reported."""
    with pytest.raises(ConfigurationError) as caught:
        load_answers(write(tmp_path, text, "answers.json"))
    assert said in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    """A missing file, a folder and an invalid name are reported."""
    for path, said in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "is a folder"), ("a\0b", "cannot be read")):
        with pytest.raises(ConfigurationError, match=said):
            load_answers(path)


@pytest.mark.parametrize("wrong", [{3: "x"}, {re.compile(b"x"): "y"}, {"a": 5}, {"a": {"refusal": ""}}])
def test_mappings_in_code_are_checked_too(wrong):
    """A mapping with an invalid prompt or answer is refused."""
    with pytest.raises(ConfigurationError):
        Simulator(answers=wrong)


def test_pattern_flags_in_code_count():
    """A compiled pattern keeps its flags."""
    assert found(load_answers({re.compile("HELLO", re.IGNORECASE): "x"}), "say hello").text == "x"
