"""The keys of a behaviour script, as a Cerberus schema; ``meta`` holds texts for messages."""

from __future__ import annotations

from collections.abc import Mapping

from llm_sync.simulator.faults import body_faults, delays, job_faults, replacements, transfer_faults
from llm_sync.simulator.faults.actions import Action, Schema
from llm_sync.simulator.faults.context import REQUEST_KINDS

# Provider names in scripts, and the provider types that they match.
PROVIDERS: Mapping[str, frozenset[str]] = {
    "openai": frozenset({"openai", "openai-responses"}),
    "openai-responses": frozenset({"openai-responses"}),
    "anthropic": frozenset({"anthropic"}),
    "gemini": frozenset({"gemini"}),
    "gemini-interactions": frozenset({"gemini-interactions"}),
    "openrouter": frozenset({"openrouter"}),
    "bedrock": frozenset({"bedrock"}),
}
_ACTIONS: tuple[type[Action], ...] = (
    delays.Latency, delays.RateLimit,
    replacements.Error, replacements.Status, replacements.Html, replacements.Redirect,
    body_faults.ErrorIn200, body_faults.Truncated, body_faults.Empty, body_faults.Refusal, body_faults.SafetyBlock,
    body_faults.WrongType, body_faults.EventStream,
    transfer_faults.MalformedJson, transfer_faults.Whitespace, transfer_faults.Gzip, transfer_faults.GzipBomb,
    transfer_faults.WrongLength, transfer_faults.Drip, transfer_faults.Silence, transfer_faults.Reset,
    transfer_faults.ConnectionRefused, transfer_faults.ExpiredKeepAlive,
    *job_faults.JOB_FAULTS,
)  # fmt: skip
ACTIONS: Mapping[str, type[Action]] = {action.name: action for action in _ACTIONS}

_TRUE_OR_FALSE: Schema = {"type": "boolean", "meta": {"expected": "true or false"}}
_NAME: Schema = {"type": "string", "empty": False, "maxlength": 60, "meta": {"expected": "a name of at most 60 characters"}}
_ORDINALS: Schema = {
    "type": ["integer", "list", "dict"],
    "min": 1,
    "empty": False,
    "meta": {"expected": "a number of 1 or more, a list of numbers, or {every: NUMBER}"},
}
_PROBABILITY: Schema = {
    "type": "number",
    "min": 0,
    "max": 1,
    "forbidden": [0],
    "check_with": "finite",
    "meta": {"expected": "a number greater than 0, at most 1"},
}
_WHEN: Schema = {
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
    "request": {"type": "string", "allowed": list(REQUEST_KINDS), "meta": {"expected": " or ".join(REQUEST_KINDS)}},
    "nth": _ORDINALS,
    "attempt": _ORDINALS,
    "probability": _PROBABILITY,
    "share": _PROBABILITY,
}
_RULE: Schema = {
    "name": _NAME,
    "when": {"type": "dict", "schema": _WHEN, "meta": {"expected": "a mapping of conditions"}},
    "continue": _TRUE_OR_FALSE,
    "billed": _TRUE_OR_FALSE,
    **{name: action.schema for name, action in ACTIONS.items()},
}
_JOBS: Schema = {
    "speed": {**job_faults.TIME, "max": 10**7, "meta": {"expected": "simulated seconds per second, 0 or more"}},
    "takes": job_faults.TIME,
    "validating": job_faults.TIME,
    "cancelling": job_faults.TIME,
    "answer_takes": job_faults.TIME,
    "enqueued_tokens": {"type": "integer", "min": 1, "meta": {"expected": "a whole number, 1 or more"}},
}
SCHEMA: Schema = {
    "description": {"type": "string", "meta": {"expected": "text"}},
    "jobs": {"type": "dict", "schema": _JOBS, "meta": {"expected": "a mapping with speed, takes, …"}},
    "seed": {"type": "integer", "meta": {"expected": "a whole number"}},
    "rules": {
        "type": "list",
        "minlength": 1,
        "maxlength": 1000,
        "schema": {"type": "dict", "schema": _RULE, "meta": {"expected": "a mapping with an action and its conditions"}},
        "meta": {
            "expected": "a list of 1 to 1000 rules",
            "hint": "as in: rules: [{error: overloaded}]",
        },
    },
}
