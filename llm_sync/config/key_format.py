"""What no key looks like."""

from __future__ import annotations

import re

# What examples and docs put where a key belongs. Words local servers want for a key ("none", "EMPTY", "ollama") are none.
_PLACEHOLDER = re.compile(
    r"""(?ix) .*(?:\.\.\.|\*\*\*).* | <.*> | \[.*\] | \{.*\}
    | (?:[a-z0-9]{1,8}[-_])* x{3,} [-_x]*
    | (?:[a-z0-9]{1,8}[-_])* your [a-z0-9_-]* (?:key|token|secret) (?:[-_]?goes)? (?:[-_]?here)?
    | (?:insert|enter|put|paste|add|replace) [a-z0-9_-]* (?:key|token|secret|me|this|here)
    | (?:sk|api|key|token)[-_]? (?:key|here)
    | change[-_]?(?:me|this|it) | placeholder | todo | fixme | redacted
    """
)
_LONGEST_PLACEHOLDER = 80  # characters; matching takes the square of them


def impossible(key: str) -> str | None:
    """What makes a text impossible as a key ("is empty" …), None when nothing does. Never shows any of it."""
    if not key:
        return "is empty"
    if "\ufffd" in key or not key.isascii():
        return "holds a character that is not ASCII"
    if any(ord(character) < 32 or ord(character) == 127 for character in key):
        return "holds a line end or another control character"
    if " " in key:
        return "holds a blank"
    if '"' in key or "'" in key or "`" in key:
        return "holds a quotation mark"
    if "${" in key:
        return "holds an unresolved ${"
    if re.fullmatch(r"\$\w+", key):
        return "is a variable's name without its braces: write ${NAME}"
    if len(key) <= _LONGEST_PLACEHOLDER and _PLACEHOLDER.fullmatch(key):
        return "is a placeholder from an example"
    return None
