"""JSON Schemas of callers: what is refused before it is sent, and how answers are checked."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytest.importorskip("jsonschema")

from llm_sync.errors import InvalidRequestError
from llm_sync.validation.json_schema import MAX_DEPTH, check_schema, misfits

EMAIL = r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$"
LONG = "a" * 50_000 + "!"
DRAFT_4 = "http://json-schema.org/draft-04/schema#"


def refusal(schema: Any) -> str:
    """Why a schema is refused."""
    with pytest.raises(InvalidRequestError) as caught:
        check_schema(schema)
    assert caught.value.guidance
    return caught.value.message


def wrong(document: Any, schema: Any) -> list[str]:
    """The problems of a document, as texts, under a schema that is accepted."""
    check_schema(schema)
    return [str(problem) for problem in misfits(document, schema)]


# Patterns ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        ({"type": "string", "pattern": EMAIL}, LONG),
        ({"properties": {"mail": {"pattern": EMAIL}}}, {"mail": LONG}),
        ({"$ref": "#/$defs/mail", "$defs": {"mail": {"pattern": "^(a+)+$"}}}, LONG),
        ({"patternProperties": {"^(a+)+$": False}, "additionalProperties": False}, {LONG: 1}),
        ({"propertyNames": {"pattern": "^(a+)+$"}}, {LONG: 1}),
        ({"items": {"anyOf": [{"pattern": "^(a|a)*$"}, {"type": "null"}]}}, [LONG]),
        ({"$schema": DRAFT_4, "pattern": "^(a+)+$"}, LONG),
    ],
)
def test_no_pattern_takes_long(schema: Any, document: Any) -> None:
    """Wherever it stands in the schema, and whatever the answer: the time is linear."""
    begun = time.thread_time()
    assert wrong(document, schema) != []
    assert time.thread_time() - begun < 5


def test_patterns_decide_as_before() -> None:
    """Values and names of properties, further properties by schema or by false."""
    schema = {
        "patternProperties": {"^n_": {"type": "integer"}},
        "properties": {"x": {}},
        "additionalProperties": {"type": "string"},
    }
    assert wrong({"n_a": 1, "x": [], "other": "text"}, schema) == []
    assert [text.partition(":")[0] for text in wrong({"n_a": "1", "other": 2}, schema)] == ["$.n_a", "$.other"]
    closed = {"patternProperties": {"^n_": {}}, "additionalProperties": False}
    assert wrong({"n_a": 1}, closed) == []
    assert "additionalProperties" in wrong({"m": 1}, closed)[0]
    assert wrong({"mail": "a@b.de"}, {"properties": {"mail": {"pattern": EMAIL}}}) == []


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"pattern": r"(a)\1"}, r'the pattern "(a)\\1" of response_schema has a backreference'),
        ({"properties": {"x": {"pattern": "("}}}, "['pattern'] is not a JSON Schema: '(' is not a 'regex'"),
        ({"$defs": {"x": {"pattern": r"\p{L}"}}}, "is not a 'regex'"),
        ({"patternProperties": {"(": {}}}, "response_schema"),
        ({"patternProperties": {r"(a)\1": {}}}, "has a backreference"),
        ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, "unevaluatedProperties beside patternProperties"),
    ],
)
def test_a_pattern_that_cannot_be_searched_is_refused(schema: Any, reason: str) -> None:
    """Before anything is sent."""
    assert reason in refusal(schema)


def test_what_looks_like_a_pattern_in_data_is_none() -> None:
    """A property called pattern, and values under enum, const, default and examples."""
    check_schema({"properties": {"pattern": {"type": "string"}}, "default": {"pattern": "("}, "examples": [{"pattern": "("}]})
    check_schema({"enum": [{"pattern": "(", "$ref": "nowhere"}]})
    assert wrong({"default": "("}, {"properties": {"default": {"pattern": "^.$"}}}) == []


def test_a_text_too_long_for_a_pattern_is_a_problem_of_the_answer() -> None:
    """It is reported as one that cannot be checked, not searched for hours."""
    assert "can be searched" in wrong("a" * 2_000_000, {"pattern": "a+b"})[0]


# Size -------------------------------------------------------------------------------------------------------------------


def nested(depth: int) -> dict[str, Any]:
    """A schema of objects in objects."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"x": schema}}
    return schema


def test_a_deep_schema_is_refused_when_given() -> None:
    """Whatever the depth, with the limit in the message; below it, the schema is accepted from a deep stack, too."""
    for depth in (MAX_DEPTH // 2 + 1, 500, 100_000):
        assert f"nested more than {MAX_DEPTH} deep" in refusal(nested(depth))

    def deeper(frames: int) -> None:
        if frames:
            deeper(frames - 1)
        else:
            check_schema(nested(MAX_DEPTH // 2 - 1))

    deeper(150)


def test_a_schema_that_contains_itself_is_refused() -> None:
    """By its depth; and one that repeats a part in itself many times, by its size."""
    schema: dict[str, Any] = {"type": "object"}
    schema["properties"] = {"x": schema}
    assert "nested more than" in refusal(schema)
    bomb: Any = {"type": "string"}
    for _ in range(20):
        bomb = {"anyOf": [bomb, bomb, bomb, bomb]}
    assert "has more than 50000 values" in refusal(bomb)


def test_what_json_cannot_hold_is_refused() -> None:
    """As in any other part of a request."""
    assert "is not JSON" in refusal({"enum": [{1, 2}]})


def test_an_answer_that_is_too_deep_for_a_recursive_schema_is_a_problem() -> None:
    """Not a RecursionError."""
    document: Any = None
    for _ in range(5000):
        document = {"x": document}
    assert "RecursionError" in wrong(document, {"properties": {"x": {"$ref": "#"}}})[0]


# multipleOf -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "divisor", "is_multiple"),
    [
        (0.3, 0.1, True),
        (1.1, 0.1, True),
        (19.99, 0.01, True),
        (4.35, 0.01, True),
        (0.35, 0.1, False),
        (7, 2, False),
        (8, 2.0, True),
        (1e300, 1e-300, True),
        (10**400, 3, False),
        (-0.3, 0.1, True),
        (0, 0.1, True),
        (1e-7, 1e-8, True),
    ],
)
def test_multiples_are_judged_as_decimals(value: float, divisor: float, is_multiple: bool) -> None:
    """As they are written, not as the nearest binary fractions."""
    assert (wrong(value, {"multipleOf": divisor}) == []) is is_multiple


def test_infinity_is_no_multiple() -> None:
    """JSON readers make it of 1e999."""
    assert wrong(float("inf"), {"multipleOf": 0.1}) != []


# Schemas that nothing fits ------------------------------------------------------------------------------------------------

UNSATISFIABLE = [
    ({"type": "string", "minLength": 3, "maxLength": 2}, "minLength is more than maxLength"),
    ({"type": "array", "minItems": 3, "maxItems": 2}, "minItems is more than maxItems"),
    ({"type": "object", "minProperties": 3, "maxProperties": 2}, "minProperties is more than maxProperties"),
    ({"type": "number", "minimum": 3, "maximum": 2}, "minimum leaves no number"),
    ({"type": "number", "exclusiveMinimum": 2, "maximum": 2}, "minimum leaves no number"),
    ({"type": "integer", "minimum": 0.1, "maximum": 0.9}, "minimum leaves no whole number"),
    ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, "minimum leaves no whole number"),
    ({"type": ["string", "null"], "enum": []}, "enum is empty"),
    ({"type": "string", "enum": [1, 2]}, "enum has no value that fits"),
    ({"type": "string", "minLength": 5, "enum": ["ab"]}, "enum has no value that fits"),
    ({"type": "string", "const": 1}, "const does not fit"),
    ({"type": "object", "properties": {"x": False}, "required": ["x"]}, "properties.x is false"),
    ({"type": "object", "properties": {"x": {"enum": []}}, "required": ["x"]}, "properties.x.enum is empty"),
    ({"type": "object", "required": ["x"], "additionalProperties": False}, "required names x, which is not in properties"),
    ({"type": "object", "required": ["a", "b"], "maxProperties": 1}, "names more properties than maxProperties"),
    ({"type": "array", "items": {"type": "string", "minLength": 2, "maxLength": 1}, "minItems": 1}, "items.minLength"),
    ({"type": "array", "prefixItems": [False], "minItems": 1}, "items[0] is false"),
    ({"type": "array", "contains": False}, "contains is false"),
    ({"type": "array", "contains": {}, "minContains": 3, "maxItems": 2}, "minContains is more than maxItems"),
    ({"anyOf": [False, {"enum": []}]}, "anyOf[0] is false"),
    ({"oneOf": [{"type": "string", "minLength": 2, "maxLength": 1}]}, "oneOf[0].minLength"),
    ({"allOf": [{}, False]}, "allOf[1] is false"),
    ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "type allows no type"),
    ({"not": {}}, "not excludes everything"),
    ({"not": True}, "not excludes everything"),
    ({"$ref": "#/$defs/x", "$defs": {"x": {"enum": []}}}, "#/$defs/x.enum is empty"),
    ({"$ref": "#/$defs/x", "$defs": {"x": {"$ref": "#/$defs/x"}}}, "requires itself without end"),
    ({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}, "requires itself without end"),
    ({"$schema": DRAFT_4, "type": "number", "minimum": 2, "maximum": 1}, "leaves no number"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "reason"), UNSATISFIABLE)
def test_a_schema_that_no_answer_can_fit_is_refused(schema: Any, reason: str) -> None:
    """Before it is sent and paid for, with the part at fault."""
    message = refusal(schema)
    assert message.startswith("no answer can fit response_schema: ")
    assert reason in message


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        ({}, 1),
        ({"minLength": 3, "maxLength": 2}, 1),
        ({"type": ["string", "null"], "minLength": 3, "maxLength": 2}, None),
        ({"type": "object", "properties": {"x": False}}, {}),
        ({"type": "array", "items": False}, []),
        ({"type": "array", "contains": False, "minContains": 0}, [1]),
        ({"type": "integer", "minimum": 1, "maximum": 1}, 1),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2}, 1),
        ({"type": "number", "exclusiveMinimum": 0.1, "exclusiveMaximum": 0.2}, 0.15),
        ({"type": "object", "required": ["x"], "patternProperties": {"^x": {}}, "additionalProperties": False}, {"x": 1}),
        ({"anyOf": [False, {"type": "string"}]}, "x"),
        ({"allOf": [{"type": "number"}, {"type": "integer"}]}, 1),
        ({"properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]}, {"next": None}),
        ({"type": "array", "items": {"$ref": "#"}}, [[]]),
        ({"allOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/x"}], "$defs": {"x": {"type": "object"}}}, {"a": 1}),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"enum": ["a"], "type": "string"}}}, "a"),
        ({"not": {"type": "null"}}, 1),
        ({"$schema": DRAFT_4, "minimum": 1, "exclusiveMinimum": True}, 2),
    ],
)  # fmt: skip
def test_a_schema_that_an_answer_can_fit_is_accepted(schema: Any, document: Any) -> None:
    """Neighbours of those that are refused, each with a document that fits."""
    assert wrong(document, schema) == []


def test_a_schema_that_cannot_be_decided_is_accepted() -> None:
    """Alternatives of alternatives of alternatives: after so many steps nothing is claimed."""
    definitions = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 8} for n in range(9)}
    check_schema({"$ref": "#/$defs/d0", "$defs": {**definitions, "d9": False}})


def test_an_unchecked_schema_is_a_problem_of_the_answer_not_an_error() -> None:
    """For callers that do not check it first."""
    (problem,) = misfits(1, {"pattern": "("})
    assert "a schema that can be applied" in str(problem)


@pytest.mark.parametrize("reference", ["#/$defs/no", "other.json", "#anchor", "https://example.com/x"])
def test_references_that_lead_nowhere_are_refused(reference: str) -> None:
    """And those to other documents: nothing is fetched."""
    assert f"refers to {reference!r}, which is not in it" in refusal({"$ref": reference})


def test_an_anchor_is_found() -> None:
    """Under $defs, as anywhere."""
    assert wrong(1, {"$ref": "#x", "$defs": {"y": {"$anchor": "x", "type": "string"}}}) != []


# Wrappings ---------------------------------------------------------------------------------------------------------------

BARE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.mark.parametrize(
    "wrapped",
    [
        {"name": "city", "schema": BARE, "strict": True},
        {"name": "city", "schema": BARE, "description": "A city."},
        {"schema": BARE},
        {"type": "json_schema", "name": "city", "schema": BARE},
        {"type": "json_schema", "json_schema": {"name": "city", "schema": BARE, "strict": True}},
    ],
)
def test_openais_wrapping_is_taken_off(wrapped: Any) -> None:
    """The answer is held against the schema in it; the wrapping itself would allow everything."""
    assert check_schema(wrapped) == BARE


@pytest.mark.parametrize(
    "schema",
    [
        BARE,
        {"type": "object", "properties": {"schema": BARE, "name": {"type": "string"}}},
        {"anyOf": [BARE], "name": "extra"},
        {"type": "object", "schema": {"type": "string"}},
        {},
    ],
)
def test_what_is_no_wrapping_stays(schema: Any) -> None:
    """A property may be called schema, and unknown keywords are allowed beside known ones; {} is any JSON, on purpose."""
    assert check_schema(schema) is schema


@pytest.mark.parametrize("schema", [{"city": "string"}, {"name": "city", "strict": True}, {"title": "City", "description": "d"}])
def test_a_mapping_without_keywords_is_refused(schema: Any) -> None:
    """Every answer would fit it, so it was meant to be something else."""
    with pytest.raises(InvalidRequestError, match="no keyword of JSON Schema"):
        check_schema(schema)
