"""What each check passes, and what it has no verdict on."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_records import answer, failure  # type: ignore[import-not-found]

from llm_sync.errors import InvalidRequestError
from llm_sync.reports import summarize
from llm_sync.reports.checks import last_number, make_check
from llm_sync.reports.command_check import CommandCheck


@pytest.fixture
def passed(output: Callable[..., str]) -> Callable[..., bool | None]:
    """Whether one answer passes a check."""

    def judge(check: Any, text: str, expected: Any = None) -> bool | None:
        path = output([answer(0, text, input={"want": expected} if expected is not None else {})])
        with summarize(path, check=check, expect=None if expected is None else "want") as report:
            return next(report.rows()).passed

    return judge


@pytest.mark.parametrize(
    ("check", "text", "expected", "passes"),
    [
        ("exact", " Straße\n eins ", "STRASSE EINS", True),
        ("exact", "yes.", "yes", False),
        ("exact", "b", ["a", "b"], True),
        ("contains", "It is PARIS, of course", "paris", True),
        ("contains", "Lyon", "paris", False),
        ("regex", "abc 12", r"\d{2}$", True),
        ("regex", "ABC", "abc", False),
        ("regex", "a" * 30, "(a+)+b", False),
        ("regex", "a", "(", None),
        ("number", "It was 3, now 1,234.50", "1234.5", True),
        ("number", "-4", -4, True),
        ("number", "none", 4, False),
        ("number", "4", "four", None),
        pytest.param("number", "4", 10**400, False, id="number-huge"),
        ("number", "4", [-(10**400), 4], True),
        ("number", "1", True, None),
        ("json", '```json\n{"b": 1, "a": [true]}\n```', '{"a": [true], "b": 1.0}', True),
        ("json", "[1]", [True], False),
        ("json", "{", None, False),
        ("json", "{}", None, True),
    ],
)
def test_built_in_checks(passed: Callable[..., bool | None], check: str, text: str, expected: Any, passes: bool | None) -> None:
    """Each compares as its description says; an expectation that cannot be used is no wrong answer."""
    assert passed(check, text, expected) is passes


@pytest.mark.parametrize(
    ("text", "number"), [("GPT-4 says 7", 7), ("1e3", 1000), ("12,34", 34), ("−5 degrees", -5), ("v2", None), (".5", 0.5)]
)
def test_the_last_number_of_a_text(text: str, number: float | None) -> None:
    """Signs, exponents and thousands are read; digits in words are not."""
    assert last_number(text) == number


def test_a_schema_check(passed: Callable[..., bool | None], tmp_path: Path) -> None:
    """The answer must be JSON and fit."""
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}')
    assert passed(f"schema:{schema}", '{"a": 1}') is True
    assert passed(f"schema:{schema}", '{"a": "1"}') is False


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., CommandCheck]:
    """A check by a Python script."""

    def make(code: str, **options: Any) -> CommandCheck:
        script = tmp_path / "judge.py"
        script.write_text(f"import json, os, sys, time\nrow = json.load(sys.stdin)\n{code}\n")
        return CommandCheck(shlex.join([sys.executable, "-I", str(script)]), **options)

    return make


@pytest.mark.parametrize(
    ("code", "score", "passes"),
    [
        ("print('perhaps')", None, None),
        ("print(json.dumps(row['answer'] == row['expected']))", 1.0, True),
        ("print(0.25)", 0.25, False),
        ("print(json.dumps({'score': 0.25, 'passed': True}))", 0.25, True),
        ("sys.exit(1)", 0.0, False),
        ("pass", 1.0, True),
        ("print(2)", None, None),
        ("sys.exit('broken')", None, None),
        ("sys.exit(3)", None, None),
    ],
)
def test_what_a_command_may_answer(
    output: Callable[..., str], command: Callable[..., CommandCheck], code: str, score: float | None, passes: bool | None
) -> None:
    """True or false, a score, both, or its status; anything else is no verdict, with a reason."""
    with summarize(output([answer(0, input={"want": "yes"})]), check=command(code), expect="want") as report:
        row = next(report.rows())
    assert (row.score, row.passed) == (score, passes)
    assert (row.unscored is None) == (passes is not None)


def test_a_command_gets_no_keys_and_a_time_limit(
    output: Callable[..., str], command: Callable[..., CommandCheck], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that hangs is ended and counts as no verdict; failures are not given to it; the order stays."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    code = "time.sleep(60 if row['id'] == 'q1' else 0); print(0 if 'OPENAI_API_KEY' in os.environ else 1)"
    records = [answer(0), answer(1), failure(2), answer(3)]
    with summarize(output(records), check=command(code, timeout=5.0)) as report:
        assert [row.passed for row in report.rows()] == [True, None, None, True]
        assert report.models[0].unscored == {"the command took more than 5 s": 1}


@pytest.mark.parametrize("name", ["exactly", "schema:", "command:", "command:/no/such", "exact:x"])
def test_a_check_that_there_is_not(name: str) -> None:
    """Is refused before anything is read."""
    with pytest.raises(InvalidRequestError):
        make_check(name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e.csv", "id,expected,more\nq0,yes,x\n"),
        ("e.tsv", "id\tvalue\nq0\tyes\n"),
        ("e.jsonl", '{"id": "q0", "answer": "yes"}\n\n'),
        ("e.json", '{"q0": "yes"}'),
    ],
)
def test_files_of_expectations(output: Callable[..., str], tmp_path: Path, name: str, content: str) -> None:
    """Each form is joined by id; what has no expectation is no wrong answer."""
    (tmp_path / name).write_text(content)
    with summarize(output([answer(0), answer(1)]), expect=str(tmp_path / name)) as report:
        assert [row.passed for row in report.rows()] == [True, None]
        assert report.models[0].unscored == {"no expectation": 1}


def test_an_id_may_have_half_of_a_surrogate_pair(output: Callable[..., str], tmp_path: Path) -> None:
    """In the records, and in the file of expectations."""
    (tmp_path / "e.jsonl").write_text('{"id": "\\ud800", "answer": "yes"}\n{"id": "q1", "answer": "no"}\n')
    with summarize(output([answer(0, id="\ud800"), answer(1)]), expect=str(tmp_path / "e.jsonl")) as report:
        assert [row.passed for row in report.rows()] == [True, False]


@pytest.mark.parametrize("content", ["a,b,id\n1,2,q0\n", "a\n1\n", "id,a\nq0,1\nq0,2\n"])
def test_ambiguous_expectations_are_refused(output: Callable[..., str], tmp_path: Path, content: str) -> None:
    """Which column, no id, and two values for one id."""
    (tmp_path / "e.csv").write_text(content)
    with pytest.raises(InvalidRequestError):
        summarize(output([answer(0)]), expect=str(tmp_path / "e.csv"))
