"""The progress of a batch in words: lines for a terminal, or one line for a log."""

from __future__ import annotations

from datetime import datetime, timezone

from llm_sync.batch import LaneView, Snapshot
from llm_sync.batch.summary import Tally
from llm_sync.cli.console import quantities


def rows(snapshot: Snapshot) -> list[tuple[str, str]]:
    """A line for each provider, and one for the total."""
    return [*((lane.provider, _lane(lane)) for lane in snapshot.lanes), ("in all", ", ".join(_total(snapshot)))]


def line(snapshot: Snapshot) -> str:
    """One line for everything."""
    lanes = "; ".join(f"{lane.provider} {_lane(lane)}" for lane in snapshot.lanes)
    return f"{', '.join(_total(snapshot))}; {lanes}"


def _total(snapshot: Snapshot) -> list[str]:
    share = f" ({snapshot.done / snapshot.total:.0%})" if snapshot.total else ""
    parts = [f"{snapshot.done:,} of {snapshot.total:,} done{share}"]
    left = snapshot.seconds_left  # before the parts that a narrow terminal cuts off
    if snapshot.done < snapshot.total and left is not None:
        parts.append(f"about {quantities.duration(left)} left")
    tally = snapshot.tally
    if tally.cost:
        parts.append(quantities.cost(tally.cost) + _dearest_model(tally))
    if tally.input_tokens or tally.output_tokens:
        parts.append(quantities.tokens(tally.input_tokens, tally.output_tokens))
    return parts


def _dearest_model(tally: Tally) -> str:
    """The model that most of the cost is for, where there are several."""
    if len(tally.models) < 2:
        return ""
    model, used = max(tally.models.items(), key=lambda item: item[1].cost)
    return f" ({used.cost / tally.cost:.0%} for {model})"


def _lane(lane: LaneView) -> str:
    parts = [f"{lane.done:,}/{lane.total:,}"]
    if lane.failed:
        parts.append(f"{lane.failed:,} failed")
    if lane.retries:
        parts.append(quantities.count(lane.retries, "retry", "retries"))
    if lane.held is not None:
        parts.append(f"stopped: {lane.held}")
    elif lane.cooling_down_until is not None:
        seconds = (lane.cooling_down_until - datetime.now(timezone.utc)).total_seconds()
        parts.append(f"cooling down for {quantities.duration(max(0.0, seconds))}")
    elif lane.rate and lane.done < lane.total:
        parts.append(f"{lane.rate:.1f}/s" if lane.rate >= 1 else f"{lane.rate * 60:.1f}/min")
    return ", ".join(parts)
