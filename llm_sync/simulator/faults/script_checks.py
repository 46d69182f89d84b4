"""Checks of a script that a schema cannot express: one action per rule, valid patterns, rules that can match."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from llm_sync.simulator.faults.context import REQUEST_KINDS
from llm_sync.simulator.faults.rules import Rule
from llm_sync.simulator.faults.script_schema import ACTIONS, SCHEMA
from llm_sync.simulator.faults.seeded_random import DISTRIBUTIONS
from llm_sync.validation import SchemaProblem, closest, problems, shown
from llm_sync.validation.document import Document, Path
from llm_sync.validation.linear_regex import UnsupportedPattern, compile_pattern

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BODY_PATH = re.compile(r"[A-Za-z_]\w*(?:\[\d{1,4}\]|\.[A-Za-z_]\w*)*")
_NOT_IN_HEADERS = re.compile(r"[^\t\x20-\x7e\xa0-\xff]")  # not allowed in a header


def check(document: Document) -> list[Rule]:
    """The rules of a valid script; else adds all problems to the document and returns an empty list."""
    value = document.value
    if not isinstance(value, Mapping):
        kind = "a list" if isinstance(value, list) else "nothing" if value is None else "a single value"
        document.problem((), f"a script is a mapping, this is {kind}", "begin it with rules:")
        return []
    entries = value.get("rules")
    entries = entries if isinstance(entries, list) else []
    for entry in entries:
        _expand_short_form(entry)
    for problem in dict.fromkeys(problems(value, SCHEMA)):  # the same problem may occur twice
        document.problem(*_with_found_word(problem, value))
    for number, entry in enumerate(entries):
        if isinstance(entry, Mapping):
            _check_rule(entry, ("rules", number), document)
    if "rules" not in value and "jobs" not in value:
        document.problem(("rules",), "is missing", "as in: rules: [{error: overloaded}]")
    if document.problems:
        return []
    rules = [Rule(entry, number) for number, entry in enumerate(entries, 1)]
    _check_reachable(rules, document)
    return rules


def _with_found_word(problem: SchemaProblem, value: Any) -> SchemaProblem:
    """Adds the wrong word, and the one that was probably meant. Unlike a configuration, a script holds no secrets."""
    value_at_path = value
    try:
        for step in problem.path:
            value_at_path = value_at_path[step]
    except (KeyError, IndexError, TypeError):  # the field is missing
        return problem
    if not isinstance(value_at_path, str) or not problem.message.endswith(", found text"):
        return problem
    suggestion = closest(value_at_path, re.findall(r"[\w-]+", problem.message))
    message = f"{problem.message.removesuffix('text')}{shown(value_at_path)!r}"
    return SchemaProblem(
        problem.path, message, f"did you mean {suggestion}?" if suggestion and not problem.hint else problem.hint
    )


def _expand_short_form(entry: Any) -> None:
    """Replaces settings in their short form by mappings."""
    for name, action in ACTIONS.items() if isinstance(entry, dict) else ():
        if action.short and name in entry and not isinstance(entry[name], (dict, list)) and entry[name] is not None:
            entry[name] = {} if entry[name] is True else {action.short: entry[name]}


def _check_rule(entry: Mapping[str, Any], path: Path, document: Document) -> None:
    actions = [name for name in entry if name in ACTIONS]
    if len(actions) > 1:
        listed = f"{', '.join(actions[:-1])} and {actions[-1]}"
        document.problem(
            path, f"a rule has one action, this one has {listed}", "split it into two rules, the first with continue: true"
        )
    elif not actions and all(name in ("name", "when", "continue", "billed") for name in entry):
        document.problem(path, "the rule has no action", f"one of {', '.join(ACTIONS)}")
    when = entry.get("when")
    if isinstance(when, Mapping):
        _check_when(when, actions, (*path, "when"), document)
    for name, check_setting in _SETTING_CHECKS.items():
        if isinstance(entry.get(name), Mapping):
            check_setting(entry[name], (*path, name), document)


def _check_when(when: Mapping[str, Any], actions: list[str], path: Path, document: Document) -> None:
    prompt = when.get("prompt")
    if isinstance(prompt, str):
        try:
            compile_pattern(prompt)
        except UnsupportedPattern as error:
            document.problem((*path, "prompt"), str(error), "in YAML, single quotes keep backslashes")
    for name in ("nth", "attempt"):
        ordinals = when.get(name)
        if isinstance(ordinals, Mapping):
            every = ordinals.get("every")
            if set(ordinals) != {"every"} or not _is_ordinal(every):
                document.problem((*path, name), "expected {every: NUMBER}, a number of 1 or more")
        elif isinstance(ordinals, list) and not all(map(_is_ordinal, ordinals)):
            document.problem((*path, name), "expected a list of numbers, each 1 or more")
    kind = when.get("request")
    if isinstance(kind, str) and kind in REQUEST_KINDS:
        _check_request_kind(kind, when, actions, path, document)


def _check_request_kind(kind: str, when: Mapping[str, Any], actions: list[str], path: Path, document: Document) -> None:
    noun = "a listing request" if kind == "models" else f"a request of the kind {kind}"
    for name in ("model", "prompt"):
        if name in when and kind not in ("generate", "line", "create"):
            document.problem((*path, name), f"the rule never matches: {noun} has no {name}", "leave it out")
    for action in actions:
        kinds = ACTIONS[action].request_kinds
        if kind not in kinds:
            only = " or ".join(word for word in kinds if word)
            document.problem((*path, "request"), f"the rule never matches: {action} is for {only} only")


def _check_latency(latency: Mapping[str, Any], path: Path, document: Document) -> None:
    distributions = [name for name in DISTRIBUTIONS if name in latency]
    if len(distributions) != 1:
        document.problem(path, "expected one distribution", f"one of {', '.join(DISTRIBUTIONS)}")
    bounds: Any = latency.get("uniform")
    pair = isinstance(bounds, list) and len(bounds) == 2 and all(isinstance(bound, (int, float)) for bound in bounds)
    if pair and bounds[0] > bounds[1]:
        document.problem((*path, "uniform"), "the minimum is greater than the maximum", "write [MIN, MAX]")


def _check_limit(limit: Mapping[str, Any], path: Path, document: Document) -> None:
    bounds = [name for name in ("requests_per_minute", "tokens_per_minute") if name in limit]
    if not bounds and "concurrency" not in limit:
        document.problem(path, "sets no limit", "name requests_per_minute, tokens_per_minute or concurrency")
    elif "burst" in limit and not bounds:
        document.problem((*path, "burst"), "has no effect without a limit per minute", "leave it out")


def _check_whitespace(setting: Mapping[str, Any], path: Path, document: Document) -> None:
    if set(setting) not in ({"blanks"}, {"times", "every"}):
        document.problem(path, "expected blanks, or times and every", "as in: whitespace: 2000")


def _check_reset(setting: Mapping[str, Any], path: Path, document: Document) -> None:
    if len(setting) != 1:
        document.problem(path, "expected when or after_bytes", "as in: reset: mid_body")


def _check_status(setting: Mapping[str, Any], path: Path, document: Document) -> None:
    try:
        json.dumps(setting.get("body"))
    except (TypeError, ValueError, RecursionError) as error:
        document.problem((*path, "body"), f"cannot be written as JSON: {error}")
    headers = setting.get("headers")
    for name, value in headers.items() if isinstance(headers, Mapping) else ():
        header_path = (*path, "headers", name)
        if not _HEADER_NAME.fullmatch(str(name)):
            document.problem(header_path, "is not a header name", "letters, digits and -")
        elif str(name).lower() in ("content-length", "transfer-encoding", "connection"):
            document.problem(header_path, "is set by the simulator", "use wrong_length, reset or drip to falsify it")
        if _NOT_IN_HEADERS.search(str(value)):
            document.problem(header_path, "contains characters that are not allowed in HTTP headers")


def _check_redirect(setting: Mapping[str, Any], path: Path, document: Document) -> None:
    if _NOT_IN_HEADERS.search(str(setting.get("location", ""))):
        document.problem((*path, "location"), "contains characters that are not allowed in HTTP headers")


def _check_wrong_type(setting: Mapping[str, Any], path: Path, document: Document) -> None:
    for name in setting:
        if not _BODY_PATH.fullmatch(str(name)):
            document.problem((*path, name), "is not a path in an answer", "as in: choices[0].message.content")


_SETTING_CHECKS: Mapping[str, Callable[[Mapping[str, Any], Path, Document], None]] = {
    "latency": _check_latency,
    "rate_limit": _check_limit,
    "whitespace": _check_whitespace,
    "reset": _check_reset,
    "status": _check_status,
    "redirect": _check_redirect,
    "wrong_type": _check_wrong_type,
}


def _check_reachable(rules: list[Rule], document: Document) -> None:
    for index, rule in enumerate(rules):
        path = ("rules", index)
        if not rule.request_kinds:
            document.problem(path, "the rule never matches")
        for earlier in rules[:index]:
            if earlier.covers(rule):
                hint = "put it first, or let that one continue: true"
                document.problem(path, f"the rule never matches: rules[{earlier.number - 1}] matches all its requests", hint)
                break


def _is_ordinal(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
