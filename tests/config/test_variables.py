"""``${VAR}``, ``${VAR:-default}``, ``$$``."""

from __future__ import annotations

import pytest

from llm_sync.config.variables import parse

ENVIRONMENT = {"A": "1", "EMPTY": "", "NESTED": "${A}"}


@pytest.mark.parametrize(
    ("text", "resolved", "unset"),
    [
        ("plain", "plain", ()),
        ("", "", ()),
        ("x${A}y", "x1y", ()),
        ("${A}${A}", "11", ()),
        ("${NO}", "${NO}", ("NO",)),
        ("${NO}/${NO}/${OTHER}", "${NO}/${NO}/${OTHER}", ("NO", "OTHER")),
        ("${NO:-d}", "d", ()),
        ("${NO:-}", "", ()),
        ("${EMPTY:-d}", "d", ()),
        ("${EMPTY}", "", ()),
        ("${A:-d}", "1", ()),
        ("${NO:-http://x:1/}", "http://x:1/", ()),
        ("$$", "$", ()),
        ("$${A}", "${A}", ()),
        ("$$$${A}", "$${A}", ()),
        ("$$${A}", "$1", ()),
        ("$5 and $A", "$5 and $A", ()),
        ("${NESTED}", "${A}", ()),  # a value is not resolved again
    ],
)
def test_references_are_resolved_once(text: str, resolved: str, unset: tuple[str, ...]) -> None:
    """As shells do it, but nothing else of a shell."""
    template = parse(text)
    assert not template.malformed
    assert template.resolve(ENVIRONMENT) == (resolved, unset)


@pytest.mark.parametrize("text", ["${", "${}", "${A", "${1A}", "${A-b}", "${A:-${B}}", "x ${ A }"])
def test_what_cannot_be_read_is_malformed(text: str) -> None:
    """Nesting and other operators of shells are not supported, and not passed over."""
    assert parse(text).malformed


@pytest.mark.parametrize(
    ("text", "literal"),
    [("${A}", False), ("${A}${B}", False), ("${A:-}", False), ("${A:-x}", True), ("x${A}", True), ("x", True), ("$$", True)],
)
def test_literal_text_is_distinguished_from_references(text: str, literal: bool) -> None:
    """A default is text that stands in the file, too."""
    assert parse(text).has_literal is literal
