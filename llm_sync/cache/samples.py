"""The numbers of samples: n equal requests of one run get n answers, and the same n in the next run."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

from llm_sync.cache.key import request_digest
from llm_sync.models import PreparedRequest


class SampleCounter:
    """Counts equal requests. Any thread may use it; it remembers some 200 bytes for each different request."""

    def __init__(self) -> None:
        self._numbers: dict[str, Iterator[int]] = {}

    def numbered(self, prepared: PreparedRequest) -> PreparedRequest:
        """``prepared`` as sample n, if n equal ones were counted before."""
        numbers = self._numbers.setdefault(request_digest(prepared), itertools.count())
        number = next(numbers)  # atomic, as setdefault is: no lock
        return dataclasses.replace(prepared, sample=number) if number else prepared


_counters: dict[str, SampleCounter] = {}  # of the latest run alone


def counter_of(run: str) -> SampleCounter:
    """The counter of the run of this name, one for all clients of this process. That of an earlier run is dropped."""
    counter = _counters.get(run)
    if counter is None:
        _counters.clear()
        counter = _counters.setdefault(run, SampleCounter())
    return counter
