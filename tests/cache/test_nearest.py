"""What a miss is compared with: the stored request that is most like it."""

from __future__ import annotations

from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from llm_sync.cache.nearest import _common_length, _difference

ALIKE = st.text(st.sampled_from("ab\u00e9\U0001f600"), max_size=12)


def alike(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))


@given(ALIKE, ALIKE)
def test_the_length_in_common_is_that_of_both_ends(one: str, other: str) -> None:
    """What the beginnings have in common does not count at the ends again."""
    begin = alike(one, other)
    assert _common_length(one, other) == begin + alike(one[begin:][::-1], other[begin:][::-1])


def test_long_texts_are_compared_by_halves() -> None:
    """Thousands of stored requests may begin like the one that is asked."""
    steps = 0

    class Counted(str):
        """A text that counts how often its beginning or end is compared."""

        def startswith(self, *values: object) -> bool:  # type: ignore[override]
            nonlocal steps
            steps += 1
            return super().startswith(*values)  # type: ignore[arg-type]

        def endswith(self, *values: object) -> bool:  # type: ignore[override]
            nonlocal steps
            steps += 1
            return super().endswith(*values)  # type: ignore[arg-type]

    same = "x" * 1_000_000
    assert _common_length(Counted(f"{same}a{same}"), f"{same}b{same}") == 2_000_000
    assert 0 < steps < 50


def test_values_are_cut_to_where_they_begin_to_differ() -> None:
    """Also where one is the beginning of the other."""
    same = "x" * 200
    difference = _difference("prompt", f"{same}", f"{same} and more")
    assert difference.asked == f"\u2026{'x' * 20} and more"
    assert difference.stored == f"\u2026{'x' * 20}"
