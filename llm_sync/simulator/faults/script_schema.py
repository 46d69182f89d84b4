"""The keys of a behaviour script, as a Cerberus schema; ``meta`` holds words for messages."""

from __future__ import annotations

from collections.abc import Mapping

from llm_sync.simulator.faults import body_faults, delays, replacements, transfer_faults
from llm_sync.simulator.faults.actions import Action, Rules
from llm_sync.simulator.faults.context import DOORS

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
        delays.Latency, delays.Limit,
        replacements.Error, replacements.Status, replacements.Html, replacements.Redirect,
        body_faults.ErrorIn200, body_faults.Truncated, body_faults.Empty, body_faults.Refused, body_faults.SafetyBlock,
        body_faults.WrongType, body_faults.EventStream,
        transfer_faults.MalformedJson, transfer_faults.Whitespace, transfer_faults.Gzip, transfer_faults.GzipBomb,
        transfer_faults.WrongLength, transfer_faults.Drip, transfer_faults.Silence, transfer_faults.Reset,
        transfer_faults.Refused, transfer_faults.ExpiredKeepAlive,
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
