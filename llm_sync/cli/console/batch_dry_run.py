"""The result of ``batch --dry-run`` in words: what would be sent, and the highest possible cost."""

from __future__ import annotations

from llm_sync.batch import DryRun
from llm_sync.cli.console.quantities import cost, count
from llm_sync.cli.console.table import labelled, table


def dry_run_lines(result: DryRun, width: int | None = None) -> list[str]:
    """A few lines and a table of the models, no wider than ``width`` columns."""
    lines = [f"{count(result.requests, 'request')}, {result.to_send:,} to be sent"]
    if result.answered_earlier:
        lines[0] += f", {result.answered_earlier:,} answered before"
    lines += labelled("cache", f"{count(result.cached, 'answer')} of these are stored" if result.cached else "")
    lines += labelled("again", f"{count(result.asked_again, 'failed request')} would be sent again" if result.asked_again else "")
    lines += labelled("changed", f"{count(result.changed, 'line')} would be sent again" if result.changed else "")
    lines += labelled("invalid", f"{count(result.skipped, 'line')} that cannot be sent" if result.skipped else "")
    return [*lines, *_costs(result, width)]


def _costs(result: DryRun, width: int | None) -> list[str]:
    titles = ("model", "requests", "tokens in", "tokens out", "cost at most")
    shares = [share for share in result.shares if share.requests]
    rows = [
        (
            f"{share.provider}/{share.model}",
            f"{share.requests:,}",
            f"≤ {share.input_tokens:,}",
            "?" if share.output_tokens is None else f"≤ {share.output_tokens:,}",
            "?" if share.cost is None else cost(share.cost),
        )
        for share in shares
    ]
    lines = table([titles, *rows], width) if rows else []
    for reason in dict.fromkeys(share.unknown for share in shares if share.unknown):
        models = ", ".join(f"{share.provider}/{share.model}" for share in shares if share.unknown == reason)
        lines.append(f"  the cost is unknown, as {reason}: {models}")
    if rows and result.cost is not None:
        lines.append(f"at most {cost(result.cost)} without retries, counting each byte of text as a token")
    return lines
