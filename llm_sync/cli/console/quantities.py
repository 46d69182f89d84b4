"""Counts, costs and durations in words."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """``1,000 lines``, ``1 line``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def cost(dollars: float) -> str:
    """US dollars, with four digits below one dollar."""
    return f"{dollars:,.2f} USD" if dollars >= 1 else f"{dollars:.4f} USD"


def tokens(input_tokens: int, output_tokens: int) -> str:
    """Tokens in and out."""
    return f"{input_tokens:,} tokens in, {output_tokens:,} out"


def duration(seconds: float) -> str:
    """Seconds, minutes, or hours and minutes."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"
