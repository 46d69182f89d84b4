"""The keys of a behaviour script, as a Cerberus schema; ``meta`` holds words for messages."""

from __future__ import annotations

from collections.abc import Mapping

from llm_sync.simulator.behaviour import edits, substitutes, waits, ways
from llm_sync.simulator.behaviour.actions import Action, Rules
from llm_sync.simulator.behaviour.scene import DOORS

# A provider as a script names it, and the dialects that are meant.
PROVIDERS: Mapping[str, frozenset[str]] = {
    "openai": frozenset({"openai", "openai-responses"}),
    "openai-responses": frozenset({"openai-responses"}),
    "anthropic": frozenset({"anthropic"}),
    "gemini": frozenset({"gemini"}),
    "openrouter": frozenset({"openrouter"}),
}
ACTIONS: Mapping[str, type[Action]] = {
    action.name: action
    for action in (
        waits.Latency, waits.Limit,
        substitutes.Error, substitutes.Status, edits.ErrorIn200, edits.Truncated, edits.Empty, edits.Refused,
        edits.SafetyBlock, edits.WrongType, substitutes.Html, substitutes.Redirect, edits.EventStream,
        ways.MalformedJson, ways.Whitespace, ways.Gzip, ways.GzipBomb, ways.WrongLength, ways.Drip, ways.Silence,
        ways.Reset, ways.Refused, ways.ExpiredKeepAlive,
    )
}  # fmt: skip

_SWITCH: Rules = {"type": "boolean", "meta": {"expected": "true or false"}}
_NAME: Rules = {"type": "string", "empty": False, "maxlength": 60, "meta": {"expected": "a name of at most 60 characters"}}
_WHICH: Rules = {
    "type": ["integer", "list", "dict"],
    "min": 1,
    "empty": False,
    "meta": {"expected": "a number from 1 on, a list of numbers, or {every: NUMBER}"},
}
_CHANCE: Rules = {
    "type": "number",
    "min": 0,
    "max": 1,
    "forbidden": [0],
    "check_with": "finite",
    "meta": {"expected": "a number over 0, at most 1"},
}
_WHEN: Rules = {
    "provider": {
        "type": ["string", "list"],
        "allowed": list(PROVIDERS),
        "empty": False,
        "meta": {"expected": "a provider, or a list, of " + ", ".join(PROVIDERS)},
    },
    "model": {
        "type": ["string", "list"],
        "empty": False,
        "schema": {"type": "string", "empty": False, "meta": {"expected": "a model's name or a pattern"}},
        "meta": {"expected": "a model's name or a pattern with * and ?, or a list of them"},
    },
    "prompt": {"type": "string", "empty": False, "meta": {"expected": "a regular expression"}},
    "request": {"type": "string", "allowed": list(DOORS), "meta": {"expected": " or ".join(DOORS)}},
    "nth": _WHICH,
    "attempt": _WHICH,
    "probability": _CHANCE,
    "share": _CHANCE,
}
_RULE: Rules = {
    "name": _NAME,
    "when": {"type": "dict", "schema": _WHEN, "meta": {"expected": "a mapping of conditions"}},
    "continue": _SWITCH,
    "billed": _SWITCH,
    **{name: action.rules for name, action in ACTIONS.items()},
}
SCHEMA: Rules = {
    "description": {"type": "string", "meta": {"expected": "text"}},
    "seed": {"type": "integer", "meta": {"expected": "a whole number"}},
    "rules": {
        "type": "list",
        "required": True,
        "minlength": 1,
        "maxlength": 1000,
        "schema": {"type": "dict", "schema": _RULE, "meta": {"expected": "a mapping: an action, and when it is taken"}},
        "meta": {
            "expected": "a list of 1 to 1000 rules",
            "hint": "as in: rules: [{error: overloaded}]",
        },
    },
}
