"""A dry run of a batch: what would be sent to which model, what is wrong, and what it would cost at most."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from llm_sync.batch.context import BatchContext
from llm_sync.batch.expected_cost import GUESSED, expected_cost
from llm_sync.batch.input.requests import BatchRequest
from llm_sync.batch.input.source import Input
from llm_sync.batch.model_costs import ModelCosts
from llm_sync.batch.options import Options
from llm_sync.batch.planner import Planner
from llm_sync.batch.setup import BadLines, checked_output, opened, read_previous, refuse
from llm_sync.batch.state.record_store import RecordStore
from llm_sync.batch.token_sample import TokenSample
from llm_sync.client.client import LLMClient
from llm_sync.config.ways import BATCH
from llm_sync.errors import LLMConnectorError
from llm_sync.models.route import Route
from llm_sync.runtime.import_lock import import_lock

HALF = 0.5  # what a request costs by a job, as a part of the usual price
NO_PRICE = "the configuration has no pricing, nor has the list of prices"
_TURN_TOKENS = 16  # an upper bound for what a dialect adds to each turn
_DEFAULT_MAX_TOKENS = {"anthropic": 4096}  # max_tokens where a request has none: the API requires a number


@dataclass
class Share:
    """What would be sent to one model. ``input_tokens``: an upper bound. ``output_tokens``: the sum of the limits; None if a
    request has none. ``cost``: the highest possible cost in USD without retries; None if unknown, and ``unknown`` says why.
    ``expected``: what the requests will probably cost in USD; ``expected_from``: "answers" of earlier runs, so many as
    ``expected_answers``, "counted" if the provider has counted the tokens in of ``counted`` requests, or a "guess"; None where no
    price is known. ``not_counted``: why the provider has not counted as it was to. ``via``: "batch" for what goes by jobs of a
    Batch API, which costs half, else None.
    """

    provider: str
    model: str
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int | None = 0
    images: int = 0
    cost: float | None = None
    unknown: str | None = None
    expected: float | None = None
    expected_from: str | None = None
    expected_answers: int = 0
    via: str | None = None
    counted: int = 0
    not_counted: str | None = None


@dataclass
class DryRun:
    """What a run would do. ``cached``: requests among ``to_send`` whose answers are stored. ``shares`` by model, without those;
    ``problems``: errors that would keep the run from sending anything."""

    requests: int = 0
    to_send: int = 0
    answered_earlier: int = 0
    asked_again: int = 0
    changed: int = 0
    skipped: int = 0
    cached: int = 0
    shares: list[Share] = field(default_factory=list)
    problems: list[LLMConnectorError] = field(default_factory=list)

    @property
    def cost(self) -> float | None:
        """The highest possible cost in USD; None if it is unknown for any model."""
        costs = [share.cost for share in self.shares if share.requests]
        return None if None in costs else round(sum(cost for cost in costs if cost is not None), 12)

    @property
    def expected_cost(self) -> float | None:
        """What all will probably cost in USD; None if that is unknown for any model."""
        costs = [share.expected for share in self.shares if share.requests]
        return None if None in costs else round(sum(cost for cost in costs if cost is not None), 6)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        shares = [dict(vars(share)) for share in self.shares]
        problems = [{"type": type(problem).__name__, "message": str(problem)} for problem in self.problems]
        return {
            **vars(self),
            "shares": shares,
            "problems": problems,
            "cost_at_most": self.cost,
            "cost_expected": self.expected_cost,
        }


def dry_run(
    requests: Input, output: str | os.PathLike[str] | None, client: LLMClient, *, count_tokens: bool = False, **options: Any
) -> DryRun:
    """Check every line and the configuration, and count what ``run`` would send. Writes nothing, and sends nothing.

    ``output``: previous answers there are not counted again; None for no output. ``count_tokens``: ask providers that count the
    tokens of a request for nothing to do so, for up to 20 requests of each model. ``options``: those of ``run``, except progress.
    Raises OSError, and LLMConnectorError for an input that cannot be read at all.
    """
    run_options = Options(**options)
    path = os.path.join(tempfile.gettempdir(), "llm-sync-nowhere") if output is None else checked_output(output, requests)
    result = DryRun()
    shares: dict[tuple[Route, str | None], Share] = {}
    samples: dict[tuple[Route, str | None], TokenSample] = defaultdict(TokenSample)
    folder = tempfile.gettempdir()
    with (
        contextlib.closing(RecordStore(folder)) as store,
        opened(run_options, client, requests, path, store, folder=folder) as context,
    ):

        def check(batch_request: BatchRequest) -> None:
            if context.check(batch_request):
                result.cached += 1
                return
            via = BATCH if context.goes_by_job else None
            share = shares.setdefault((batch_request.route, via), Share(*batch_request.route, via=via))
            bound = _estimate(context, batch_request, share)
            if count_tokens:
                prepare = partial(client.dispatcher.prepare, batch_request.request, changed=batch_request.changed)
                samples[batch_request.route, via].add(prepare, bound)

        previous = read_previous(context, path)
        bad = BadLines(context, None)
        plan = Planner(context, previous, check, bad.add).make()
        context.report_ways()
        result.requests, result.to_send, result.asked_again = plan.requests, plan.to_send.total(), plan.again
        result.changed, result.skipped = plan.changed, bad.count
        result.answered_earlier = sum(tally.answered for tally in plan.kept.values())
        for check_all in (partial(bad.refuse, plan), partial(refuse, context, plan, previous, path, check_providers=False)):
            try:
                check_all()
            except LLMConnectorError as error:  # noqa: PERF203  (all are reported)
                result.problems.append(error)
        for provider in context.unstored & plan.to_send.keys() if not client.dispatcher.is_offline else ():
            try:
                client.check_providers([provider])
            except LLMConnectorError as error:  # noqa: PERF203
                result.problems.append(error)
        answered = ModelCosts()
        for tally in plan.kept.values():
            answered.include(tally.models)
        for key, share in shares.items():
            _price(context, share, answered, _count(client, samples[key]) if count_tokens else None)
        result.shares = list(shares.values())
    return result


def _count(client: LLMClient, sample: TokenSample) -> TokenSample:
    """The sample, counted, unless nothing may be sent."""
    if not client.dispatcher.is_offline:
        sample.count(client.dispatcher)
    return sample


def _estimate(context: BatchContext, batch_request: BatchRequest, share: Share) -> int:
    """Add a request to its model's share; return the most tokens that it can have: a token is at least one byte."""
    request, provider = batch_request.request, context.client.config.providers[batch_request.route.provider]
    defaults = provider.entry(batch_request.route.model).defaults
    turns = request.conversation()
    texts = [turn.content or "" for turn in turns] + [request.system_prompt or defaults.system_prompt or ""]
    extras = [call.raw_arguments or json.dumps(call.arguments) for turn in turns for call in turn.tool_calls]
    if request.tools or request.response_schema:
        extras.append(json.dumps([*map(dict, request.tools), dict(request.response_schema or {})], default=repr))
    share.requests += 1
    share.images += sum(len(turn.images) for turn in turns if not turn.parts)
    share.images += sum(part.type != "text" for turn in turns for part in turn.parts)
    bound = sum(len(text.encode()) for text in [*texts, *extras]) + _TURN_TOKENS * (len(turns) + 1)
    share.input_tokens += bound
    limit = request.max_tokens or defaults.max_tokens or _DEFAULT_MAX_TOKENS.get(provider.type)
    share.output_tokens = None if limit is None or share.output_tokens is None else share.output_tokens + limit
    return bound


def _price(context: BatchContext, share: Share, answered: ModelCosts, sample: TokenSample | None) -> None:
    with import_lock:
        from llm_sync.spending.model_prices import model_price

    pricing = model_price(context.client.dispatcher.config, share.provider, share.model).pricing
    if share.via == BATCH and pricing is not None:
        pricing = pricing.times(pricing.service_tiers.get(BATCH, HALF))
    bounds = (share.input_tokens, share.output_tokens)
    counted = None
    if sample is not None:
        share.counted, share.not_counted = sample.counted, sample.problem
        counted = sample.expected(share.requests, share.input_tokens, has_images=share.images > 0)
    expected = expected_cost(f"{share.provider}/{share.model}", share.requests, bounds, pricing, answered, counted)
    if expected is not None and (not share.images or expected.basis != GUESSED):
        share.expected, share.expected_from, share.expected_answers = expected
    if pricing is None:
        share.unknown = NO_PRICE
    elif share.output_tokens is None:
        share.unknown = "not every request has max_tokens"
    elif share.images:
        share.unknown = "the tokens of an image or a file are not known in advance"
    else:
        share.cost = pricing.most(share.input_tokens, share.output_tokens)
