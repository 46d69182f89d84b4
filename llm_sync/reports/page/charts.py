"""The charts of a page, as SVG without script and style: the page's own style colours them, in light and in dark."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any
from xml.etree import ElementTree

import pygal
from markupsafe import Markup
from pygal.style import Style

from llm_sync.reports.page.timeline import Timeline
from llm_sync.reports.page.visible import visible_text
from llm_sync.reports.rows import ModelRow
from llm_sync.reports.statistics import quantile

# pygal leaves an import hook for its maps, of a form that Python 3.12 ignores and older ones warn of at each later import.
sys.meta_path[:] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]

COLORS = 8
"""Colours and dash patterns that the style has."""
_QUANTILES = 60
_MAX_STEPS = 4  # labels of an axis that counts requests, above 0
_LINE, _LETTER = 18, 7.5
_WIDTH = 640
_DROPPED: set[object] = {"script", "style", "defs", "desc", "title", ElementTree.Comment}
_FONTS = Style(
    label_font_size=14,
    major_label_font_size=14,
    title_font_size=14,
    value_font_size=14,
    value_label_font_size=14,
    font_family="sans",
)


def cost_against_accuracy(models: Sequence[ModelRow]) -> Markup | None:
    """A point for each model: accuracy in percent, or the share of complete answers without scores; None without a cost."""
    points = [(model, share) for model in models if (share := share_of(model)) is not None and model.cost is not None]
    if not points:
        return None
    chart = _chart("US dollars", "%", dots_size=6, stroke=False, show_dots=True, print_labels=True, include_x_axis=False)
    shares = [100 * share for _, share in points]
    margin = max(5.0, (max(shares) - min(shares)) / 5)
    chart.range = (max(0.0, min(shares) - margin), min(100.0, max(shares) + margin))
    top = max(model.cost or 0.0 for model, _ in points) or 1.0
    chart.xrange = (0, top * 1.1)
    chart.x_value_formatter = money
    for model in models:
        share = share_of(model)
        values = (
            [] if share is None or model.cost is None else [{"value": (model.cost, 100 * share), "label": _short(model.column)}]
        )
        chart.add(visible_text(model.column), values)
    root = chart.render_tree()
    _place_labels(root)
    return _svg(root, "Cost against accuracy; the figures are in the table of models")


def share_of(model: ModelRow) -> float | None:
    """Accuracy, or without one the share of complete answers."""
    if model.accuracy is not None:
        return model.accuracy
    return model.answered / model.requests if model.requests else None


def latency_distributions(latencies: Sequence[tuple[str, list[float]]]) -> Markup | None:
    """For each model, the share of answers that came within a time; sorted milliseconds are given. None without any."""
    if not any(values for _, values in latencies):
        return None
    chart = _chart("seconds", "% of answers", show_dots=False)
    chart.range = (0, 100)
    chart.xrange = (0, max(quantile(values, 0.99) for _, values in latencies if values) / 1000 or 1.0)
    for column, values in latencies:
        steps = [step / _QUANTILES for step in range(_QUANTILES + 1)] if values else []
        points = [(quantile(values, step) / 1000, 100 * step) for step in steps if step <= 0.99]
        chart.add(visible_text(column), points)
    return _svg(
        chart.render_tree(), "Latency: the share of answers that came within a time, by model; the figures are in the table below"
    )


def in_flight(timeline: Timeline, provider: str, color: int) -> Markup:
    """A provider's requests in flight over the run, with a mark where requests that were retried began their last attempt."""
    chart = _chart("", "in flight", width=720, height=180, show_dots=False, fill=True)
    chart.xrange = (0, timeline.seconds or 1.0)
    line: list[tuple[float, float]] = [(0.0, 0.0)]
    retries: list[tuple[float, float]] = []
    for piece in timeline.stretches(provider):
        line += (piece.start, piece.in_flight), (piece.end, piece.in_flight)
        if piece.retried:
            retries.append(((piece.start + piece.end) / 2, piece.in_flight))
    highest = max(level for _, level in line)
    chart.range = (0, max(1.0, highest))
    top = ceil(max(1.0, highest))
    chart.y_labels = range(0, top + 1, ceil(top / _MAX_STEPS))
    chart.x_value_formatter = seconds
    for _ in range(color):
        chart.add("", [])  # each series takes the next colour
    chart.add("in flight", _within([*line, (line[-1][0], 0.0)], timeline.seconds))
    chart.add("retried", _within(retries, timeline.seconds), show_dots=True, stroke=False, fill=False, dots_size=4)
    name = f"Requests of {visible_text(provider)} in flight over the run, at most {highest:.1f} on average of a moment"
    return _svg(chart.render_tree(), name, last_class="retried")


def _within(points: list[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    return [(min(time, end), level) for time, level in points]


def _chart(x_title: str, y_title: str, width: int = _WIDTH, height: int = 400, **options: Any) -> Any:
    return pygal.XY(
        width=width,
        height=height,
        x_title=x_title,
        y_title=y_title,
        style=_FONTS,
        js=(),
        css=(),
        no_prefix=True,
        show_legend=False,
        max_scale=8,
        min_scale=3,
        no_data_text="",
        value_formatter=lambda value: f"{value:.4g}",
        **options,
    )


Box = tuple[float, float, float, float]


def _place_labels(root: ElementTree.Element) -> None:
    """Put each point's label beside it, where it covers neither another point nor another label, if there is such a place."""
    points: dict[str, tuple[float, float]] = {}
    labels: dict[str, ElementTree.Element] = {}
    for series in (node for node in root.iter() if "series" in node.get("class", "").split()):
        name = series.get("class", "")
        points.update((name, (float(dot.get("cx", 0)), float(dot.get("cy", 0)))) for dot in series.iter("circle"))
        labels.update((name, text) for text in series.iter("text"))
    taken: list[Box] = [(x - 8, y - 8, x + 8, y + 8) for x, y in points.values()]
    for name, label in labels.items():
        x, y = points[name]
        candidates = list(_beside(x, y, _LETTER * len(label.text or "")))
        left, top, right, bottom = next(
            (box for box in candidates if not any(_overlap(box, other) for other in taken)), candidates[0]
        )
        taken.append((left, top, right, bottom))
        start, anchor = (left, "start") if left > x else (right, "end")
        label.attrib.update({"x": f"{start:.1f}", "y": f"{bottom - 4:.1f}", "text-anchor": anchor})


def _beside(x: float, y: float, width: float) -> Iterator[Box]:
    """Boxes for a label of a point: first at its height, then below and above, on the side with more room first."""
    right, left = x + 12, x - 12 - width
    sides = (left, right) if x > _WIDTH * 0.45 else (right, left)
    for shift in (0, _LINE, -_LINE, 2 * _LINE, -2 * _LINE):
        for start in sides:
            if (start >= 0 and start + width <= _WIDTH - 60) or start == sides[0]:
                yield start, y - 9 + shift, start + width, y + 9 + shift


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _svg(root: ElementTree.Element, description: str, last_class: str | None = None) -> Markup:
    """The drawing alone: what pygal adds for its own script and style is dropped."""
    _prune(root)
    series = [node for node in root.iter() if "series" in node.get("class", "").split()]
    last = max((int(node.get("class", "").split("color-")[-1]) for node in series), default=0)
    for node in series:
        number = int(node.get("class", "").split("color-")[-1])
        is_last = last_class is not None and number == last
        node.set("class", f"series color-{number % COLORS}" + (f" {last_class}" if is_last else ""))
    root.attrib.pop("id", None)
    root.set("role", "img")
    root.set("aria-label", description)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704  (ElementTree escapes)


def _prune(node: ElementTree.Element) -> None:
    for child in list(node):
        classes = child.get("class", "").split()
        if child.tag in _DROPPED or "tooltip-overlay" in classes:
            node.remove(child)
            continue
        child.attrib.pop("style", None)
        child.attrib.pop("id", None)
        _prune(child)


def _short(name: str, most: int = 28) -> str:
    text = visible_text(name)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def money(value: float | None) -> str:
    """US dollars, in as many places as say something."""
    if value is None:
        return "–"
    return "$0" if value == 0 else f"${value:,.2f}" if abs(value) >= 1 else f"${value:.3g}"


def seconds(value: float) -> str:
    """A time, as 1:02:03, 2:03, 2.5 s, 250 ms or 2.5 ms."""
    if 0 < value < 1:
        return f"{1000 * value:.{0 if value >= 0.01 else 1}f} ms"
    if value < 60:
        return f"{value:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
