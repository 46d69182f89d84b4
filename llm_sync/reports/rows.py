"""What a report is made of: a row for each record, each model, and each pair of models. Plain data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ANSWERED, CUT, BLOCKED, FAILED = "answered", "cut", "blocked", "failed"
STATUSES = (ANSWERED, CUT, BLOCKED, FAILED)


@dataclass
class RecordRow:
    """One record of an output.

    ``number``: its place in the output, from 0. ``item``: equal for the records of one input line, over models and outputs (by
    the line's id; without an id, by its position). ``column``: the name of its row in the table of models. ``provider``,
    ``model``: what answered or failed; if a route led there from the model that was named, ``route_of`` names that. ``status``:
    answered, cut (an answer that the token limit cut off), blocked (refused by a filter) or failed; the last two have ``error``,
    the error's class, and ``message``. ``text``: the answer; of a failure what came, or None. ``parsed``: the value of structured
    output. ``score``: 0 to 1, or None if there was no answer, no expectation or no verdict (``unscored`` says why); ``passed``
    likewise. ``cost``: USD. ``latency_ms``: of the last attempt. ``started``, ``finished``: of the last attempt, aware UTC;
    None for failures, whose records have no times. ``answered_as``: the model's name in the answer. ``input``: the fields that
    were kept of the line.
    """

    output: str
    number: int
    column: str
    item: int
    id: str | int | None
    index: int | None
    line: int | None
    provider: str | None
    model: str | None
    status: str
    error: str | None = None
    message: str | None = None
    text: str | None = None
    parsed: Any = None
    finish: str | None = None
    expected: Any = None
    score: float | None = None
    passed: bool | None = None
    unscored: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    latency_ms: float | None = None
    attempts: int | None = None
    started: datetime | None = None
    finished: datetime | None = None
    cached: bool = False
    answered_as: str | None = None
    tier: str | None = None
    settings: str | None = None
    line_hash: str | None = None
    input: dict[str, Any] = field(default_factory=dict)
    route_of: str | None = None

    @property
    def has_answer(self) -> bool:
        """Whether there is an answer, complete or cut."""
        return self.status in (ANSWERED, CUT)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the fields by name, times in ISO 8601."""
        times = {name: value and value.isoformat() for name, value in (("started", self.started), ("finished", self.finished))}
        return {**vars(self), **times}


@dataclass
class ModelRow:
    """One model in one output. ``column`` names it: PROVIDER/MODEL, with the output's name if several outputs have that model.

    What came by a route from another model than the one that was named has rows of its own, and ``route_of``: PROVIDER/MODEL of
    the named one.

    ``answered`` + ``cut`` + ``blocked`` + the sum of ``failed`` (by error class) = ``requests``. ``scored`` answers have a
    verdict, ``passed`` of them passed; ``accuracy`` = passed / scored, with the bounds of its 95 % Wilson interval;
    ``mean_score`` is the mean of the scores. ``passed_of_all`` = passed / requests with an expectation, failures included
    (all requests, if the check needs no expectation). ``unscored``: why answers have no verdict, with counts. Tokens and
    ``cost`` (USD) sum what is known; ``unpriced``: answers of unknown cost. Latencies: milliseconds of the last attempt of
    answers that were not cached, exact quantiles with linear interpolation; None without any. ``retries``: attempts beyond the
    first, where records have their number. ``wall_seconds``: from the first start of an answer to the last end; None without
    any. ``answered_as``, ``tiers``, ``settings``: names and counts.
    """

    column: str
    output: str
    provider: str | None
    model: str | None
    requests: int = 0
    answered: int = 0
    cut: int = 0
    blocked: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    cached: int = 0
    scored: int = 0
    passed: int = 0
    expected: int = 0
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    mean_score: float | None = None
    passed_of_all: float | None = None
    unscored: dict[str, int] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    unpriced: int = 0
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    retries: int = 0
    wall_seconds: float | None = None
    answered_as: dict[str, int] = field(default_factory=dict)
    tiers: dict[str, int] = field(default_factory=dict)
    settings: dict[str, int] = field(default_factory=dict)
    route_of: str | None = None

    @property
    def failures(self) -> int:
        """The number of requests that failed; blocked ones are counted apart."""
        return sum(self.failed.values())

    @property
    def without_answer(self) -> int:
        """Blocked and failed together."""
        return self.blocked + self.failures

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dataclasses.asdict(self)


@dataclass
class PairRow:
    """Two models (columns) on the items that both answered, the second less the first.

    ``items``: those with a record of both. ``both_scored``: those with a verdict on both; of these, ``only_a`` and ``only_b``
    passed for one alone. ``difference``: of the mean scores, with a 95 % interval; ``method``: bootstrap (with ``seed``) or
    normal (many items). ``p_value``: McNemar's exact test on ``only_a`` and ``only_b``. ``same_text``: items with equal texts of
    both; ``changed``: both answered, otherwise. ``improved``, ``worsened``: by score, and
    ``fixed``, ``broken``: by having an answer at all. ``cost_difference``, ``latency_difference_ms``: sums and means of
    the items where both are known.
    """

    a: str
    b: str
    items: int = 0
    only_in_a: int = 0
    only_in_b: int = 0
    both_answered: int = 0
    same_text: int = 0
    changed: int = 0
    fixed: int = 0
    broken: int = 0
    both_scored: int = 0
    only_a: int = 0
    only_b: int = 0
    improved: int = 0
    worsened: int = 0
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    method: str | None = None
    seed: int | None = None
    p_value: float | None = None
    cost_difference: float | None = None
    latency_difference_ms: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dataclasses.asdict(self)
