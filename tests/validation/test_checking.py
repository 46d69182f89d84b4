"""Documents against Cerberus schemas: the verdict is Cerberus's, the words are ours."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from cerberus import Validator
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_sync.config.schema import SCHEMA
from llm_sync.validation import ResponseValidator, closest, field_path, problems, shown
from llm_sync.validation.checking import _validator_class
from llm_sync.validation.predicate import compile_schema

CHAT: dict[str, Any] = {
    "id": {"type": "string", "nullable": True},
    "choices": {
        "type": "list",
        "required": True,
        "minlength": 1,
        "schema": {
            "type": "dict",
            "schema": {
                "index": {"type": "integer", "nullable": True},
                "message": {
                    "type": "dict",
                    "required": True,
                    "schema": {"content": {"type": "string", "nullable": True}},
                },
            },
        },
    },
    "usage": {
        "type": "dict",
        "nullable": True,
        "schema": {"prompt_tokens": {"type": "integer", "min": 0}, "cost": {"type": "float", "nullable": True}},
    },
}
GOOD = {"id": "x", "extra": [1], "choices": [{"index": 0, "message": {"content": "hi", "refusal": None}}]}


def problem_texts(body: object, schema: dict[str, Any] = CHAT) -> list[str]:
    """The problems as texts."""
    return [str(problem) for problem in ResponseValidator(schema).check(body)]


def test_a_good_answer_has_no_problem() -> None:
    """Unknown keys pass, and null stands for absent where the schema says so."""
    assert problem_texts(GOOD) == []
    assert problem_texts({**GOOD, "usage": None, "id": None}) == []


def test_every_wrong_field_is_named_with_its_path() -> None:
    """The form is ``choices[0].message.content: expected string or null, found list``."""
    body = {"choices": [{"message": {"content": ["SECRET"]}, "index": True}, {}], "usage": {"prompt_tokens": -3, "cost": "1"}}
    assert sorted(problem_texts(body)) == [
        "choices[0].index: expected integer or null, found boolean",
        "choices[0].message.content: expected string or null, found list",
        "choices[1].message: expected object, found nothing",
        "usage.cost: expected number or null, found string",
        "usage.prompt_tokens: expected integer of 0 or more, found -3",
    ]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ([], "body: expected object, found list"),
        (None, "body: expected object, found null"),
        ("SECRET", "body: expected object, found string"),
        (float("nan"), "body: expected object, found number"),
        ({}, "choices: expected list, found nothing"),
        ({"choices": None}, "choices: expected list, found null"),
        ({"choices": "SECRET"}, "choices: expected list, found string"),
        ({"choices": {"a": 1}}, "choices: expected list, found object"),
        ({"choices": []}, "choices: expected list of length 1 or more, found empty list"),
        ({"choices": [None]}, "choices[0]: expected object, found null"),
        ({"choices": [[]]}, "choices[0]: expected object, found list"),
        ({"choices": [{"message": {}}], "usage": {"prompt_tokens": 10**400 * -1}}, "found a huge number"),
    ],
)
def test_any_document_gets_problems_not_exceptions(body: object, problem: str) -> None:
    """Also what is no mapping at all, and never with a text of the answer in it."""
    (text,) = problem_texts(body)
    assert text.endswith(problem)
    assert "SECRET" not in text


def test_other_rules_have_words_too() -> None:
    """allowed, max, empty, lengths, anyof."""
    schema = {
        "a": {"type": "string", "allowed": ["x", "y"]},
        "b": {"type": "number", "max": 2},
        "c": {"type": "string", "empty": False},
        "d": {"type": ["string", "list"], "maxlength": 1},
        "e": {"anyof": [{"type": "string"}, {"type": "integer"}]},
        "f": {"schema": {"x": {"type": "string"}}},
    }
    assert problem_texts({"a": "SECRET", "b": 3, "c": "", "d": "SECRET", "e": [], "f": {"x": 1}}, schema) == [
        "a: expected one of x, y, found string",
        "b: expected number of 2 or less, found 3",
        "c: expected non-empty string, found empty string",
        "d: expected string or list of length 1 or less, found string of length 6",
        "e: expected object (anyof), found list",
        "f.x: expected string, found integer",
    ]


@pytest.mark.parametrize("count", [21, 10_000])
def test_at_most_twenty_problems_are_reported(count: int) -> None:
    """The first twenty, in the answer's order."""
    reported = problem_texts({"choices": [{"message": {"content": []}}] * count})
    assert len(reported) == 20
    assert reported[19] == "choices[19].message.content: expected string or null, found list"


@pytest.mark.parametrize("where", [0, 4321, 9999])
def test_the_one_bad_item_of_ten_thousand_is_found(where: int) -> None:
    """Long lists are thinned of surely good items before Cerberus looks, and keep their indexes."""
    items: list[Any] = [{"message": {"content": "x"}}] * 10_000
    items[where] = {"message": 5}
    assert problem_texts({"choices": items}) == [f"choices[{where}].message: expected object, found integer"]


def test_diagnosis_is_linear_in_bad_items() -> None:
    """Counted, not timed: Cerberus examines as many items of 10,000 bad ones as of 1,000."""

    class Counted(dict[str, Any]):
        looked = 0

        def __iter__(self) -> Any:
            Counted.looked += 1
            return super().__iter__()

    counts = []
    for size in (1_000, 10_000):
        Counted.looked = 0
        ResponseValidator(CHAT).check({"choices": [Counted(message=5) for _ in range(size)]})
        counts.append(Counted.looked)
    assert counts[0] == counts[1] < 200


def test_nothing_is_sorted_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cerberus sorts all errors at each one found, which takes the square of their number: configurations may have many."""
    from cerberus.errors import ValidationError

    schema = {"items": {"type": "list", "schema": {"type": "dict", "schema": {"a": {"type": "string"}}}}}
    assert problems({"b": 1}, schema)  # Cerberus checks the schema itself once, and sorts what it finds in it
    monkeypatch.setattr(ValidationError, "__lt__", lambda *_: pytest.fail("errors are compared"))
    assert len(problems({"items": [{"a": 5, "b": 5}] * 100}, schema)) == 200


def test_a_schema_with_alternatives_lists_no_failed_alternative_of_a_good_answer() -> None:
    """Where anyof is used, a leaf error is no verdict, so nothing is cut short."""
    schema = {"items": {"type": "list", "schema": {"anyof": [{"type": "string"}, {"type": "integer"}]}}}
    assert problem_texts({"items": [1] * 500}, schema) == []
    assert problem_texts({"items": [1] * 500 + [None]}, schema) != []


def test_threads_get_verdicts_of_their_own() -> None:
    """One Cerberus validator per thread: two threads held at the same point inside Cerberus do not disturb each other."""
    validator = ResponseValidator(CHAT)
    gate = threading.Barrier(2, timeout=20)

    class Gated(dict[str, Any]):
        def __iter__(self) -> Any:
            gate.wait()
            return super().__iter__()

    results: dict[str, Any] = {}

    def run(name: str, body: dict[str, Any]) -> None:
        results[name] = [problem.path for problem in validator.check(body)]

    one = threading.Thread(target=run, args=("one", {"choices": [Gated(message=5)]}))
    two = threading.Thread(target=run, args=("two", {"choices": [Gated(message={"content": 1})]}))
    for thread in (one, two):
        thread.start()
    for thread in (one, two):
        thread.join(30)
    assert results == {"one": ["choices[0].message"], "two": ["choices[0].message.content"]}


def test_the_validator_recovers_after_stopping_early() -> None:
    """What ended after twenty problems leaves nothing behind for the next answer."""
    validator = ResponseValidator(CHAT)
    assert len(validator.check({"choices": [5] * 100})) == 20
    assert [problem.path for problem in validator.check({"choices": [5]})] == ["choices[0]"]
    assert validator.check(GOOD) == ()


# The predicate --------------------------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, 1.5, -1.0, float("nan"), float("inf")]),
    st.sampled_from(["", "a", "b", "abc"]),
)
NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=2).map(tuple),
        st.dictionaries(NAMES, inner, max_size=3),
    ),
    max_leaves=8,
)
TYPES = st.sampled_from(["string", "integer", "float", "number", "boolean", "dict", "list"])


def rules(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    """Rule sets of a depth."""
    options: dict[str, Any] = {
        "type": st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=2, unique=True)),
        "required": st.booleans(),
        "nullable": st.booleans(),
        "min": st.integers(-2, 2),
        "max": st.integers(-2, 2),
        "minlength": st.integers(0, 2),
        "maxlength": st.integers(0, 2),
        "empty": st.booleans(),
        "allowed": st.lists(st.sampled_from(["a", "b", 1, 0, 1.5]), max_size=3),
        "regex": st.just("a.*"),
    }
    if depth:
        inner = st.dictionaries(NAMES, rules(depth - 1), max_size=2)
        mapping = inner.map(lambda schema: {"type": "dict", "schema": schema})
        listing = rules(depth - 1).map(lambda schema: {"type": "list", "schema": schema})
        plain = st.fixed_dictionaries({}, optional=options)
        extra = st.fixed_dictionaries({}, optional={key: options[key] for key in ("required", "nullable", "minlength", "empty")})
        return st.one_of(plain, st.tuples(st.one_of(mapping, listing), extra).map(lambda pair: {**pair[0], **pair[1]}))
    return st.fixed_dictionaries({}, optional=options)


@settings(max_examples=250, deadline=None)
@given(st.dictionaries(NAMES, rules(2), min_size=1, max_size=3), st.lists(st.dictionaries(NAMES, VALUES, max_size=3), max_size=8))
def test_the_predicate_never_accepts_what_cerberus_rejects(schema: dict[str, Any], documents: list[dict[str, Any]]) -> None:
    """It may only say "surely valid": bool is no int, NaN has no order, a tuple is no list."""
    accepts = compile_schema(schema)
    if accepts is None:
        return
    validator = Validator(schema, allow_unknown=True)
    for document in documents:
        if accepts(document):
            assert validator.validate(document, normalize=False), (validator.errors, schema, document)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(NAMES, rules(2), min_size=1, max_size=3), st.dictionaries(NAMES, VALUES, max_size=3))
def test_the_verdict_is_cerberus_verdict(schema: dict[str, Any], document: dict[str, Any]) -> None:
    """With predicate, thinning and early stop: good exactly when Cerberus says so, but that a boolean is no number."""
    verdict = Validator(schema, allow_unknown=True).validate(document, normalize=False)
    reported = ResponseValidator(schema).check(document)
    if not verdict:
        assert reported
    elif reported:
        assert any(problem.found in ("boolean", "true", "false") for problem in reported)


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ({"type": "integer"}, True),
        ({"type": "float"}, True),
        ({"type": "number", "min": 0}, float("nan")),
        ({"type": "number", "max": 0}, float("nan")),
        ({"type": "list"}, ()),
        ({"type": "string"}, None),
        ({"type": "string"}, b"x"),
        ({"type": "boolean"}, 1),
        ({}, None),
    ],
)
def test_the_predicate_leaves_doubtful_values_to_cerberus(rule: dict[str, Any], value: object) -> None:
    """Where its notion and Cerberus's might differ, it is not sure."""
    accepts = compile_schema({"a": rule})
    assert accepts is not None
    assert not accepts({"a": value})


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "string", "regex": "a"},
        {"schema": {"x": {"type": "string"}}},
        {"type": "string", "schema": {}},
        {"type": ["list", "dict"], "schema": {}},
        {"min": 3},
        {"type": "string", "min": 3},
        {"type": "integer", "minlength": 3},
        {"type": "list", "allowed": [1]},
        {"type": "datetime"},
        {"type": "dict", "schema": "registered"},
        {"type": "dict", "allow_unknown": False, "schema": {}},
        {"anyof": [{"type": "string"}]},
        "registered",
    ],
)
def test_what_the_compiler_does_not_know_it_refuses(rule: Any) -> None:
    """Unknown rules and combinations make Cerberus decide."""
    assert compile_schema({"a": rule}) is None


def test_good_answers_never_reach_cerberus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled form alone accepts a typical good answer."""
    monkeypatch.setattr("llm_sync.validation.checking._validator_class", lambda: pytest.fail("Cerberus was asked"))
    assert ResponseValidator(CHAT).check(GOOD) == ()


# Configurations ------------------------------------------------------------------------------------------------------

SETTINGS: dict[str, Any] = {
    "timeout": {"type": "number", "min": 1, "check_with": "finite", "meta": {"expected": "seconds", "hint": "say 5"}},
    "api_key": {"type": "string"},
    "inner": {
        "type": "dict",
        "meta": {"unknown": "put it elsewhere"},
        "schema": {"models": {"type": "list", "schema": {"type": "string"}}},
    },
    "named": {"type": "dict", "valuesrules": {"type": "dict", "schema": {"port": {"type": "integer", "required": True}}}},
}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"timeout": 5, "inner": {"models": ["a"]}}, []),
        ({"timeout": "yes"}, [(("timeout",), "expected seconds, found text 'yes'", "say 5")]),
        ({"timeout": float("nan")}, [(("timeout",), "expected seconds, found nan", "say 5")]),
        ({"timeout": "sk-SECRETSECRET"}, [(("timeout",), "expected seconds, found text", "say 5")]),
        ({"api_key": 12}, [(("api_key",), "expected string, found 12", None)]),
        ({"tiemout": 5}, [(("tiemout",), "unknown key", "did you mean timeout?")]),
        ({"inner": {"zzz": 5}}, [(("inner", "zzz"), "unknown key", "put it elsewhere")]),
        ({"inner": {"model": 5}}, [(("inner", "model"), "unknown key", "did you mean models? put it elsewhere")]),
        ({"inner": {"models": ["a", 5]}}, [(("inner", "models", 1), "expected string, found 5", None)]),
        ({"named": {"x": {}}}, [(("named", "x", "port"), "is missing", None)]),
        ({"named": {"x": {"prot": 1, "port": 2}}}, [(("named", "x", "prot"), "unknown key", "did you mean port?")]),
        ([1], [((), "expected a mapping, found list", None)]),
    ],
)
def test_configuration_problems(document: object, expected: list[Any]) -> None:
    """Path, message and hint; unknown keys with the nearest known one; no text that may be a key."""
    assert [tuple(problem) for problem in problems(document, SETTINGS)] == expected


def closed_rules(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    """Rule sets as configurations use them."""
    extra = st.fixed_dictionaries({}, optional={"regex": st.sampled_from(["a", "a.*", "b$"]), "check_with": st.just("finite")})
    plain = st.tuples(rules(0), extra).map(lambda pair: {**pair[0], **pair[1]})
    if not depth:
        return plain
    inner = closed_rules(depth - 1)
    kinds = st.sampled_from(["dict", ["dict", "string"]])
    mapping = st.tuples(kinds, st.dictionaries(NAMES, inner, max_size=2)).map(lambda pair: {"type": pair[0], "schema": pair[1]})
    members = st.tuples(kinds, inner).map(lambda pair: {"type": pair[0], "valuesrules": pair[1]})
    named = st.tuples(members, rules(0)).map(lambda pair: {**pair[0], "keysrules": pair[1]})
    bounded = st.integers(0, 3).map(lambda least: {"type": ["number", "string", "dict"], "min": least, "max": least + 1})
    listing = inner.map(lambda schema: {"type": ["list", "string"], "schema": schema})
    return st.one_of(
        plain, st.tuples(st.one_of(mapping, members, named, listing, bounded), extra).map(lambda pair: {**pair[0], **pair[1]})
    )


@settings(max_examples=250, deadline=None)
@given(
    st.dictionaries(NAMES, closed_rules(2), min_size=1, max_size=3),
    st.lists(st.dictionaries(NAMES, VALUES, max_size=3), max_size=8),
)
def test_the_predicate_accepts_no_configuration_that_cerberus_rejects(
    schema: dict[str, Any], documents: list[dict[str, Any]]
) -> None:
    """Unknown keys on any level, patterns, infinite numbers and the members of mappings are Cerberus's to judge, too."""
    accepts = compile_schema(schema, closed=True)
    if accepts is None:
        return
    validator = _validator_class()(schema, allow_unknown=False)
    for document in documents:
        if accepts(document):
            assert validator.validate(document, normalize=False), (validator._errors, schema, document)


def test_good_configurations_never_reach_cerberus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema of configuration files compiles, and accepts what is right."""
    monkeypatch.setattr("llm_sync.validation.checking._validator_class", lambda: pytest.fail("Cerberus was asked"))
    assert compile_schema(SCHEMA, closed=True) is not None
    models = [{"name": "m", "pricing": {"input": 1, "output": 2.5}, "stop_sequences": ["x"]}]
    provider = {"type": "openai", "models": models, "headers": {"X-A": 1}, "auth": {"header": "api-key"}, "timeout": 5}
    google = {"auth": "google-cloud", "api_key_command": ["a", "b"], "provider_specific": {"a": {"b": [None]}}}
    assert problems({"defaults": {"strict": True}, "providers": {"a": provider, "b": google}}, SCHEMA) == []


def test_paths_and_names() -> None:
    """Paths read as in code; what looks like a key or is long is cut."""
    assert field_path(("choices", 0, "message", "content")) == "choices[0].message.content"
    assert field_path(()) == ""
    assert shown("sk-abcdefghijklmnopqrstuvwx") == "sk-…"
    assert shown("a\nb") == "a\\nb"
    assert len(shown("x y" * 100)) == 60
    assert closest("time-out", ["timeout", "deadline"]) == "timeout"
    assert closest("zzz", ["timeout"]) is None
