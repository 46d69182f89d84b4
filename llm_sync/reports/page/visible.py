"""Makes text of a stranger safe to show: characters that are invisible, or change what others look like, appear by name."""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup, escape

_SHOWN_AS_THEY_ARE = {"\n", "\t", "\u200c", "\u200d"}  # the last two join emoji and the letters of some scripts
_MAX_UNBROKEN = 32
_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_CANDIDATES = re.compile(
    r"[\x00-\x1f\x7f-\xa0\xad\u0600-\u08ff\u180e\u200b-\u206f\ud800-\udfff\ufeff-\uffff\U000110bd-\U000fffff]"
)


def _is_hidden(character: str) -> bool:
    return character not in _SHOWN_AS_THEY_ARE and unicodedata.category(character) in _HIDDEN_CATEGORIES


def symbol(character: str) -> str:
    """What is shown for a hidden character: its code point. (Many fonts lack the pictures of control characters.)"""
    return f"U+{ord(character):04X}"


def visible_text(text: str) -> str:
    """The text with each hidden character replaced by its symbol; line ends become spaces. For labels."""
    return _CANDIDATES.sub(lambda match: symbol(match[0]) if _is_hidden(match[0]) else match[0], " ".join(text.split("\n")))


def visible(text: object) -> Markup:
    """The text as markup: escaped, with hidden characters marked as such. Lines stay."""
    pieces: list[str] = []
    end = 0
    content = str(text).replace("\r\n", "\n")
    for match in _CANDIDATES.finditer(content):
        if _is_hidden(match[0]):
            name = unicodedata.name(match[0], "control character")
            pieces += (
                escape(content[end : match.start()]),
                f'<span class="hidden-character" title="{name}">{symbol(match[0])}</span>',
            )
            end = match.end()
    return Markup("".join([*pieces, escape(content[end:])]))  # noqa: S704  (each piece is escaped or a constant)


def visible_name(name: str) -> Markup:
    """The same for the name of a model. It may be broken after a slash; within a part only if that is long."""
    return Markup("/<wbr>").join(_unbroken(part) for part in name.split("/"))


def _unbroken(part: str) -> Markup:
    if "-" not in part or len(part) > _MAX_UNBROKEN:
        return visible(part)
    return Markup('<span class="unbroken">{}</span>').format(visible(part))
