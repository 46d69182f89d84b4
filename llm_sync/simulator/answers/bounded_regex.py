"""Regular expressions that end: some patterns take longer with every character by a factor, and would hold all threads up."""

from __future__ import annotations

import itertools
import re
import time

_LONGEST = 24  # characters, or pairs, that a pattern is tried with
_TOO_LONG_S = 0.004  # of CPU: what ends takes a thousandth of it on so short a text
_UNLIKE = "\x00"  # ends what was repeated, as hardly any pattern matches it
_USUAL = "a0 _"  # of \w, \d, \s and the dot
_MOST_LETTERS = 12
_REPEATED_GROUP = re.compile(r"\)[*+{]")  # what a pattern has to have to be one of these
_SIGNS = frozenset("\\^$.|?*+()[]{}")

# a problem and its hint
RUNS_AWAY = ("takes for ever on some texts, as what it repeats can be read in several ways", "repeat once: a+, not (a+)+")


def runs_away(pattern: re.Pattern[str]) -> bool:
    """Whether some short text keeps it busy out of all proportion, as ``(a+)+$`` is by ``aaaa!``; found by trying.

    Texts are made of the pattern's own letters, longer step by step, so that even the worst one is noticed within
    milliseconds.
    """
    if not _REPEATED_GROUP.search(pattern.pattern):
        return False
    letters = dict.fromkeys([*_USUAL, *(letter for letter in pattern.pattern if letter not in _SIGNS)])
    few = list(letters)[:_MOST_LETTERS]
    words = re.findall(r"\w{3,}", pattern.pattern)[:_MOST_LETTERS]
    return any(_grows(pattern, piece) for piece in (*few, *words, *map("".join, itertools.permutations(few, 2))))


def _grows(pattern: re.Pattern[str], piece: str) -> bool:
    for length in range(4, _LONGEST + 1, 2):
        text = piece * length + _UNLIKE
        if _seconds(pattern, text) > _TOO_LONG_S and _seconds(pattern, text) > _TOO_LONG_S:  # once may be the collector's time
            return True
    return False


def _seconds(pattern: re.Pattern[str], text: str) -> float:
    begun = time.thread_time()
    pattern.search(text)
    return time.thread_time() - begun
