"""The keys of a configuration file, as a Cerberus schema, and a few sets of key names.

The schema is for a document in its long form (normalize.py): models are mappings, ``auth`` is a mapping or the text
google-cloud, stop sequences are lists, and keys without a value are absent. ``meta`` holds texts for messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llm_sync.config.budgets import PERIODS
from llm_sync.config.models import GO_ON_AFTER, SPREADS
from llm_sync.models import fields
from llm_sync.models.fields import RequestField

Rules = dict[str, Any]

_YEAR = 31_536_000
_OWN = "provider-specific parameters go under provider_specific"

# What llm-sync puts into a payload itself, in any dialect; provider_specific may not replace it.
RESERVED = frozenset({"model", "messages", "contents", "input", "prompt"})

# The texts that stand for a time span and for a size (llm_sync.cache.settings reads them).
AGE, SIZE = r"\s*\d+(\.\d+)?\s*[smhdwSMHDW]?\s*", r"\s*\d+(\.\d+)?\s*[kmgtKMGT]?[bB]?\s*"

REQUEST_KEYS = tuple(field.name for field in fields.CONFIGURABLE)
ATTEMPT_KEYS = ("timeout", "deadline", "max_retries", "retry_base", "retry_cap", "max_retry_after", "retry_timeouts")
CERTIFICATE_FILES = ("ca_bundle", "client_cert", "client_key")  # paths of PEM files
AUTO_CONCURRENCY = 64  # the most in flight of ``concurrency: auto``
KEY_SOURCES = ("api_key", "api_key_file", "api_key_command")


def _text(expected: str, hint: str | None = None, **rules: Any) -> Rules:
    return {"type": "string", "empty": False, "meta": {"expected": expected, "hint": hint}, **rules}


def _number(expected: str, low: float, high: float | None = None, kind: str = "number", hint: str | None = None) -> Rules:
    rules: Rules = {"type": kind, "min": low, "meta": {"expected": expected, "hint": hint}}
    if kind == "number":
        rules["check_with"] = "finite"
    return rules if high is None else {**rules, "max": high}


def _seconds(low: float = 0.001) -> Rules:
    return _number("seconds, " + ("0 or more" if low == 0 else "more than 0") + ", at most a year", low, _YEAR)


def _whole(low: int, high: int | None = None) -> Rules:
    words = f"a whole number, {low} or more" if high is None else f"a whole number from {low} to {high}"
    return _number(words, low, high, kind="integer")


_SWITCH: Rules = {"type": "boolean", "meta": {"expected": "true or false"}}
_SCALAR: Rules = {"type": ["string", "integer", "float"], "meta": {"expected": "text", "hint": "put it in quotes"}}


def request_rules(rows: Iterable[RequestField]) -> Rules:
    """The rules of fields that a configuration may give to requests."""
    return {row.name: _field_rules(row) for row in rows}


def _field_rules(row: RequestField) -> Rules:
    if row.kind == fields.NUMBER:
        return _number(f"a number from {row.low} to {row.high}", row.low or 0, row.high)
    if row.kind == fields.WHOLE:
        return {"type": "integer", "meta": {"expected": "a whole number"}} if row.low is None else _whole(row.low, row.high)
    if row.kind == fields.TEXTS:
        item = _text("a text that is not empty", "put it in quotes")
        return {"type": "list", "schema": item, "meta": {"expected": "a text or a list of texts"}}
    if row.kind == fields.SWITCH:
        return _SWITCH
    if row.kind == fields.WORD:
        words = " or ".join(row.words)
        return {"type": "string", "allowed": list(row.words), "meta": {"expected": words}}
    if row.kind == fields.MAPPING:
        return {"type": "dict", "meta": {"expected": "a mapping of payload parameters"}}
    return {"type": "string", "meta": {"expected": "text"}}


_ATTEMPTS: Rules = {
    "timeout": _seconds(),
    "deadline": _seconds(),
    "max_retries": _whole(0, 1000),
    "retry_base": _seconds(0),
    "retry_cap": _seconds(0),
    "max_retry_after": _seconds(0),
    "retry_timeouts": _SWITCH,
}
_BUDGET_NAME = _text("the name of a budget", "one of those under budgets", regex=r"[^\s/]([^/]*[^\s/])?")
_LEVEL: Rules = {
    **request_rules(fields.CONFIGURABLE),
    **_ATTEMPTS,
    "budget": {"type": "list", "schema": _BUDGET_NAME, "meta": {"expected": "the name of a budget, or a list of names"}},
}

_PRICE = _number("US dollars per million tokens, 0 or more", 0)
_TIER: Rules = {
    "above": {**_whole(0), "required": True},
    **dict.fromkeys(("input", "output", "cached_input", "cache_write"), _PRICE),
}
_PRICING: Rules = {
    "input": {**_PRICE, "required": True},
    "output": {**_PRICE, "required": True},
    "cached_input": _PRICE,
    "cache_write": _PRICE,
    "tiers": {
        "type": "list",
        "schema": {"type": "dict", "schema": _TIER, "meta": {"expected": "a mapping with above and prices"}},
        "meta": {"expected": "a list of tiers", "hint": "as in: tiers: [{above: 200000, input: 2.5}]"},
    },
    "service_tiers": {
        "type": "dict",
        "valuesrules": _number("a part of the usual price (0.5: half)", 0, 100),
        "meta": {"expected": "a mapping of service tiers to parts of the usual price", "hint": "as in: {priority: 2}"},
    },
}
_CACHE: Rules = {
    "type": ["boolean", "dict"],
    "schema": {
        "dir": _text("the path of a folder", "put it in quotes"),
        "max_age": {
            "type": ["number", "string"],
            "min": 0,
            "regex": AGE,
            "meta": {"expected": "seconds, or a text such as 12h or 30d"},
        },
        "max_bytes": {
            "type": ["number", "string"],
            "min": 0,
            "regex": SIZE,
            "meta": {"expected": "bytes, or a text such as 500M or 2G"},
        },
        "errors": _SWITCH,
    },
    "meta": {"expected": "true, false, a folder, or a mapping {dir, max_age, max_bytes, errors}"},
}
_LEVEL |= {"cache": _CACHE, "via": _text("direct, background or batch", allowed=["direct", "background", "batch"])}

_MODEL: Rules = {
    **_LEVEL,
    "name": _text("a model's name", "as in: name: gpt-4o-mini", required=True),
    "pricing": {"type": "dict", "schema": _PRICING, "meta": {"expected": "{input: USD, output: USD} per million tokens"}},
    "context_window": _whole(1),
}
_PROVIDER: Rules = {
    **_LEVEL,
    "type": _text("the name of a dialect", "as in: type: openai"),
    "api_key": {"type": "string", "meta": {"expected": "text", "hint": "as in: api_key: ${OPENAI_API_KEY}"}},
    "api_key_file": _text("the path of a file that holds the key"),
    "api_key_command": {
        "type": ["string", "list"],
        "empty": False,
        "schema": _text("a word of the command", "put it in quotes"),
        "meta": {"expected": "a command that prints the key"},
    },
    "base_url": _text("an http:// or https:// URL"),
    "models": {
        "type": "list",
        "schema": {
            "type": "dict",
            "schema": _MODEL,
            "meta": {"expected": "a model's name, or a mapping with name", "unknown": _OWN},
        },
        "meta": {"expected": "a list of models", "hint": "as in: models: [NAME, {name: NAME, max_tokens: 4000}]"},
    },
    "default_params": {"type": "dict", "schema": _LEVEL, "meta": {"expected": "a mapping of request defaults", "unknown": _OWN}},
    "headers": {"type": "dict", "valuesrules": _SCALAR, "meta": {"expected": "a mapping of header names to texts"}},
    "query": {
        "type": "dict",
        "valuesrules": {"type": ["string", "integer", "float", "boolean"], "meta": {"expected": "text"}},
        "meta": {"expected": "a mapping of query fields to texts"},
    },
    "auth": {
        "type": ["dict", "string"],
        "regex": "google-cloud|aws",
        "schema": {
            "header": _text("the name of a header", required=True),
            "prefix": {"type": "string", "meta": {"expected": "text"}},
        },
        "meta": {"expected": "google-cloud, aws, or a mapping {header, prefix}", "hint": "as in: auth: {header: api-key}"},
    },
    "project": _text("a Google Cloud project", "put it in quotes"),
    "location": _text("a Google Cloud location"),
    "region": _text("an AWS region", "as in: region: us-east-1"),
    "profile": _text("the name of a profile in AWS's files", "put it in quotes"),
    "max_tokens_field": _text("the name of a payload field", "as in: max_tokens_field: max_completion_tokens"),
    "reasoning_field": _text(
        "the name under which the server takes reasoning back, or none",
        "one of reasoning_content, reasoning, reasoning_details and none",
        allowed=["reasoning_content", "reasoning", "reasoning_details", "none"],
    ),
    "structured_output": _text(
        "json_schema, json_object, tool or prompt",
        "how the server is asked for JSON of a schema",
        allowed=["json_schema", "json_object", "tool", "prompt"],
    ),
    "proxy": _text("a proxy's URL"),
    **dict.fromkeys(CERTIFICATE_FILES, _text("the path of a PEM file")),
    "allow_insecure": _SWITCH,
    "max_response_bytes": _whole(1),
    "concurrency": {
        **_whole(1, 4096),
        "type": ["integer", "dict"],
        "schema": {"from": _whole(1, 4096), "to": _whole(1, 4096)},
        "meta": {"expected": "a whole number from 1 to 4096, auto, or {from: 1, to: 64}"},
    },
    "requests_per_minute": _number("a number more than 0", 0.001, 1e9),
    "tokens_per_minute": _number("a number more than 0", 0.001, 1e12),
    "max_queue": _whole(1),
    "idle_timeout": _seconds(),
    "machine_wide": _SWITCH,
    "per_node": _SWITCH,
}
_DEFAULTS: Rules = {
    **_LEVEL,
    "model": _text("a model's name", "as in: model: openai/gpt-4o-mini"),
    "strict": _SWITCH,
    "strict_streaming": _SWITCH,
    "prices": {"type": ["string", "boolean"], "allowed": ["auto", "off", False], "meta": {"expected": "auto or off"}},
}

_ROUTE_ENTRY: Rules = {
    **request_rules(fields.CONFIGURABLE),
    **_ATTEMPTS,
    "model": _text("a model's name", "as in: model: openai/gpt-4o-mini", required=True),
    "weight": _whole(1, 1000),
}
_WORDS = ", ".join(GO_ON_AFTER)
_ROUTE: Rules = {
    "models": {
        "type": "list",
        "required": True,
        "empty": False,
        "schema": {
            "type": "dict",
            "schema": _ROUTE_ENTRY,
            "meta": {"expected": "a model's name, or a mapping with model", "unknown": _OWN},
        },
        "meta": {"expected": "a list of models", "hint": "as in: [anthropic/MODEL, openai/MODEL]"},
    },
    "go_on_after": {
        "type": "list",
        "schema": {"type": "string", "allowed": list(GO_ON_AFTER), "meta": {"expected": f"one of {_WORDS}"}},
        "meta": {"expected": "a list of kinds of failures", "hint": f"known are {_WORDS}"},
    },
    "spread": {"type": "string", "allowed": list(SPREADS), "meta": {"expected": f"one of {', '.join(SPREADS)}"}},
}
_BUDGET: Rules = {
    "usd": {**_number("US dollars, 0 or more", 0, 1_000_000), "required": True},
    "per": _text("minute, hour, day, week, month or total", allowed=list(PERIODS)),
}

SCHEMA: Mapping[str, Any] = {
    "budgets": {
        "type": "dict",
        "valuesrules": {"type": "dict", "schema": _BUDGET, "meta": {"expected": "a mapping {usd, per}"}},
        "meta": {"expected": "a mapping of names to budgets", "hint": "as in: budgets: {team-daily: {usd: 5, per: day}}"},
    },
    "defaults": {"type": "dict", "schema": _DEFAULTS, "meta": {"expected": "a mapping", "unknown": _OWN}},
    "providers": {
        "type": "dict",
        "required": True,
        "empty": False,
        "valuesrules": {
            "type": "dict",
            "schema": _PROVIDER,
            "meta": {"expected": "a mapping of the provider's settings", "unknown": _OWN},
        },
        "meta": {
            "expected": "a mapping of provider names to their settings",
            "hint": "as in: providers: {openai: {models: [gpt-4o-mini]}}",
        },
    },
    "observe": {"type": "string", "allowed": ["otel"], "meta": {"expected": "otel"}},
    "history": _SWITCH,
    "routes": {
        "type": "dict",
        "valuesrules": {
            "type": "dict",
            "schema": _ROUTE,
            "meta": {"expected": "a list of models, or a mapping with models"},
        },
        "meta": {"expected": "a mapping of names to lists of models", "hint": "as in: routes: {smart: [openai/MODEL]}"},
    },
}


def levels_of(key: str) -> list[str]:
    """The levels that have a key of this name, for hints: ``defaults``, ``providers.NAME`` and ``models[…]``."""
    levels = (
        ("defaults", _DEFAULTS),
        ("providers.NAME", _PROVIDER),
        ("providers.NAME.models[…]", _MODEL),
        ("routes.NAME", _ROUTE),
        ("routes.NAME.models[…]", _ROUTE_ENTRY),
    )
    return [level for level, keys in levels if key in keys]
