"""The rows of a job's results, on disk: written one by one, and put in disorder at the end where a script says so."""

from __future__ import annotations

import random
from pathlib import Path
from typing import BinaryIO

from llm_sync.simulator.jobs.settings import JobPlan


class RowFile:
    """A file of rows, which exists once it has one. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._file: BinaryIO | None = None

    def append(self, row: bytes) -> None:
        """Adds a row, which ends in a newline."""
        if self._file is None:
            self._file = self.path.open("ab")
        self._file.write(row)
        self.rows += 1

    def close(self) -> None:
        """Closes the file; the next row opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def finish(self, plan: JobPlan, seed: str) -> None:
        """Ends the file: shuffles rows, leaves some out and writes some twice, as the plan says."""
        self.close()
        if self.rows and (plan.shuffled or plan.missing or plan.twice):
            self._rewrite(plan, random.Random(f"{seed} {self.path.name}"))  # noqa: S311  (repeatable, not secret)

    def _rewrite(self, plan: JobPlan, chance: random.Random) -> None:
        """Reads the rows again by their places, so that only these are in memory."""
        positions, position = [], 0
        with self.path.open("rb") as file:
            for row in file:
                positions += [position] * (0 if chance.random() < plan.missing else 2 if chance.random() < plan.twice else 1)
                position += len(row)
        if plan.shuffled:
            chance.shuffle(positions)
        target = self.path.with_suffix(".new")
        with self.path.open("rb") as source, target.open("wb") as copy:
            for place in positions:
                source.seek(place)
                copy.write(source.readline())
        target.replace(self.path)
        self.rows = len(positions)
