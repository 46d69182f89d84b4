"""The result of a batch in words: what was answered, what failed and why, tokens, cost and time."""

from __future__ import annotations

from llm_sync.batch import Summary
from llm_sync.batch.state.records import Key
from llm_sync.batch.summary import Tally
from llm_sync.cli.console.batch_jobs import summary_line
from llm_sync.cli.console.quantities import cost, count, duration, price_advice
from llm_sync.cli.console.table import labelled, table

_MAX_NAMED = 10  # possibly billed requests
_MAX_REASONS = 5
_MAX_REASON_LENGTH = 400  # characters


def summary_lines(summary: Summary, width: int | None = None, *, failed_list: str | None = None) -> list[str]:
    """A few lines and a table of the providers, no wider than ``width`` columns. ``failed_list``: the file of all failures."""
    tally = summary.tally
    failures = _failures_by_kind(tally)
    skipped = f"; {count(summary.skipped, 'invalid line')} among them" if summary.skipped else ""
    listed = f"; all are in {failed_list}" if failed_list else ""
    spent = tally.input_tokens or tally.output_tokens
    slowest = f"; the slowest provider was {summary.slowest}" if summary.slowest and len(summary.lanes) > 1 else ""
    return [
        _head(summary),
        *labelled("failed", f"{failures}{skipped}{listed}" if failures else ""),
        *_reasons(summary),
        *labelled("sent", _sent(summary)),
        *labelled("jobs", summary_line(summary.jobs)),
        *labelled("cache", _not_sent(summary)),
        *labelled("input", _changes(summary)),
        *labelled("tokens", f"{tally.input_tokens:,} in, {tally.output_tokens:,} out" if spent else ""),
        *labelled("cost", _total_cost(tally)),
        *labelled("time", f"{duration(summary.seconds)}{slowest}"),
        *(_provider_table(summary, width) if len(summary.lanes) > 1 else []),
        *(_model_table(tally, width) if len(tally.models) > 1 and tally.cost else []),
        *_possibly_billed(summary),
    ]


def failure_line(summary: Summary) -> str:
    """One line: how many requests have no answer, and why."""
    reasons = [text for texts in summary.reasons.values() for text in texts.values()]
    first = f". The first error: {reasons[0][:_MAX_REASON_LENGTH]}" if reasons else ""
    requests = f"{summary.failed:,} of {count(summary.requests, 'request')}"
    return f"{summary.output}: {requests} not answered: {_failures_by_kind(summary.tally)}{first}"


def _head(summary: Summary) -> str:
    tally = summary.tally
    truncated = f" ({tally.truncated:,} of them truncated)" if tally.truncated else ""
    head = f"{summary.output}: {count(summary.requests, 'request')}, {tally.answered:,} answered{truncated}"
    return head + (f", {summary.failed:,} not" if summary.failed else "")


def _failures_by_kind(tally: Tally) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in tally.failed.items() if number)


def _reasons(summary: Summary) -> list[str]:
    """The message of the first failure of each kind."""
    messages: dict[str, str] = {}  # and the line of the first
    for provider, texts in summary.reasons.items():
        for name, text in texts.items():
            position = summary.first_failed.get(provider, {}).get(name)
            line = summary.line_names.get(position) if position is not None else None
            messages.setdefault(f"{name}: {text}", f" ({line})" if line else "")
    more = len(messages) - _MAX_REASONS
    lines = [
        f"    {text if len(text) <= _MAX_REASON_LENGTH else text[:_MAX_REASON_LENGTH] + '…'}{line}"
        for text, line in messages.items()
    ]
    return lines[:_MAX_REASONS] + ([f"    and {count(more, 'more kind')}"] if more > 0 else [])


def _sent(summary: Summary) -> str:
    if not summary.sent and summary.complete:
        if summary.cached or summary.repeated:
            return "nothing"
        if summary.failed:
            return "nothing: failed requests are not sent again without --retry-failed"
        return "nothing: all requests were answered before" if summary.requests else "nothing: the input is empty"
    before = f", {summary.earlier:,} {'was' if summary.earlier == 1 else 'were'} answered before" if summary.earlier else ""
    again = f", {summary.again:,} of them again" if summary.again else ""
    return f"{summary.sent:,}{again}{before}"


def _not_sent(summary: Summary) -> str:
    parts = [f"{count(summary.cached, 'answer')} from the cache"] if summary.cached else []
    if summary.repeated:
        parts.append(f"{count(summary.repeated, 'line')} with the answer to an equal line")
    saved = f"; about {cost(summary.saved)} saved" if summary.saved else ""
    return f"{', '.join(parts)}{saved}" if parts else ""


def _changes(summary: Summary) -> str:
    parts = []
    if summary.changed:
        parts.append(f"{count(summary.changed, 'line')} changed since the last run and sent again")
    if summary.moved:
        parts.append(f"{count(summary.moved, 'line')} moved, with their answers")
    if summary.replaced:
        parts.append(f"{count(summary.replaced, 'answer')} to removed lines, kept in {summary.output}.replaced")
    return "; ".join(parts)


def _total_cost(tally: Tally) -> str:
    if not tally.unpriced:
        return cost(tally.cost) if tally.cost else ""
    unpriced = count(tally.unpriced, "answer")
    known = f"{cost(tally.cost)}, without {unpriced} of unknown price" if tally.cost else f"unknown: {unpriced} without a price"
    return f"{known}; {price_advice()}"


def _provider_table(summary: Summary, width: int | None) -> list[str]:
    titles = ("provider", "requests", "done", "failed", "retries", "time")
    rows = [
        (lane.provider, f"{lane.total:,}", f"{lane.done:,}", f"{lane.failed:,}", f"{lane.retries:,}", duration(lane.seconds))
        for lane in summary.lanes.values()
    ]
    return table([titles, *rows], width)


def _model_table(tally: Tally, width: int | None) -> list[str]:
    titles = ("model", "answered", "tokens in", "tokens out", "cost")
    rows = [
        (
            model,
            f"{used.answered:,}",
            f"{used.input_tokens:,}",
            f"{used.output_tokens:,}",
            "?" if used.unpriced and not used.cost else cost(used.cost),
        )
        for model, used in tally.models.items()
    ]
    return table([titles, *rows], width)


def _possibly_billed(summary: Summary) -> list[str]:
    if not summary.unsure:
        return []
    named = [_named(summary, key) for key, _ in summary.possibly_billed[:_MAX_NAMED]]
    more = len(summary.possibly_billed) - _MAX_NAMED
    listed = "; ".join(named) + (f" and {more:,} more" if more > 0 else "")
    attempts = count(summary.unsure, "attempt") + (f": {listed}" if listed else "")
    removed = f"; {summary.unsure_gone:,} of them for removed lines" if summary.unsure_gone else ""
    return [f"possibly billed, but without an answer: {attempts}{removed}"]


def _named(summary: Summary, key: Key) -> str:
    """A request by its line and its model."""
    name = summary.line_names.get(key.position)
    return f"{name or f'index {key.position}'}, to {key.provider}/{key.model}"
