"""One job: the requests of a file, answered as the simulated time goes on."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from llm_sync.simulator.jobs.files import StoredFile
from llm_sync.simulator.jobs.rows import RowFile
from llm_sync.simulator.jobs.settings import JobPlan, JobSettings

WORK_SECONDS = 1.0  # real seconds that a single look at a job may answer lines
_FINALIZING = 0.05  # of the time that a job takes
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})


class Row(NamedTuple):
    """The result of one line. ``kind``: succeeded, failed, expired or cancelled; ``text``: its row, None: it gets none."""

    kind: str
    text: bytes | None
    tokens: tuple[int, int] | None = None


class Invalid(NamedTuple):
    """Why a job fails before any of its lines runs; ``line`` counts from 1."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class JobWire(Protocol):
    """What differs between the providers. ``one_file``: failed rows are in the same file as the others."""

    one_file: bool

    def check(self, job: Job) -> Invalid | None:
        """Checks all lines and counts them into ``job.total``; the reason if the job fails."""

    def run(self, job: Job, line: bytes) -> Row:
        """Answers one line."""

    def skip(self, job: Job, line: bytes, kind: str) -> Row:
        """The row of a line that is not executed: ``expired`` or ``cancelled``."""

    def refused(self, code: str, job: Job) -> Invalid | None:
        """What a job that fails says, by the code of a script; None if the provider has no failed jobs."""


@dataclass
class Job:
    """``window``: simulated seconds until the job expires. ``facts``: what the wire shows again. Used under the store's lock."""

    id: str
    owner: tuple[str, str]
    model: str
    input: StoredFile
    wire: JobWire
    plan: JobPlan
    settings: JobSettings
    created: float
    window: float
    bill: Callable[[tuple[int, int]], None]
    has_room: Callable[[], bool]
    outputs: tuple[RowFile, RowFile]
    facts: dict[str, Any] = field(default_factory=dict)
    phase: str = "validating"
    total: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    tokens: list[int] = field(default_factory=lambda: [0, 0])
    times: dict[str, float] = field(default_factory=dict)
    invalid: Invalid | None = None
    polls: int = 0
    deleted: bool = False
    _position: int = 0

    @property
    def ended(self) -> float | None:
        """When it ended; None before."""
        return self.times.get(self.phase) if self.phase in ENDED else None

    @property
    def done(self) -> int:
        """How many lines have a result, whatever it is."""
        return sum(self.counts.values())

    @property
    def expires(self) -> float:
        """When unfinished lines are given up."""
        return self.created + self.window

    @property
    def estimated_tokens(self) -> int:
        """The prompt tokens of all lines, as a provider estimates them."""
        return self.input.size // 4

    def shown_counts(self) -> dict[str, int]:
        """Total, succeeded, failed, expired and cancelled lines, as the provider tells them; false if a script says so."""
        counts = {kind: self.counts[kind] for kind in ("succeeded", "failed", "expired", "cancelled")}
        shown = {"total": self.total, **counts}
        if self.plan.counters_lie:
            shown |= {"total": max(0, self.total - 1), "succeeded": counts["failed"], "failed": counts["succeeded"]}
        return shown

    def advance(self, now: float, work_seconds: float | None = WORK_SECONDS) -> None:
        """Goes on to the simulated time ``now``. Stops answering lines after some real time, and goes on the next time."""
        if self.phase == "validating" and now >= self.created + self.settings.validating:
            self._validate()
        if self.phase in ("in_progress", "finalizing"):
            self._work(now, None if work_seconds is None else time.monotonic() + work_seconds)
        if self.phase == "cancelling" and now >= self.times["cancelling"] + self.settings.cancelling:
            self._end("cancelled", self.times["cancelling"] + self.settings.cancelling)

    def cancel(self, now: float) -> None:
        """Starts no further line; the job ends a little later. Lines that are done stay done, and paid."""
        self.advance(now)
        if self.phase not in ENDED and self.phase != "cancelling":
            self.phase, self.times["cancelling"] = "cancelling", now

    def _validate(self) -> None:
        at = self.created + self.settings.validating
        self.invalid = self.wire.check(self)
        if self.invalid is None and self.plan.failure is not None:
            self.invalid = self.wire.refused(self.plan.failure, self)
        if self.invalid is None and not self.has_room():
            self.invalid = self.wire.refused("token_limit_exceeded", self)
        if self.invalid is not None:
            self.total = 0
        self.phase = "in_progress" if self.invalid is None else "failed"
        self.times[self.phase] = at

    def _work(self, now: float, deadline: float | None) -> None:
        takes = self.settings.takes if self.plan.takes is None else self.plan.takes
        begun, ends = self.times["in_progress"], self.created + max(takes, self.settings.validating)
        working = max(1e-9, (ends - begun) * (1 - _FINALIZING))
        share = min(1.0, max(0.0, (min(now, self.expires) - begun) / working))
        due = int(self.total * (share if self.plan.finished is None else min(share, self.plan.finished)))
        with contextlib.closing(self._rest()) as lines:
            while self.done < due:
                if deadline is not None and time.monotonic() > deadline:
                    break
                self._record(self.wire.run(self, next(lines)))
        if self.done < due:
            return
        expiring = self.counts["expired"] > 0 or self.done < self.total
        if self.done == self.total and not expiring and self.phase == "in_progress":
            self.phase, self.times["finalizing"] = "finalizing", min(now, begun + working)
        if self.phase == "finalizing" and now >= ends:
            self._end("completed", max(ends, self.times["finalizing"]))
        elif expiring and now >= self.expires:
            self._end("expired", self.expires)

    def _record(self, row: Row) -> None:
        self.counts[row.kind] += 1
        if row.tokens is not None:
            self.tokens[0] += row.tokens[0]
            self.tokens[1] += row.tokens[1]
            self.bill(row.tokens)
        if row.text is not None:
            self.outputs[0 if row.kind == "succeeded" or self.wire.one_file else 1].append(row.text)

    def _rest(self) -> Generator[bytes, None, None]:
        """The lines that have no result yet. No file stays open between two looks at the job."""
        try:
            for line in self.input.lines(self._position):
                self._position += len(line)
                if line.strip():
                    yield line
        finally:
            for output in self.outputs:
                output.close()

    def _end(self, phase: str, at: float) -> None:
        if self.done < self.total:
            for line in self._rest():
                self._record(self.wire.skip(self, line, phase))
        for output in self.outputs:
            output.finish(self.plan, self.id)
        self.phase, self.times[phase] = phase, at
