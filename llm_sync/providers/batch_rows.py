"""The reply reader for rows of the providers' Batch APIs: the same, at the price of a batch."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from llm_sync.models import PreparedRequest
from llm_sync.providers.answer import Answer
from llm_sync.providers.ports import BilledAnswer, Prices
from llm_sync.providers.reply_reader import ReplyReader

TIER = "batch"
DISCOUNT = 0.5  # of OpenAI, Azure, Anthropic, Gemini, Mistral and Groq


class BatchRowReader(ReplyReader):
    """Where rows name a tier, it is often ``default``: that they cost half is known from where they come."""

    def _cost(
        self, prepared: PreparedRequest, answer: Answer, tier: str | None, at: datetime, metadata: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        metadata["tier"] = TIER
        return super()._cost(prepared, answer, TIER, at, metadata)


def row_reader(reader: ReplyReader) -> BatchRowReader:
    """The reader of the rows of the provider whose replies ``reader`` reads."""
    parts = reader.parts()
    prices = parts["prices"]
    return BatchRowReader(**{**parts, "prices": None if prices is None else in_batches(prices)})


def in_batches(prices: Prices) -> Prices:
    """A list of prices that has half of the usual price for models without a price for batches."""

    def price(answer: BilledAnswer) -> tuple[float | None, str | None]:
        cost, source = prices(answer)
        if cost is not None:
            return cost, source
        usual, source = prices(answer._replace(tier=None))
        return (None if usual is None else round(usual * DISCOUNT, 12)), source

    return price
