"""What a batch is expected to cost, beside the most that it can: from answers that are there, else from a rough guess.
The provider may count the input for nothing (token_sample.py).

The bytes of a prompt bound its tokens, and ``max_tokens`` bounds its answer, so the bound is often many times the bill. The
answers of earlier runs on the same output, or of a sample (``--limit N --then-estimate``), tell what a request of a model takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from llm_sync.batch.model_costs import ModelCost
from llm_sync.config.pricing import Pricing
from llm_sync.models import Usage

BYTES_PER_TOKEN = 4  # of English text; a rough guess where no answer tells
GUESSED_OUTPUT = 300  # tokens of an answer, likewise

FROM_ANSWERS, COUNTED, GUESSED = "answers", "counted", "guess"


class Expected(NamedTuple):
    """USD for the requests of one model that are still to be sent. ``basis``: "answers", "counted" (the input, by the provider)
    or "guess"; ``answers``: how many."""

    cost: float
    basis: str
    answers: int = 0


def expected_cost(
    model: str,
    requests: int,
    bounds: tuple[int, int | None],
    pricing: Pricing | None,
    answered: Mapping[str, ModelCost],
    counted: int | None = None,
) -> Expected | None:
    """What ``requests`` to ``provider/model`` are expected to cost; None where no price is known.

    ``bounds``: the most tokens in and out of all of them together. ``answered``: what is known of answers, by model.
    ``counted``: about how many tokens in they have, as the provider counts.
    """
    known = answered.get(model)
    priced = 0 if known is None else known.answered - known.unpriced
    if known is not None and priced > 0 and known.cost > 0:
        return Expected(requests * known.cost / priced, FROM_ANSWERS, priced)
    if pricing is None or not requests:
        return None
    if known is not None and known.answered > 0:
        each = Usage(round(known.input_tokens / known.answered), round(known.output_tokens / known.answered))
        return Expected(requests * (pricing.cost(each) or 0.0), FROM_ANSWERS, known.answered)
    most = GUESSED_OUTPUT * requests if bounds[1] is None else min(bounds[1], GUESSED_OUTPUT * requests)
    sent = bounds[0] / BYTES_PER_TOKEN if counted is None else counted
    each = Usage(round(sent / requests), round(most / requests))
    return Expected(requests * (pricing.cost(each) or 0.0), GUESSED if counted is None else COUNTED)
