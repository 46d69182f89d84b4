"""Articles and plurals of messages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import llm_sync
from llm_sync import ModelRequest
from llm_sync.errors import InvalidRequestError
from llm_sync.models.grammar import counted, type_name


@pytest.mark.parametrize(
    ("value", "name"),
    [(5, "an int"), ("x", "a str"), (True, "a boolean"), ([], "a list"), (object(), "an object"), ({}, "a dict")],
)
def test_a_type_has_its_article(value: object, name: str) -> None:
    """As it is spoken."""
    assert type_name(value) == name


@pytest.mark.parametrize(("number", "words"), [(0, "0 answers"), (1, "1 answer"), (2, "2 answers"), (1000, "1,000 answers")])
def test_one_is_singular(number: int, words: str) -> None:
    """And nothing else is."""
    assert counted(number, "answer") == words


def test_a_plural_of_its_own_is_used_for_all_but_one() -> None:
    """1 retry, 2 retries."""
    assert [counted(number, "retry", "retries") for number in (1, 2)] == ["1 retry", "2 retries"]


def test_an_error_of_a_request_reads_well() -> None:
    """A number where a text belongs is an int."""
    with pytest.raises(InvalidRequestError) as caught:
        ModelRequest(5)  # type: ignore[arg-type]
    assert caught.value.message == "prompt is an int"


def test_no_message_puts_an_article_before_a_types_name_by_itself() -> None:
    """Everyone asks type_name, so that no error says "a int"."""
    package = Path(llm_sync.__file__).parent
    pattern = re.compile(r"\ba \{(?:type\(|kind\(|field_checks\.kind\()")
    found = [str(path) for path in package.rglob("*.py") if pattern.search(path.read_text("utf-8"))]
    assert found == []
