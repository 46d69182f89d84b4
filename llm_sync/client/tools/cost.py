"""The most that the next answer of a conversation can cost."""

from __future__ import annotations

import dataclasses
from typing import Any

from llm_sync.config.routes import is_route, resolve_route
from llm_sync.models import ModelRequest, PreparedRequest
from llm_sync.spending.estimate import cost_bound
from llm_sync.spending.model_prices import model_price


def most_cost(dispatcher: Any, request: ModelRequest) -> float:
    """The most USD that one attempt of a request can cost; of a route, the dearest of its models; 0.0 for a stored answer.

    ``dispatcher``: the client's. Raises InvalidRequestError where no price is known or nothing bounds the answer, and what is
    wrong with the request.
    """
    config = dispatcher.config
    if is_route(config, request.model):
        targets = [entry.target for entry in resolve_route(config, request.model).entries]
        return max(most_cost(dispatcher, dataclasses.replace(request, model="/".join(target))) for target in targets)
    if dispatcher.is_stored(request):
        return 0.0
    prepared: PreparedRequest = dispatcher.prepare(request)
    tier = prepared.request.provider_specific.get("service_tier") or prepared.request.service_tier
    price = model_price(config, prepared.provider, prepared.model, tier.lower() if isinstance(tier, str) else None)
    return cost_bound(prepared, price, config.providers[prepared.provider].max_tokens_field).usd
