"""A batch without sending: what would be asked of whom, what is wrong, and what it may cost at most."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from llm_sync.batch.context import Options, Work
from llm_sync.batch.input.requests import Question
from llm_sync.batch.input.source import Input
from llm_sync.batch.plan import Planner
from llm_sync.batch.setup import BadLines, checked_output, opened, read_earlier, refuse
from llm_sync.client.client import LLMClient
from llm_sync.errors import LLMConnectorError

_TURN_TOKENS = 16  # what a dialect puts around each turn, generously
_FILLED_IN = {"anthropic": 4096}  # max_tokens where a request has none: the API requires a number


@dataclass
class Share:
    """What one model would be asked. ``input_tokens``: no more than the bytes of the texts. ``output_tokens``: the limits;
    None where a request has none. ``cost``: USD, at most, but for retries; None where ``unknown`` says why.
    """

    provider: str
    model: str
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int | None = 0
    images: int = 0
    cost: float | None = None
    unknown: str | None = None


@dataclass
class Rehearsal:
    """What a run would do. ``problems``: what would keep it from sending, the bad lines among them."""

    requests: int = 0
    to_send: int = 0
    answered_earlier: int = 0
    asked_again: int = 0
    changed: int = 0
    skipped: int = 0
    shares: list[Share] = field(default_factory=list)
    problems: list[LLMConnectorError] = field(default_factory=list)

    @property
    def cost(self) -> float | None:
        """At most so much USD; None where it is not known of some model."""
        costs = [share.cost for share in self.shares if share.requests]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        shares = [dict(vars(share)) for share in self.shares]
        problems = [{"type": type(problem).__name__, "message": str(problem)} for problem in self.problems]
        return {**vars(self), "shares": shares, "problems": problems, "cost_at_most": self.cost}


def rehearse(requests: Input, output: str | os.PathLike[str] | None, client: LLMClient, **options: Any) -> Rehearsal:
    """Check every line and the configuration and count what ``run`` would send, sending and writing nothing.

    ``output``: what earlier runs left there counts; None where there is none. ``options`` as for ``run``, but for progress.
    Raises OSError, and LLMConnectorError for an input that cannot be read at all.
    """
    told = Options(**options)
    path = os.path.join(tempfile.gettempdir(), "llm-sync-nowhere") if output is None else checked_output(output, requests)
    found = Rehearsal()
    shares: dict[tuple[str, str], Share] = {}
    with opened(told, client, requests, path, folder=tempfile.gettempdir()) as work:

        def check(question: Question) -> None:
            work.check(question)
            share = shares.setdefault(question.route, Share(*question.route))
            _estimate(work, question, share)

        earlier = read_earlier(work, path)
        bad = BadLines(work, None)
        plan = Planner(work, earlier, check, bad.add).make()
        found.requests, found.to_send, found.asked_again = plan.requests, plan.to_send.total(), plan.again
        found.changed, found.skipped = plan.changed, bad.count
        found.answered_earlier = sum(tally.answered for tally in plan.kept.values())
        for check_all in (partial(bad.refuse, plan), partial(refuse, work, plan, earlier, check_providers=False)):
            try:
                check_all()
            except LLMConnectorError as error:  # noqa: PERF203  (each is told)
                found.problems.append(error)
        for provider in plan.to_send:
            try:
                client.check_providers([provider])
            except LLMConnectorError as error:  # noqa: PERF203
                found.problems.append(error)
        for share in shares.values():
            _price(work, share)
        found.shares = list(shares.values())
    return found


def _estimate(work: Work, question: Question, share: Share) -> None:
    """No token stands for less than a byte, so the bytes are more than the tokens."""
    request, provider = question.request, work.client.config.providers[question.route.provider]
    defaults = provider.entry(question.route.model).defaults
    turns = request.conversation()
    texts = [turn.content or "" for turn in turns] + [request.system_prompt or defaults.system_prompt or ""]
    extras = [call.raw_arguments or json.dumps(call.arguments) for turn in turns for call in turn.tool_calls]
    if request.tools or request.response_schema:
        extras.append(json.dumps([*map(dict, request.tools), dict(request.response_schema or {})], default=repr))
    share.requests += 1
    share.images += sum(len(turn.images) for turn in turns)
    share.input_tokens += sum(len(text.encode()) for text in [*texts, *extras]) + _TURN_TOKENS * (len(turns) + 1)
    most = request.max_tokens or defaults.max_tokens or _FILLED_IN.get(provider.type)
    share.output_tokens = None if most is None or share.output_tokens is None else share.output_tokens + most


def _price(work: Work, share: Share) -> None:
    pricing = work.client.config.providers[share.provider].entry(share.model).pricing
    if pricing is None:
        share.unknown = "the configuration has no pricing"
    elif share.output_tokens is None:
        share.unknown = "not every request has max_tokens"
    elif share.images:
        share.unknown = "the tokens of an image are not known in advance"
    else:
        share.cost = (share.input_tokens * pricing.input + share.output_tokens * pricing.output) / 1e6
