"""Counts, costs and durations in words, and what to do for costs that are unknown."""

from __future__ import annotations

from importlib.util import find_spec

from llm_sync.models.grammar import counted as count

__all__ = ["cost", "count", "duration", "price_advice", "tokens"]


def cost(dollars: float) -> str:
    """US dollars, with four digits below one dollar."""
    if 0 < dollars < 0.00005:
        return "< 0.0001 USD"
    return f"{dollars:,.2f} USD" if dollars >= 1 else f"{dollars:.4f} USD"


def price_advice() -> str:
    """What makes unknown costs known in later runs."""
    own = "set pricing of the model in the configuration"
    return own if find_spec("genai_prices") is not None else f"pip install 'llm-sync[prices]', or {own}"


def tokens(input_tokens: int, output_tokens: int, *, in_millions: bool = False) -> str:
    """Tokens in and out. ``in_millions``: large numbers are rounded to tenths of a million."""
    parts = [
        f"{count / 1e6:,.1f} M" if in_millions and count >= 10**7 else f"{count:,}" for count in (input_tokens, output_tokens)
    ]
    return f"{parts[0]} tokens in, {parts[1]} out"


def duration(seconds: float) -> str:
    """Seconds, minutes, or hours and minutes."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"
