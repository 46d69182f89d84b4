"""What ``llm-sync embed -o`` shows: its progress, and what it came to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llm_sync.cli.console import progress, quantities
from llm_sync.cli.console.messages import print_note

if TYPE_CHECKING:
    from llm_sync.batch.embedding import EmbeddingProgress, EmbeddingSummary
    from llm_sync.cli.console.in_flight import InFlightRequests

INTERVAL_S = 30.0  # between two lines of progress when standard error is no terminal


class Watcher:
    """Takes the progress of a run, and shows it on a terminal and in ``llm-sync status``. ``output``: the file."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._latest: EmbeddingProgress | None = None
        self._printed_at = time.monotonic()

    def __call__(self, latest: EmbeddingProgress) -> None:
        """Take the latest state; without a terminal, print it now and then."""
        self._latest = latest
        if not progress.is_enabled() and time.monotonic() - self._printed_at >= INTERVAL_S:
            self._printed_at = time.monotonic()
            print_note(f"{latest.done:,} of {latest.total:,} texts done, {latest.failed:,} failed")

    def rows(self, requests: InFlightRequests) -> Sequence[tuple[str, str]]:  # noqa: ARG002  (there is one provider)
        """The lines on a terminal."""
        latest = self._latest
        if latest is None:
            return [("reading", self._output)]
        failed = f", {latest.failed:,} failed" if latest.failed else ""
        return [("texts", f"{latest.done:,}/{latest.total:,}{failed}"), ("requests", f"{latest.requests:,}")]

    def work(self) -> dict[str, Any] | None:
        """What the run works on; None before it is known."""
        latest = self._latest
        if latest is None:
            return None
        return {"file": self._output, "total": latest.total, "done": latest.done, "seconds_left": None}


def summary_lines(summary: EmbeddingSummary) -> list[str]:
    """The result of a run."""
    where = f"written to {summary.output}" if summary.complete else "in the journal"
    width = "" if summary.dimensions is None else f" of {summary.dimensions:,} dimensions"
    lines = [f"{summary.answered if summary.complete else summary.texts:,} of {summary.texts:,} texts{width} {where}"]
    if not summary.complete:
        lines = [f"not complete: {summary.texts:,} texts; what was answered is in {summary.output}.part"]
    parts = [f"{quantities.count(summary.requests, 'request', 'requests')} answered in {quantities.duration(summary.seconds)}"]
    if summary.input_tokens:
        parts.append(quantities.tokens(summary.input_tokens, 0))
    if summary.cost:
        parts.append(quantities.cost(summary.cost))
    lines.append(", ".join(parts))
    if summary.cost is None and summary.input_tokens:
        lines.append(f"the cost is unknown; {quantities.price_advice()}")
    if summary.kept:
        lines.append(f"{summary.kept:,} kept from a previous run")
    if summary.repeated:
        lines.append(f"{summary.repeated:,} equal to a text before them, and not sent")
    if summary.unsure:
        lines.append(f"up to {summary.unsure:,} were in flight when a previous run was killed, and may be billed twice")
    lines += [f"{count:,} failed: {name}" for name, count in sorted(summary.failed.items())]
    return lines
