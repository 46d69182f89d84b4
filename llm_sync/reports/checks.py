"""Whether an answer is what was expected: the built-in checks, and how each compares."""

from __future__ import annotations

import contextlib
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.reports.rows import RecordRow
from llm_sync.reports.verdicts import Check, Verdict, without_verdict

NAMES = ("exact", "contains", "regex", "number", "json", "schema", "command")
_NUMBER = re.compile(r"(?<![\w.])[-+−]?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")
_TOLERANCE = 1e-9
_FENCE = re.compile(r"\A\s*```[a-zA-Z]*\s*\n(.*?)\n?```\s*\Z", re.DOTALL)


PASSED, WRONG = Verdict(1.0, True), Verdict(0.0, False)


class FunctionCheck:
    """A check by a function of a row, which runs in the calling thread."""

    def __init__(self, judge: Callable[[RecordRow], Verdict], description: str, *, needs_expectation: bool = True) -> None:
        self._judge = judge
        self.description = description
        self.needs_expectation = needs_expectation

    def verdicts(self, rows: Iterable[RecordRow]) -> Iterator[tuple[RecordRow, Verdict]]:
        """Judge one row after the other."""
        for row in rows:
            missing = without_verdict(self, row)
            yield row, missing if missing is not None else self._judge(row)


def normalized(text: str) -> str:
    """The text as ``exact`` and ``contains`` compare it: Unicode NFKC, case-folded, white space as single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _options(expected: Any) -> list[str]:
    """The texts that are right: one, or the members of a list."""
    return [_text(value) for value in expected] if isinstance(expected, list) else [_text(expected)]


def _of(passed: bool) -> Verdict:
    return PASSED if passed else WRONG


def _exact(row: RecordRow) -> Verdict:
    answer = normalized(row.text or "")
    return _of(any(answer == normalized(option) for option in _options(row.expected)))


def _contains(row: RecordRow) -> Verdict:
    answer = normalized(row.text or "")
    return _of(any(normalized(option) in answer for option in _options(row.expected)))


def _regex(row: RecordRow) -> Verdict:
    from llm_sync.validation.automaton import TextTooLong
    from llm_sync.validation.linear_regex import UnsupportedPattern, compile_pattern

    try:
        return _of(any(compile_pattern(option).search(row.text or "") for option in _options(row.expected)))
    except TextTooLong as error:
        return Verdict(None, None, f"the answer has {error}")
    except UnsupportedPattern as error:
        return Verdict(None, None, f"the pattern {error}")


def last_number(text: str) -> float | None:
    """The last number in a text, thousands separators removed; None without any."""
    numbers = _NUMBER.findall(text)
    return float(numbers[-1].replace(",", "").replace("−", "-")) if numbers else None


def _number(row: RecordRow) -> Verdict:
    wanted = [_float(value) if isinstance(value, (int, float)) else last_number(_text(value)) for value in _as_list(row.expected)]
    answer = last_number(row.text or "")
    if None in wanted or any(isinstance(value, bool) for value in _as_list(row.expected)):
        return Verdict(None, None, "the expectation is no number")
    return _of(
        answer is not None and any(math.isclose(answer, value, rel_tol=_TOLERANCE) for value in wanted if value is not None)
    )


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits: as such a number in an answer is read
        return math.inf if value > 0 else -math.inf


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def document_of(row: RecordRow) -> tuple[bool, Any]:
    """Whether an answer is JSON (a code fence around it does not matter), and its value."""
    if row.parsed is not None:
        return True, row.parsed
    text = row.text or ""
    fenced = _FENCE.match(text)
    try:
        return True, json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return False, None


def _json(row: RecordRow) -> Verdict:
    is_json, value = document_of(row)
    if not is_json or row.expected is None:
        return _of(is_json)
    wanted = row.expected
    if isinstance(wanted, str):
        with contextlib.suppress(ValueError):  # the text itself is expected
            wanted = json.loads(wanted)
    return _of(equal_json(value, wanted))


def equal_json(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal: 1 and 1.0 are, 1 and true are not; the order of keys makes no difference."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal_json(value, b[key]) for key, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal_json, a, b))
    return bool(a == b)


def schema_check(schema: dict[str, Any]) -> Check:
    """The check that an answer is JSON that fits a JSON Schema. Raises InvalidRequestError for a schema that is none."""
    from llm_sync.validation.json_schema import check_schema, misfits

    checked = check_schema(schema)

    def judge(row: RecordRow) -> Verdict:
        is_json, value = document_of(row)
        return _of(is_json and not misfits(value, checked))

    return FunctionCheck(judge, "the answer is JSON that fits the schema", needs_expectation=False)


_ANY_CASE = "case, Unicode form (NFKC) and the amount of white space make no difference"
_BUILT_IN: dict[str, tuple[Callable[[RecordRow], Verdict], str, bool]] = {
    "exact": (_exact, f"the answer equals the expectation, or one of a list; {_ANY_CASE}", True),
    "contains": (_contains, f"the expectation, or one of a list, occurs in the answer; {_ANY_CASE}", True),
    "regex": (_regex, "the expectation, a regular expression, is found in the answer as it is", True),
    "number": (
        _number,
        "the last number in the answer equals the expectation to nine digits; commas between thousands are removed",
        True,
    ),
    "json": (
        _json,
        "the answer is JSON, also in a code fence, and equals the expectation if there is one; the order of keys does not matter",
        False,
    ),
}


def make_check(name: str) -> Check:
    """The check of this name: one of NAMES, ``schema:FILE`` or ``command:CMD``. Raises InvalidRequestError, OSError."""
    kind, _, argument = name.partition(":")
    if kind in _BUILT_IN and not argument:
        judge, description, needs_expectation = _BUILT_IN[kind]
        return FunctionCheck(judge, description, needs_expectation=needs_expectation)
    if kind == "schema" and argument:
        with open(argument, encoding="utf-8") as file:
            try:
                return schema_check(json.load(file))
            except ValueError as error:
                raise InvalidRequestError(f"{argument!r} is not a JSON Schema: {error}") from None
    if kind == "command" and argument:
        from llm_sync.reports.command_check import CommandCheck

        return CommandCheck(argument)
    usage = "exact, contains, regex, number, json, schema:FILE or command:CMD"
    raise InvalidRequestError(f"there is no check {name!r}", guidance=f"Name one of: {usage}.")
