"""Counts, costs and durations in words."""

from __future__ import annotations

from llm_sync.models.grammar import counted as count

__all__ = ["cost", "count", "duration", "tokens"]


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
