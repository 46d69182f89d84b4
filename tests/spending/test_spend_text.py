"""Amounts as ``llm-sync spend`` shows them."""

from __future__ import annotations

import pytest

from llm_sync.cli.console.spend_text import cost


@pytest.mark.parametrize(
    ("dollars", "text"),
    [(0.0, "0.00 USD"), (0.01, "0.01 USD"), (0.5, "0.50 USD"), (0.007366, "0.007366 USD"), (1234.5, "1,234.50 USD")],
)
def test_whole_cents_have_two_digits_and_less_has_six(dollars: float, text: str) -> None:
    """A budget of a cent is shown as one; single answers cost less."""
    assert cost(dollars) == text
