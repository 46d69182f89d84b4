"""Articles and plurals for messages: ``an int``, ``1 answer``, ``2 retries``."""

from __future__ import annotations


def type_name(value: object) -> str:
    """A value's type with its article: ``a str``, ``an int``, ``a boolean``."""
    return with_article("boolean" if isinstance(value, bool) else type(value).__name__)


def with_article(noun: str) -> str:
    """``an int``, ``a list``: by the first letter, which is right for the names of types."""
    return f"{'an' if noun[:1].lower() in ('a', 'e', 'i', 'o') else 'a'} {noun}"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """``1,000 lines``, ``1 line``. ``plural``: the noun's plural, unless an s makes it."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
