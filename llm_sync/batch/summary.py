"""What came of a batch, as it stands at a moment and at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from llm_sync.batch.state.records import Key
from llm_sync.batch.tally import BLOCKED, Tally


@dataclass(frozen=True)
class LaneView:
    """One provider at a moment. ``total`` and ``done`` count requests of this run and of earlier ones.

    ``rate``: requests ended a second, of late (None: not known yet). ``seconds``: how long it has been, or was, at work.
    ``held``: why it is sent nothing more, or None.
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
        """At this rate; None where that is not known."""
        left = self.total - self.done
        return 0.0 if not left else left / self.rate if self.rate else None


@dataclass(frozen=True)
class Snapshot:
    """A batch at a moment: its lanes, what they have come to, and the seconds since it began."""

    lanes: tuple[LaneView, ...]
    tally: Tally
    elapsed: float

    @property
    def total(self) -> int:
        """Requests in all."""
        return sum(lane.total for lane in self.lanes)

    @property
    def done(self) -> int:
        """Requests with an outcome."""
        return sum(lane.done for lane in self.lanes)

    @property
    def seconds_left(self) -> float | None:
        """Until the last lane is through, at its rate of late; None where that is not known."""
        left = [lane.seconds_left for lane in self.lanes if lane.held is None]
        return None if None in left else max(left, default=0.0)  # type: ignore[type-var]


@dataclass(frozen=True)
class Summary:
    """What came of a batch.

    ``requests``: all of this run's selection, of which ``sent`` were sent by this run and ``earlier`` answered by one before.
    ``tally`` counts their outcomes; ``skipped`` of its failures are bad lines. ``possibly_billed``: requests, at most
    1,000 of them, that may have been billed without an answer to show for it, with how often; ``unsure`` is how often in
    all, ``unsure_gone`` of them of lines that are there no more. ``complete``: whether each has an outcome, and so the output
    is there. ``lanes`` by provider; ``reasons``, by provider and class of error, what the first such failure of this run says.
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
    reasons: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Requests that have no answer."""
        return self.requests - self.tally.answered

    @property
    def slowest(self) -> str | None:
        """The provider that took longest in this run."""
        lanes = [lane for lane in self.lanes.values() if lane.seconds > 0]
        return max(lanes, key=lambda lane: lane.seconds).provider if lanes else None

    def unfit(self, *, max_error_rate: float | None = None, fail_on_truncated: bool = False) -> str | None:
        """Why the run should not be scored: more than that share (0 to 1) has no answer, or some were cut; None: it may."""
        if max_error_rate is not None and self.requests and self.failed / self.requests > max_error_rate:
            share = f"{self.failed / self.requests:.2%}"
            return f"{self.failed} of {self.requests} requests have no answer: {share}, more than {max_error_rate:.2%}"
        if fail_on_truncated and self.tally.truncated:
            return f"{self.tally.truncated} answers are truncated"
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
            "asked_again": self.again,
            "changed": self.changed,
            "moved": self.moved,
            "replaced": self.replaced,
            "retries": self.retries,
            "input_tokens": tally.input_tokens,
            "output_tokens": tally.output_tokens,
            "cost_estimate": round(tally.cost, 6) if tally.cost or not tally.unpriced else None,
            "unpriced": tally.unpriced,
            "wall_s": round(self.seconds, 3),
            "slowest": self.slowest,
            "possibly_billed": self.unsure,
            "possibly_billed_gone": self.unsure_gone,
            "possibly_billed_requests": [
                {"index": key.position, "provider": key.provider, "model": key.model, "times": times}
                for key, times in self.possibly_billed
            ],
            "held": dict(self.held),
            "reasons": {name: dict(texts) for name, texts in self.reasons.items()},
            "providers": {name: _lane(lane) for name, lane in self.lanes.items()},
        }


def _lane(lane: LaneView) -> dict[str, Any]:
    return {
        "requests": lane.total,
        "done": lane.done,
        "failed": lane.failed,
        "retries": lane.retries,
        "seconds": round(lane.seconds, 3),
    }
