"""JSON files as plain values: strict about what the YAML reader is strict about."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_sync.validation.document import FileFormat
from llm_sync.validation.yaml_document import parse_document

FORMAT = FileFormat("an answers file", max_depth=3, json=True)


def problems(text: str, form: FileFormat = FORMAT) -> list[str]:
    """What is wrong with a JSON file of this content."""
    return [str(problem) for problem in parse_document(text.encode(), "x.json", form).problems]


def test_the_name_decides_between_json_and_yaml() -> None:
    """The same text is a JSON object under x.json, and YAML under any other name or where the format has no JSON."""
    text = b'{"a": "\\ud83d\\ude00"}'
    assert parse_document(text, "x.json", FORMAT).value == {"a": "😀"}
    assert parse_document(b"a: b", "x.json", FileFormat("a configuration")).value == {"a": "b"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1, "a": 2, "a": 3}', "x.json: the key a is written 3 times in one object (keep one of them)"),
        ("a: b", "x.json:1: not JSON: Expecting value"),
        ('{"a": NaN}', "x.json: NaN is not JSON"),
        ("[" * 4 + "]" * 4, "x.json: the file is nested more than 3 deep"),
        ("[" * 100_000 + "]" * 100_000, "x.json: the file is nested more than 3 deep"),
        ('{"a": {"b": [1]}}', None),
    ],
)
def test_what_is_wrong_is_reported(text: str, problem: str | None) -> None:
    """Duplicate keys, broken JSON, numbers JSON does not have, and depth; never an exception."""
    assert problems(text) == ([] if problem is None else [problem])


def test_numbers_go_through_the_scalar_function_of_the_format() -> None:
    """A format that keeps unquoted values as text keeps JSON numbers as text too."""
    document = parse_document(b'{"a": 1.50, "b": 7}', "x.json", FORMAT._replace(scalar=str))
    assert document.value == {"a": "1.50", "b": "7"}


def test_a_folder_is_reported_with_the_hint_of_the_format(tmp_path: Path) -> None:
    """Each kind of file has its own advice."""
    from llm_sync.validation.yaml_document import read_document

    (problem,) = read_document(tmp_path, FORMAT._replace(folder_hint="name a file")).problems
    assert str(problem) == f"{tmp_path}: is a folder, not a file (name a file)"
