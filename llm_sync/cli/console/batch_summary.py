"""How a batch is spoken of: its progress in lines, what came of it as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from llm_sync.batch import DryRun, LaneView, Merged, Snapshot, Summary
from llm_sync.batch.summary import Tally

FIX = "Fix this and run the same command again."

_NOTHING_LEFT = "nothing: failures stay (--retry-failed asks them again)"
_MOST_NAMED = 10  # possibly billed requests, missing lines
_MOST_REASONS = 5
_LONGEST_REASON = 400  # characters


def rows(snapshot: Snapshot) -> list[tuple[str, str]]:
    """A line for each provider, and one for all."""
    found = [(lane.provider, _lane(lane)) for lane in snapshot.lanes]
    return [*found, ("in all", ", ".join(_all(snapshot)))]


def line(snapshot: Snapshot) -> str:
    """One line for everything."""
    lanes = "; ".join(f"{lane.provider} {_lane(lane)}" for lane in snapshot.lanes)
    return f"{', '.join(_all(snapshot))}; {lanes}"


def _all(snapshot: Snapshot) -> list[str]:
    share = f" ({snapshot.done / snapshot.total:.0%})" if snapshot.total else ""
    parts = [f"{snapshot.done:,} of {snapshot.total:,} done{share}"]
    left = snapshot.seconds_left  # before what may not fit into a narrow terminal
    if snapshot.done < snapshot.total and left is not None:
        parts.append(f"about {_time(left)} left")
    if snapshot.tally.cost:
        parts.append(_cost(snapshot.tally.cost))
    if snapshot.tally.input_tokens or snapshot.tally.output_tokens:
        parts.append(_tokens(snapshot.tally))
    return parts


def _lane(lane: LaneView) -> str:
    parts = [f"{lane.done:,}/{lane.total:,}"]
    if lane.failed:
        parts.append(f"{lane.failed:,} failed")
    if lane.retries:
        parts.append(f"{lane.retries:,} retries")
    if lane.held is not None:
        parts.append(f"given up: {lane.held}")
    elif lane.cooling_down_until is not None:
        seconds = (lane.cooling_down_until - datetime.now(timezone.utc)).total_seconds()
        parts.append(f"cooling down for {_time(max(0.0, seconds))}")
    elif lane.rate and lane.done < lane.total:
        parts.append(f"{lane.rate:.1f}/s" if lane.rate >= 1 else f"{lane.rate * 60:.1f}/min")
    return ", ".join(parts)


def summary(found: Summary, width: int | None = None) -> list[str]:
    """What came of a run, in a few lines and a table, which is no wider than ``width`` columns."""
    tally = found.tally
    truncated = f" ({tally.truncated:,} of them truncated)" if tally.truncated else ""
    head = f"{found.output}: {_count(found.requests, 'request')}, {tally.answered:,} answered{truncated}"
    lines = [head + (f", {found.failed:,} not" if found.failed else "")]
    failed = _kinds(tally)
    unread = f"; {found.skipped:,} of them lines that could not be sent" if found.skipped else ""
    lines += _told("failed", f"{failed}{unread}" if failed else "")
    lines += _reasons(found)
    if not found.sent and found.complete:
        lines += _told(
            "sent",
            _NOTHING_LEFT
            if found.failed
            else "nothing: all is done already"
            if found.requests
            else "nothing: the input is empty",
        )
    else:
        before = f", {found.earlier:,} {'was' if found.earlier == 1 else 'were'} answered before" if found.earlier else ""
        again = f", {found.again:,} of them once more" if found.again else ""
        lines += _told("sent", f"{found.sent:,}{again}{before}")
    lines += _told("input", _changes(found))
    spent = tally.input_tokens or tally.output_tokens
    lines += _told("tokens", f"{tally.input_tokens:,} in, {tally.output_tokens:,} out" if spent else "")
    lines += _told("cost", _cost_told(tally))
    slowest = f"; the slowest was {found.slowest}" if found.slowest and len(found.lanes) > 1 else ""
    lines += _told("time", f"{_time(found.seconds)}{slowest}")
    lines += _table(found, width) if len(found.lanes) > 1 else []
    return [*lines, *_unsure(found)]


def failed(found: Summary) -> str:
    """In one line, that and why some have no answer."""
    reasons = [text for texts in found.reasons.values() for text in texts.values()]
    first = f". The first one: {reasons[0][:_LONGEST_REASON]}" if reasons else ""
    return f"{found.output}: {found.failed:,} of {_count(found.requests, 'request')} not answered: {_kinds(found.tally)}{first}"


def _kinds(tally: Tally) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in tally.failed.items() if count)


def _reasons(found: Summary) -> list[str]:
    """The first failure of each kind, in its own words."""
    said = dict.fromkeys(f"{name}: {text}" for texts in found.reasons.values() for name, text in texts.items())
    more = len(said) - _MOST_REASONS
    lines = [f"    {text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + '…'}" for text in said]
    return lines[:_MOST_REASONS] + ([f"    and {more} more kinds"] if more > 0 else [])


def _told(what: str, text: str) -> list[str]:
    return [f"  {what:<8}{text}"] if text else []


def _changes(found: Summary) -> str:
    parts = []
    if found.changed:
        parts.append(f"{_count(found.changed, 'line')} changed since, and asked again")
    if found.moved:
        parts.append(f"{_count(found.moved, 'line')} moved, with their answers")
    if found.replaced:
        parts.append(f"{_count(found.replaced, 'answer')} to lines that are gone, kept in {found.output}.replaced")
    return "; ".join(parts)


def _table(found: Summary, width: int | None) -> list[str]:
    """One row a provider."""
    titles = ("provider", "requests", "done", "failed", "retries", "time")
    lanes = found.lanes.values()
    body = [
        (lane.provider, f"{lane.total:,}", f"{lane.done:,}", f"{lane.failed:,}", f"{lane.retries:,}", _time(lane.seconds))
        for lane in lanes
    ]
    return table([titles, *body], width)


def table(cells: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """Aligned columns: the first to the left, the others to the right. Where they are wider than ``width``, each row in words."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    if width is not None and sum(widths) + 2 * len(widths) > width:
        titles = cells[0][1:]
        return [
            f"  {row[0]}: " + ", ".join(f"{title} {cell}" for title, cell in zip(titles, row[1:], strict=True))
            for row in cells[1:]
        ]
    return [
        "  " + "  ".join([row[0].ljust(widths[0]), *(cell.rjust(wide) for cell, wide in zip(row[1:], widths[1:], strict=True))])
        for row in cells
    ]


def _unsure(found: Summary) -> list[str]:
    if not found.unsure:
        return []
    named = [f"{key.position} ({key.provider}/{key.model})" for key, _ in found.possibly_billed[:_MOST_NAMED]]
    more = len(found.possibly_billed) - _MOST_NAMED
    listed = ", ".join(named) + (f" and {more:,} more" if more > 0 else "")
    what = _count(found.unsure, "attempt") + (f", of the requests with index {listed}" if listed else "")
    gone = f"; {found.unsure_gone:,} of them for lines that are gone" if found.unsure_gone else ""
    return [f"possibly billed, but without an answer: {what}{gone}"]


def dry_run(found: DryRun, width: int | None = None) -> list[str]:
    """What a run would do, in a few lines and a table, which is no wider than ``width`` columns."""
    lines = [f"{_count(found.requests, 'request')}, {found.to_send:,} to be sent"]
    if found.answered_earlier:
        lines[0] += f", {found.answered_earlier:,} answered before"
    lines += _told("again", f"{_count(found.asked_again, 'failure')} would be asked again" if found.asked_again else "")
    lines += _told("changed", f"{_count(found.changed, 'line')} would be asked again" if found.changed else "")
    lines += _told("bad", f"{_count(found.skipped, 'line')} that cannot be sent" if found.skipped else "")
    titles = ("model", "requests", "tokens in", "tokens out", "cost at most")
    shares = [share for share in found.shares if share.requests]
    body = [
        (
            f"{share.provider}/{share.model}",
            f"{share.requests:,}",
            f"≤ {share.input_tokens:,}",
            "?" if share.output_tokens is None else f"≤ {share.output_tokens:,}",
            "?" if share.cost is None else _cost(share.cost),
        )
        for share in shares
    ]
    lines += table([titles, *body], width) if body else []
    for reason in dict.fromkeys(share.unknown for share in shares if share.unknown):
        models = ", ".join(f"{share.provider}/{share.model}" for share in shares if share.unknown == reason)
        lines.append(f"  the cost is not known, as {reason}: {models}")
    if body and found.cost is not None:
        lines.append(f"at most {_cost(found.cost)} without retries: no text has more tokens than bytes")
    return lines


def merged(found: Merged, output: str) -> str:
    """What was put together."""
    doubles = f"; {_count(found.doubles, 'record')} of the same requests left out" if found.doubles else ""
    return f"{output}: {_count(found.records, 'record')}, {found.answered:,} answered{doubles}"


def missing(found: Merged) -> str:
    """Which lines no output has."""
    named = [str(first) if first == last else f"{first}–{last}" for first, last in found.missing[:_MOST_NAMED]]
    more = " and more" if len(found.missing) > _MOST_NAMED else ""
    return f"{_count(found.missing_count, 'line')} of the input missing: index {', '.join(named)}{more}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _tokens(tally: Tally) -> str:
    return f"{tally.input_tokens:,} tokens in, {tally.output_tokens:,} out"


def _cost(dollars: float) -> str:
    return f"{dollars:,.2f} USD" if dollars >= 1 else f"{dollars:.4f} USD"


def _cost_told(tally: Tally) -> str:
    if not tally.cost:
        return ""
    unknown = f", without {_count(tally.unpriced, 'answer')} of unknown price" if tally.unpriced else ""
    return f"{_cost(tally.cost)}{unknown}"


def _time(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"
