"""The result of ``batch --dry-run`` in words: what would be sent, the highest possible cost, and the expected one."""

from __future__ import annotations

from llm_sync.batch import DryRun
from llm_sync.batch.dry_runner import NO_PRICE
from llm_sync.batch.expected_cost import COUNTED, FROM_ANSWERS, GUESSED, GUESSED_OUTPUT
from llm_sync.cli.console.quantities import cost, count, price_advice
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
    titles = ("model", "requests", "tokens in", "tokens out", "cost at most", "expected")
    shares = [share for share in result.shares if share.requests]
    rows = [
        (
            f"{share.provider}/{share.model}{' by jobs' if share.via else ''}",
            f"{share.requests:,}",
            f"≤ {share.input_tokens:,}",
            "?" if share.output_tokens is None else f"≤ {share.output_tokens:,}",
            "?" if share.cost is None else cost(share.cost),
            "?" if share.expected is None else f"{cost(share.expected)}{' (guess)' if share.expected_from == GUESSED else ''}",
        )
        for share in shares
    ]
    lines = table([titles, *rows], width) if rows else []
    for reason in dict.fromkeys(share.unknown for share in shares if share.unknown):
        models = ", ".join(f"{share.provider}/{share.model}" for share in shares if share.unknown == reason)
        advice = f"; {price_advice()}" if reason == NO_PRICE else ""
        lines.append(f"  the cost is unknown, as {reason}: {models}{advice}")
    for reason in dict.fromkeys(share.not_counted for share in shares if share.not_counted):
        models = ", ".join(f"{share.provider}/{share.model}" for share in shares if share.not_counted == reason)
        lines.append(f"  tokens not counted: {models}: {reason}")
    if rows and result.cost is not None:
        lines.append(f"at most {cost(result.cost)} without retries, counting each byte of text as a token")
    return [*lines, *_expected(result)]


def _expected(result: DryRun) -> list[str]:
    """What it will probably cost, and from what that is known."""
    shares = [share for share in result.shares if share.requests]
    if not shares or result.expected_cost is None:
        return []
    answers = sum(share.expected_answers for share in shares)
    if all(share.expected_from == FROM_ANSWERS for share in shares):
        return [f"expected: {cost(result.expected_cost)}, as {count(answers, 'answer')} to other lines cost"]
    counted = sum(share.counted for share in shares if share.expected_from == COUNTED)
    if all(share.expected_from != GUESSED for share in shares):
        sample = f"the tokens of {count(counted, 'line')} as providers count them"
        how = f"by {sample}, and a guess of up to {GUESSED_OUTPUT} tokens an answer"
        return [f"expected: {cost(result.expected_cost)}, {how}"]
    how = "a rough guess, four bytes a token and short answers; --limit 20 --then-estimate asks a few lines and tells better"
    return [f"expected: {cost(result.expected_cost)}, {how}"]
