"""A report in words: a table of the models, what failed, how answers were checked, and how models differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from llm_sync.cli.console.quantities import cost, count, duration
from llm_sync.cli.console.table import labelled, table

if TYPE_CHECKING:
    from llm_sync.reports import ModelRow, PairRow, Report

MAX_PAIRS = 15
_SIGNIFICANT = 0.05
_LABEL = re.compile(r"^  (check|failed) +")


def report_lines(report: Report, pairs: Sequence[PairRow], width: int | None = None) -> list[str]:
    """The lines of ``llm-sync report``, no wider than ``width`` columns."""
    models = report.models
    total = sum(model.answered + model.cut for model in models)
    lines = [f"{', '.join(report.outputs)}: {count(report.records, 'record')}, {total:,} answered"]
    lines += table(model_cells(models), width) if models else []
    for model in models:
        failures = ", ".join(f"{kind} {number:,}" for kind, number in sorted(model.failed.items()))
        lines += labelled("failed", f"{model.column}: {failures}" if failures else "")
    lines += labelled("check", report.check or "")
    for model in models:
        reasons = "; ".join(f"{number:,} times {reason}" for reason, number in model.unscored.items())
        lines += labelled("without", f"a verdict, {model.column}: {reasons}" if reasons else "")
    lines += [line for pair in pairs for line in difference_lines(pair)]
    return lines


def model_cells(models: Sequence[ModelRow]) -> list[tuple[str, ...]]:
    """The titles and a row for each model; without accuracy if nothing is scored."""
    scored = any(model.scored or model.unscored for model in models)
    titles = ["model", "answered", "cut", "blocked", "failed"]
    titles += ["accuracy", "(95 %)", "passed of all"] if scored else []
    titles += ["tokens in", "tokens out", "cost", "p50", "p95", "retries", "time"]
    return [tuple(titles), *(_row(model, scored=scored) for model in models)]


def _row(model: ModelRow, *, scored: bool) -> tuple[str, ...]:
    counts = [f"{number:,}" for number in (model.answered, model.cut, model.blocked, model.failures)]
    verdicts = [_percent(model.accuracy), _interval(model), _percent(model.passed_of_all)] if scored else []
    return (
        model.column,
        *counts,
        *verdicts,
        f"{model.input_tokens:,}",
        f"{model.output_tokens:,}",
        "?" if model.cost is None else cost(model.cost) + (" +?" if model.unpriced else ""),
        _latency(model.latency_p50_ms),
        _latency(model.latency_p95_ms),
        f"{model.retries:,}",
        "" if model.wall_seconds is None else duration(model.wall_seconds),
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _interval(model: ModelRow) -> str:
    if model.accuracy_low is None or model.accuracy_high is None:
        return ""
    return f"{100 * model.accuracy_low:.1f}–{100 * model.accuracy_high:.1f}"


def _latency(milliseconds: float | None) -> str:
    if milliseconds is None:
        return ""
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def difference_lines(pair: PairRow) -> list[str]:
    """How the scores of two models differ on the same items; nothing without scores."""
    if pair.difference is None or pair.difference_low is None or pair.difference_high is None:
        return []
    numbers = [100 * value for value in (pair.difference, pair.difference_low, pair.difference_high)]
    p_value = "" if pair.p_value is None else f", p = {pair.p_value:.2g} (McNemar)"
    seed = f", seed {pair.seed}" if pair.seed is not None else ""
    interval = f"95 % {numbers[1]:+.1f} to {numbers[2]:+.1f} ({pair.method}{seed})"
    items = count(pair.both_scored, "item")
    return [f"  {pair.b} less {pair.a}: {numbers[0]:+.1f} points, {interval}{p_value}, {items}"]


def comparison_lines(pairs: Iterable[PairRow]) -> list[str]:
    """What changed from the first to the second of each pair."""
    return [line for pair in pairs for line in _comparison(pair)]


def _comparison(pair: PairRow) -> list[str]:
    only = [f"{number:,} only in {name}" for number, name in ((pair.only_in_a, pair.a), (pair.only_in_b, pair.b)) if number]
    lines = [f"{pair.a} -> {pair.b}: {count(pair.items, 'item')} of both" + "".join(f", {text}" for text in only)]
    if not pair.items:
        return [*lines, *labelled("answers", "none to compare: no input line was sent to both")]
    lines += labelled("answers", f"{pair.same_text:,} the same, {pair.changed:,} changed")
    if pair.fixed or pair.broken:
        lines += labelled("failed", f"{pair.fixed:,} before but not now, {pair.broken:,} now but not before")
    if pair.both_scored:
        lines += labelled("scores", f"{pair.improved:,} improved, {pair.worsened:,} worsened, of {pair.both_scored:,}")
        lines += difference_lines(pair)
        lines += labelled("verdict", _verdict(pair))
    if pair.cost_difference is not None:
        lines += labelled("cost", f"{_signed(pair.cost_difference)}{cost(abs(pair.cost_difference))}")
    if pair.latency_difference_ms is not None:
        lines += labelled(
            "latency", f"{_signed(pair.latency_difference_ms)}{_latency(abs(pair.latency_difference_ms))} on average"
        )
    return lines


def _verdict(pair: PairRow) -> str:
    if pair.p_value is None or pair.p_value >= _SIGNIFICANT:
        return f"no significant difference (p < {_SIGNIFICANT} by McNemar's test would be one)"
    return f"significantly {'better' if pair.only_b > pair.only_a else 'worse'}"


def _signed(value: float) -> str:
    return "-" if value < 0 else "+"


def markdown(report: Report, pairs: Sequence[PairRow]) -> str:
    """The same as Markdown."""
    cells = model_cells(report.models)
    lines = [_markdown_row(cells[0]), "|---" + "|--:" * (len(cells[0]) - 1) + "|", *map(_markdown_row, cells[1:])]
    notes = report_lines(report, pairs)
    rest = [_LABEL.sub(r"\1: ", line) for line in (notes[1 + len(cells) :] if report.models else notes[1:])]
    return (
        "\n".join([f"# {_escaped(notes[0])}", "", *lines, "", *(f"* {_escaped(line.strip())}" for line in rest)]).rstrip() + "\n"
    )


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    """Text without characters that Markdown or HTML would take for their own."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{character}" if character in "\\`*_[]|" else character for character in text)
