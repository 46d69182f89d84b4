"""What a schema cannot say of a script: one action to a rule, expressions that compile, rules that can ever be taken."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from llm_sync.simulator.answers.bounded_regex import RUNS_AWAY, runs_away
from llm_sync.simulator.faults.rules import Rule
from llm_sync.simulator.faults.script_schema import ACTIONS, SCHEMA
from llm_sync.simulator.faults.seeded_random import DISTRIBUTIONS
from llm_sync.validation import SchemaProblem, closest, problems, shown
from llm_sync.validation.document import Document, Path

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BODY_PATH = re.compile(r"[A-Za-z_]\w*(?:\[\d{1,4}\]|\.[A-Za-z_]\w*)*")
_UNFIT = re.compile(r"[^\t\x20-\x7e\xa0-\xff]")  # what no header can carry


def check(document: Document) -> list[Rule]:
    """The rules, where nothing is wrong; else notes every problem with the document."""
    value = document.value
    if not isinstance(value, Mapping):
        kind = "a list" if isinstance(value, list) else "nothing" if value is None else "a single value"
        document.problem((), f"a script is a mapping, this is {kind}", "begin it with rules:")
        return []
    entries = value.get("rules")
    entries = entries if isinstance(entries, list) else []
    for entry in entries:
        _write_out(entry)
    for problem in dict.fromkeys(problems(value, SCHEMA)):  # infinity is too much and not finite
        document.problem(*_told(problem, value))
    for number, entry in enumerate(entries):
        if isinstance(entry, Mapping):
            _check_rule(entry, ("rules", number), document)
    if document.problems:
        return []
    rules = [Rule(entry, number) for number, entry in enumerate(entries, 1)]
    _check_reach(rules, document)
    return rules


def _told(problem: SchemaProblem, value: Any) -> SchemaProblem:
    """With the word that is wrong and the one that was probably meant: scripts hold no secrets, as configurations may."""
    found = value
    try:
        for step in problem.path:
            found = found[step]
    except (KeyError, IndexError, TypeError):  # what is missing
        return problem
    if not isinstance(found, str) or not problem.message.endswith(", found text"):
        return problem
    near = closest(found, re.findall(r"[\w-]+", problem.message))
    message = f"{problem.message.removesuffix('text')}{shown(found)!r}"
    return SchemaProblem(problem.path, message, f"did you mean {near}?" if near and not problem.hint else problem.hint)


def _write_out(entry: Any) -> None:
    """Settings in their short form become mappings."""
    for name, action in ACTIONS.items() if isinstance(entry, dict) else ():
        if action.short and name in entry and not isinstance(entry[name], (dict, list)) and entry[name] is not None:
            entry[name] = {} if entry[name] is True else {action.short: entry[name]}


def _check_rule(entry: Mapping[str, Any], path: Path, document: Document) -> None:
    named = [name for name in entry if name in ACTIONS]
    if len(named) > 1:
        told = f"{', '.join(named[:-1])} and {named[-1]}"
        document.problem(path, f"one rule does one thing, this has {told}", "make it two rules, the first with continue: true")
    elif not named and all(name in ("name", "when", "continue", "billed") for name in entry):
        document.problem(path, "the rule has no action", f"one of {', '.join(ACTIONS)}")
    when = entry.get("when")
    if isinstance(when, Mapping):
        _check_when(when, named, (*path, "when"), document)
    for name, check_setting in _SETTINGS.items():
        if isinstance(entry.get(name), Mapping):
            check_setting(entry[name], (*path, name), document)


def _check_when(when: Mapping[str, Any], named: list[str], path: Path, document: Document) -> None:
    prompt = when.get("prompt")
    if isinstance(prompt, str):
        try:
            if runs_away(re.compile(prompt)):
                document.problem((*path, "prompt"), *RUNS_AWAY)
        except (re.error, OverflowError, RecursionError) as error:
            document.problem(
                (*path, "prompt"), f"is not a regular expression: {error}", "in YAML, single quotes keep backslashes"
            )
    for name in ("nth", "attempt"):
        which = when.get(name)
        if isinstance(which, Mapping):
            every = which.get("every")
            if set(which) != {"every"} or not _is_ordinal(every):
                document.problem((*path, name), "expected {every: NUMBER}, a number from 1 on")
        elif isinstance(which, list) and not all(map(_is_ordinal, which)):
            document.problem((*path, name), "expected numbers from 1 on in the list")
    if when.get("request") == "models":
        for name in ("model", "prompt"):
            if name in when:
                document.problem((*path, name), "the rule never matches: a request for the models has none", "leave it out")
        for action in named:
            if "models" not in ACTIONS[action].doors:
                document.problem((*path, "request"), f"the rule never matches: {action} is for generate only")


def _check_latency(latency: Mapping[str, Any], path: Path, document: Document) -> None:
    named = [name for name in DISTRIBUTIONS if name in latency]
    if len(named) != 1:
        document.problem(path, "expected one distribution", f"one of {', '.join(DISTRIBUTIONS)}")
    bounds: Any = latency.get("uniform")
    pair = isinstance(bounds, list) and len(bounds) == 2 and all(isinstance(bound, (int, float)) for bound in bounds)
    if pair and bounds[0] > bounds[1]:
        document.problem((*path, "uniform"), "the least is more than the most", "write [LEAST, MOST]")


def _check_limit(limit: Mapping[str, Any], path: Path, document: Document) -> None:
    bounds = [name for name in ("requests_per_minute", "tokens_per_minute") if name in limit]
    if not bounds and "concurrency" not in limit:
        document.problem(path, "limits nothing", "name requests_per_minute, tokens_per_minute or concurrency")
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
        place = (*path, "headers", name)
        if not _HEADER_NAME.fullmatch(str(name)):
            document.problem(place, "is not a header name", "letters, digits and -")
        elif str(name).lower() in ("content-length", "transfer-encoding", "connection"):
            document.problem(place, "is the simulator's own to say", "wrong_length, reset and drip falsify it")
        if _UNFIT.search(str(value)):
            document.problem(place, "holds characters that no HTTP header can carry")


def _check_redirect(setting: Mapping[str, Any], path: Path, document: Document) -> None:
    if _UNFIT.search(str(setting.get("location", ""))):
        document.problem((*path, "location"), "holds characters that no HTTP header can carry")


def _check_wrong_type(setting: Mapping[str, Any], path: Path, document: Document) -> None:
    for name in setting:
        if not _BODY_PATH.fullmatch(str(name)):
            document.problem((*path, name), "is not a path in an answer", "as in: choices[0].message.content")


_SETTINGS: Mapping[str, Callable[[Mapping[str, Any], Path, Document], None]] = {
    "latency": _check_latency,
    "rate_limit": _check_limit,
    "whitespace": _check_whitespace,
    "reset": _check_reset,
    "status": _check_status,
    "redirect": _check_redirect,
    "wrong_type": _check_wrong_type,
}


def _check_reach(rules: list[Rule], document: Document) -> None:
    for place, rule in enumerate(rules):
        path = ("rules", place)
        if not rule.doors:
            document.problem(path, "the rule never matches")
        for before in rules[:place]:
            if before.covers(rule):
                hint = "put it first, or let that one continue: true"
                document.problem(path, f"the rule never matches: rules[{before.number - 1}] takes all its requests", hint)
                break


def _is_ordinal(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
