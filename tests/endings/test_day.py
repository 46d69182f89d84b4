"""A day in little, in the suite; the long one is among the soak tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from endings_day import live_a_day


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="figures are read from /proc")
def test_two_thousand_requests(tmp_path):
    """5 % of faults of all kinds: every request ends rightly, both sides' counts agree, threads and files are flat."""
    found = live_a_day(tmp_path, 2000, 500)
    samples = found["samples"]
    assert max(sample["threads"] for sample in samples) <= 1 + 2 * (1 + 4)  # two workers, and helpers that connect
    assert max(sample["fds"] for sample in samples) <= samples[0]["fds"] + 8
