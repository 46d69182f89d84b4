"""Writes the page: one HTML file that needs nothing else and asks no one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from itertools import combinations
from math import isfinite
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from llm_sync.reports.page import answers, charts, timeline
from llm_sync.reports.page.collected import Collected
from llm_sync.reports.page.sample import shortened
from llm_sync.reports.page.visible import visible, visible_name, visible_text
from llm_sync.reports.rows import ModelRow, PairRow, RecordRow
from llm_sync.reports.statistics import quantile

if TYPE_CHECKING:
    from llm_sync.reports.summary import Report

_SCRIPTS = ("text.js", "detail.js", "answers.js", "tables.js")
_MAX_COMPARED = 8
"""Models whose pairs are all compared."""
_LATENCY_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def render_report(report: Report, certificate: Mapping[str, Any] | None, title: str) -> str:
    """The page of a report."""
    pairs = [report.pair(a.column, b.column) for a, b in combinations(report.models[:_MAX_COMPARED], 2)]
    return render(report.models, pairs, report.rows(), check=report.check, certificate=certificate, title=title)


def render(
    models: Sequence[ModelRow],
    pairs: Sequence[PairRow],
    rows: Iterable[RecordRow],
    *,
    check: str | None = None,
    certificate: Mapping[str, Any] | None = None,
    title: str = "Report",
) -> str:
    """The page's text, from the rows of a report."""
    collected = Collected()
    for row in rows:
        collected.add(row)
    items = answers.side_by_side(collected.sample.items(), models)
    style, script = _asset("page.css"), "\n".join(_asset(name) for name in _SCRIPTS)
    template = _environment().get_template("page.html")
    return template.render(
        title=title,
        style=Markup(style),  # noqa: S704  (the package's own file)
        script=Markup(script),  # noqa: S704  (likewise)
        policy=_policy(style, script),
        data=Markup(answers.script_json(answers.page_data(items, models))),  # noqa: S704  (escaped for this place)
        certificate=certificate and Markup(answers.script_json(certificate)),  # noqa: S704  (likewise)
        provenance=certificate and _flat({name: value for name, value in certificate.items() if name != "models"}),
        model_provenance=certificate and certificate.get("models") and _flat({"models": certificate["models"]}),
        models=models,
        pairs=pairs,
        check=check,
        records=collected.records,
        items=items,
        is_whole=collected.sample.is_whole,
        compares_all=len(models) <= _MAX_COMPARED,
        worst=answers.worst_disagreements(items),
        failures=sorted(collected.failures.values(), key=lambda group: (-group.count, group.error, group.column)),
        places=_places(items),
        times=collected.times,
        **_drawings(models, items, collected.times),
    )


def _drawings(models: Sequence[ModelRow], items: Sequence[answers.Item], times: timeline.Timeline) -> dict[str, Any]:
    latencies = [(model.column, _latencies(items, place)) for place, model in enumerate(models)]
    return {
        "cost_chart": charts.cost_against_accuracy(models),
        "latency_chart": charts.latency_distributions(latencies),
        "latency_shares": _LATENCY_SHARES,
        "latencies": [
            (name, len(values), [quantile(values, share) for share in _LATENCY_SHARES]) for name, values in latencies if values
        ],
        "lanes": [
            (provider, charts.in_flight(times, provider, place % charts.COLORS))
            for place, provider in enumerate(times.providers())
        ],
        "pauses": times.pauses(),
    }


def _latencies(items: Sequence[answers.Item], place: int) -> list[float]:
    """The sorted latencies of a model, in milliseconds, without those of answers from the cache."""
    rows = (item.rows[place] for item in items)
    return sorted(
        row.latency_ms
        for row in rows
        if row is not None and row.latency_ms is not None and not row.cached and isfinite(row.latency_ms)
    )


def _places(items: Sequence[answers.Item]) -> dict[tuple[str, int], int]:
    """Where the records without an answer are in the list of answers."""
    positions: dict[tuple[str, int], int] = {}
    for place, item in enumerate(items):
        positions.update(((row.output, row.number), place) for row in item.rows if row is not None and not row.has_answer)
    return positions


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("assets").joinpath(name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """A policy under which only this style and this script work, and nothing is loaded or sent."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest(script)}'; style-src 'sha256-{digest(style)}';"
        " base-uri 'none'; form-action 'none'"
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        visible=visible,
        name=visible_name,
        label=visible_text,
        money=charts.money,
        seconds=charts.seconds,
        percent=percent,
        count=count,
        short=_short,
    )
    return environment


def percent(value: float | None) -> str:
    """A share in percent, with one place."""
    return "–" if value is None else f"{100 * value:.1f} %"


def count(value: float | None) -> str:
    """A number with separators."""
    return "–" if value is None else f"{value:,.0f}"


def _short(text: str | None, most: int = 400) -> str:
    text = shortened(text) or ""
    return text if len(text) <= most else f"{text[:most]}…"


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A nested mapping as names and values, for a table."""
    lines: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            lines += _flat(value, f"{prefix}{name} › ")
        elif isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
            lines += _flat({str(place + 1): entry for place, entry in enumerate(value)}, f"{prefix}{name} › ")
        else:
            shown = "–" if value is None else answers.script_json(value) if isinstance(value, list) else str(value)
            lines.append((f"{prefix}{name}", shown))
    return lines
