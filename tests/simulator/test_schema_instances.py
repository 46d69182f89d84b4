"""Instances of JSON Schemas, checked with jsonschema."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from llm_sync.simulator.answers.schema_instances import make_instance

SCHEMAS = {
    "nothing said": {},
    "all types": {
        "type": "object",
        "properties": {
            "s": {"type": "string"},
            "i": {"type": "integer"},
            "n": {"type": "number"},
            "b": {"type": "boolean"},
            "z": {"type": "null"},
            "a": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["s", "i", "n", "b", "z", "a"],
        "additionalProperties": False,
    },
    "bounds": {
        "type": "object",
        "properties": {
            "low": {"type": "integer", "minimum": 90, "maximum": 92},
            "open": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            "negative": {"type": "integer", "maximum": -5},
            "steps": {"type": "integer", "multipleOf": 7, "minimum": 10},
            "short": {"type": "string", "maxLength": 3},
            "long": {"type": "string", "minLength": 40},
            "few": {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 3},
        },
    },
    "enum and const": {"type": "object", "properties": {"e": {"enum": ["a", 1, None]}, "c": {"const": {"k": []}}}},
    "union of types": {"type": ["integer", "null"]},
    "anyOf": {"anyOf": [{"type": "integer"}, {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}]},
    "allOf": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]},
        ]
    },
    "reference": {
        "$defs": {"p": {"type": "integer", "minimum": 5}},
        "type": "array",
        "items": {"$ref": "#/$defs/p"},
        "minItems": 2,
    },
    "recursion": {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"v": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                "required": ["v", "next"],
            }
        },
        "$ref": "#/$defs/node",
    },
    "broad recursion": {
        "$defs": {"n": {"type": "object", "properties": {key: {"$ref": "#/$defs/n"} for key in "abcdefghij"}}},
        "$ref": "#/$defs/n",
    },
    "formats": {
        "type": "object",
        "properties": {
            key: {"type": "string", "format": key} for key in ("date", "date-time", "email", "uri", "uuid", "ipv4", "ipv6")
        },
    },
    "pattern": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]+$"},
    "unique": {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True},
    "tuple": {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": False,
        "minItems": 2,
        "maxItems": 2,
    },
}


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("number", [0, 1, 2**63, 12345678901234567])
def test_instance_follows_its_schema(name, number):
    """An instance matches its schema, for any number."""
    Draft202012Validator(SCHEMAS[name], format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
        make_instance(SCHEMAS[name], number)
    )


def test_same_number_same_instance():
    """The same number gives the same instance, another number another one."""
    schema = SCHEMAS["all types"]
    assert make_instance(schema, 7) == make_instance(schema, 7)
    assert len({str(make_instance(schema, number)) for number in range(10)}) > 5


@pytest.mark.parametrize(
    "schema",
    [
        True,
        None,
        [],
        {"type": 5},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        {"$ref": "https://example.com/schema"},
        {"allOf": [{"$ref": "#"}]},
        {"type": "object", "properties": []},
        {"type": "object", "required": "a"},
        {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]},
        {"enum": []},
        {"anyOf": []},
        {"type": "string", "pattern": "("},
        {"type": "string", "minLength": "x"},
        {"type": "integer", "minimum": 5, "maximum": 1},
        {"type": "array", "minItems": 10**9},
    ],
    ids=str,
)
def test_senseless_schemas_end(schema):
    """Contradictory and recursive schemas neither raise nor run for ever."""
    make_instance(schema, 3)
