"""Intervals and tests: Wilson, paired bootstrap, McNemar. Exact where that is cheap."""

from __future__ import annotations

import math
import random
from collections import Counter

Z_95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution
SEED, RESAMPLES = 20_240_101, 2_000
MAX_BOOTSTRAP = 2_000
"""Above this number of pairs the normal interval is given: it is the bootstrap's limit, and takes no time."""


def wilson(passed: int, total: int) -> tuple[float, float] | None:
    """The 95 % Wilson interval of a share; None without any case."""
    if not total:
        return None
    share, z2 = passed / total, Z_95 * Z_95
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z_95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    return (0.0 if passed == 0 else max(0.0, middle - half)), (1.0 if passed == total else min(1.0, middle + half))


def quantile(ordered: list[float], share: float) -> float:
    """A quantile of sorted values, with linear interpolation."""
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def paired_interval(differences: Counter[float], seed: int = SEED) -> tuple[float, float, float, str] | None:
    """Mean of paired differences, the bounds of its 95 % interval, and the method; None without any.

    ``differences``: how often each occurs. The percentile bootstrap draws whole pairs, with a generator of its own.
    """
    total = differences.total()
    if not total:
        return None
    mean = math.fsum(value * count for value, count in differences.items()) / total
    if total > MAX_BOOTSTRAP:
        spread = math.fsum(count * (value - mean) ** 2 for value, count in differences.items()) / max(1, total - 1)
        half = Z_95 * math.sqrt(spread / total)
        return mean, mean - half, mean + half, "normal"
    values = sorted(differences)
    weights = [differences[value] for value in values]
    if len(values) == 1:
        return mean, mean, mean, "bootstrap"
    draw = random.Random(seed)  # noqa: S311  (statistics)
    means = sorted(sum(draw.choices(values, weights, k=total)) / total for _ in range(RESAMPLES))
    return mean, quantile(means, 0.025), quantile(means, 0.975), "bootstrap"


def mcnemar(only_a: int, only_b: int) -> float | None:
    """The two-sided p-value that two models pass equally often: McNemar's exact (binomial) test, to eight digits or more. None
    without a discordant item."""
    total, count = only_a + only_b, min(only_a, only_b)
    if not total:
        return None
    # The terms of the tail from the largest down: those that are left out change nothing.
    binomial = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
    term = tail = math.exp(binomial - total * math.log(2))
    while count and term > tail * 1e-17:
        term *= count / (total - count + 1)
        tail += term
        count -= 1
    return min(1.0, 2 * tail)
