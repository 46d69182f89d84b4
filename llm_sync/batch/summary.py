"""Counts and views of a batch: while it runs (Snapshot) and at its end (Summary)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from llm_sync.batch.model_costs import ModelCost, ModelCosts
from llm_sync.batch.state.records import TRUNCATED, Head, Key
from llm_sync.models.grammar import counted

if TYPE_CHECKING:
    from llm_sync.engines.flights import WorkerView

BLOCKED = "ContentBlockedError"


@dataclass
class Tally(ModelCost):
    """Counts the outcomes of one provider, or of all. ``answered`` includes the truncated ones. ``failed``: by error class.

    ``input_tokens``, ``output_tokens`` and ``cost`` sum what is known. ``models``: what was used by ``provider/model``.
    """

    truncated: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    models: ModelCosts = field(default_factory=ModelCosts)

    @property
    def outcomes(self) -> int:
        """The number of outcomes."""
        return self.answered + self.failed.total()

    def add(self, head: Head, count: int = 1) -> None:
        """Count an outcome; with ``count`` -1, take it back."""
        self.add_used(head, count, is_answer := head.answered)
        if is_answer:
            self.truncated += count * (head.outcome == TRUNCATED)
        else:
            self.failed[head.outcome] += count
        self.models.add(head, count)

    def include(self, other: Tally) -> None:
        """Add the counts of another one, those by model too."""
        self.include_cost(other)
        self.truncated += other.truncated
        self.failed.update(other.failed)
        self.models.include(other.models)


@dataclass(frozen=True)
class LaneView:
    """The state of one provider. ``total`` and ``done`` include requests of previous runs.

    ``rate``: requests finished per second in the last minute (None: not known yet). ``seconds``: time since its first request
    of this run, until the last one ended. ``held``: why the provider is paused for the rest of the run, or None.
    """

    provider: str
    total: int
    done: int
    failed: int
    in_flight: int
    retries: int
    rate: float | None
    seconds: float
    cooling_down_until: datetime | None = None
    held: str | None = None

    @property
    def seconds_left(self) -> float | None:
        """Estimated from ``rate``; None if that is not known."""
        left = self.total - self.done
        return 0.0 if not left else left / self.rate if self.rate else None


BACKGROUND = "background"


class JobView(NamedTuple):
    """A job at a provider's Batch API. ``id``: ours; ``remote``: the provider's, empty if it is not known. ``done`` of its
    ``requests`` are answered, by the provider's own count. ``state``: the provider's word for it, else how far it came here;
    ``lost``: why it cannot be found, although it may have been made."""

    id: str
    provider: str
    model: str
    remote: str
    requests: int
    done: int
    state: str
    lost: str = ""


@dataclass(frozen=True)
class Snapshot:
    """The state of a running batch: its providers (lanes), the counts of all, and the seconds since it began.

    ``workers``: those of its engine, if it runs on one, also some that have ended. ``jobs``: those that
    are open at the providers' Batch APIs.
    """

    lanes: tuple[LaneView, ...]
    tally: Tally
    elapsed: float
    workers: tuple[WorkerView, ...] = ()
    jobs: tuple[JobView, ...] = ()

    @property
    def total(self) -> int:
        """The number of requests."""
        return sum(lane.total for lane in self.lanes)

    @property
    def done(self) -> int:
        """The number of requests with an outcome."""
        return sum(lane.done for lane in self.lanes)

    @property
    def seconds_left(self) -> float | None:
        """Estimated time until the last provider that is not held has finished; None if that is not known."""
        left = [lane.seconds_left for lane in self.lanes if lane.held is None]
        return None if None in left else max(left, default=0.0)  # type: ignore[type-var]


class LineName(NamedTuple):
    """How messages name a line: by its number in the input, from 1, and its id, if it has one."""

    number: int
    id: str | int | None = None

    def __str__(self) -> str:
        """In words."""
        return f"line {self.number}" + (f", id {self.id!r}" if self.id is not None else "")


@dataclass(frozen=True)
class Summary:
    """The result of a run.

    ``requests``: the requests of this run; ``sent`` of them were sent by it, ``earlier`` were answered by previous runs.
    ``tally`` counts their outcomes; ``skipped`` of its failures are bad lines. ``again``: failures of previous runs that were
    asked again. ``changed``, ``moved``: lines that changed or moved since they were answered; ``replaced``: answers whose lines
    are gone. ``possibly_billed``: requests (at most 1,000) that may have been billed without an answer, with the number of such
    attempts; ``unsure``: the number of all such attempts, ``unsure_gone`` of them for lines that are gone. ``complete``: every
    request has an outcome, and the output is written. ``lanes`` by provider; ``held``: why providers are paused;
    ``held_by``: the error class that paused them;
    ``reasons``, by provider and error class: the message of the first such failure of this run; ``first_failed``: the position
    of its line. ``cached``: answers of this run that came from a cache; ``repeated``: requests that got a copy of an equal one's
    outcome (``dedupe``); ``saved``: what both would have cost in USD, as far as prices are known. ``line_names``: the number and
    the id of each line whose position is among these, by position. ``jobs``: those that are open at the providers' Batch APIs;
    the same call collects them later.
    """

    output: str
    requests: int
    sent: int
    earlier: int
    again: int
    changed: int
    moved: int
    replaced: int
    skipped: int
    tally: Tally
    retries: int
    seconds: float
    lanes: Mapping[str, LaneView]
    complete: bool
    possibly_billed: tuple[tuple[Key, int], ...] = ()
    unsure: int = 0
    unsure_gone: int = 0
    held: Mapping[str, str] = field(default_factory=dict)
    held_by: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    first_failed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    line_names: Mapping[int, LineName] = field(default_factory=dict)
    cached: int = 0
    repeated: int = 0
    saved: float = 0.0
    jobs: tuple[JobView, ...] = ()

    @property
    def failed(self) -> int:
        """The number of requests without an answer."""
        return self.requests - self.tally.answered

    @property
    def is_submitted(self) -> bool:
        """Whether all that lacks an answer is in jobs that are open (``no_wait``)."""
        return bool(self.jobs) and not any(job.lost for job in self.jobs) and not (self.held or self.tally.failed.total())

    def positions(self) -> set[int]:
        """The positions of the lines that are named."""
        first_failed = {position for positions in self.first_failed.values() for position in positions.values()}
        return first_failed | {key.position for key, _ in self.possibly_billed}

    @property
    def slowest(self) -> str | None:
        """The provider that took the longest in this run."""
        lanes = [lane for lane in self.lanes.values() if lane.seconds > 0]
        return max(lanes, key=lambda lane: lane.seconds).provider if lanes else None

    def unfit(self, *, max_error_rate: float | None = None, fail_on_truncated: bool = False) -> str | None:
        """Why the run fails the given limits, or None: too large a share (0 to 1) has no answer, or answers are truncated."""
        if max_error_rate is not None and self.requests and self.failed / self.requests > max_error_rate:
            share = f"{self.failed / self.requests:.2%}"
            have = "has" if self.failed == 1 else "have"
            requests = counted(self.requests, "request")
            return f"{self.failed} of {requests} {have} no answer: {share}, more than {max_error_rate:.2%}"
        if fail_on_truncated and self.tally.truncated:
            return f"{counted(self.tally.truncated, 'answer is', 'answers are')} truncated"
        return None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        tally = self.tally
        return {
            "output": self.output,
            "complete": self.complete,
            "requests": self.requests,
            "answered": tally.answered,
            "truncated": tally.truncated,
            "blocked": tally.failed[BLOCKED],
            "failed": {name: count for name, count in sorted(tally.failed.items()) if count},
            "unanswered": self.failed,
            "skipped": self.skipped,
            "sent": self.sent,
            "answered_earlier": self.earlier,
            "cached": self.cached,
            "repeated": self.repeated,
            "saved_estimate": round(self.saved, 6),
            "asked_again": self.again,
            "changed": self.changed,
            "moved": self.moved,
            "replaced": self.replaced,
            "retries": self.retries,
            "input_tokens": tally.input_tokens,
            "output_tokens": tally.output_tokens,
            "cost_estimate": tally.cost_estimate,
            "unpriced": tally.unpriced,
            "models": {model: cost.to_dict() for model, cost in tally.models.items()},
            "wall_s": round(self.seconds, 3),
            "slowest": self.slowest,
            "possibly_billed": self.unsure,
            "possibly_billed_gone": self.unsure_gone,
            "possibly_billed_requests": [
                {**self._named(key.position), "provider": key.provider, "model": key.model, "times": times}
                for key, times in self.possibly_billed
            ],
            "held": dict(self.held),
            "jobs": [job._asdict() for job in self.jobs],
            "reasons": {name: dict(texts) for name, texts in self.reasons.items()},
            "first_failed": {
                provider: {kind: self._named(position) for kind, position in positions.items()}
                for provider, positions in self.first_failed.items()
            },
            "providers": {name: _lane(lane) for name, lane in self.lanes.items()},
        }

    def _named(self, position: int) -> dict[str, Any]:
        name = self.line_names.get(position)
        return {"index": position, "line": name.number if name else None, "id": name.id if name else None}


def _lane(lane: LaneView) -> dict[str, Any]:
    return {
        "requests": lane.total,
        "done": lane.done,
        "failed": lane.failed,
        "retries": lane.retries,
        "seconds": round(lane.seconds, 3),
    }
