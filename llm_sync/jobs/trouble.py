"""What a provider's refusals mean for further jobs: how large they may be, and when the next one may be made."""

from __future__ import annotations

from collections.abc import Sequence

from llm_sync.errors import LLMConnectorError, RateLimitError
from llm_sync.jobs.job import Job
from llm_sync.runtime import clock

MAX_REFUSALS = 40  # jobs in a row: halving finds a bad line among 50,000 in half of it
_MAX_BUSY = 20  # answers in a row that no job can be made now
_MAX_UNREACHABLE = 4  # failures in a row to reach the provider; each was repeated before
_FULL_POLLS = 5.0  # how long to wait where too much waits at the provider, and none of it is ours


class Trouble:
    """``until``: when the next job may be made (``runtime.clock``)."""

    def __init__(self, poll_every: float, limit: int) -> None:
        self.until = 0.0
        self._poll_every = poll_every
        self._limit = limit
        self._caps: dict[str, int] = {}  # by model: the most requests of a job
        self._waits_for_end: frozenset[str] = frozenset()  # jobs of which one has to end first
        self._refusals = 0
        self._busy = 0

    def most(self, model: str) -> int:
        """How many requests a job of this model may have."""
        return self._caps.get(model, self._limit)

    def is_waiting(self, open_jobs: Sequence[Job]) -> bool:
        """Whether no job can be made now."""
        if self._waits_for_end and not self._waits_for_end <= {job.id for job in open_jobs}:
            self._waits_for_end = frozenset()
        return bool(self._waits_for_end) or clock.now() < self.until

    def pause(self) -> None:
        """No job can be cut now: others have reserved the money for it."""
        self.until = clock.now() + self._poll_every / 30

    def made(self) -> None:
        """A job was made: the provider takes jobs."""
        self._busy = 0

    def worked(self, job: Job) -> None:
        """A job was accepted with all of its lines: the next one may be larger."""
        self._refusals = 0
        cap = self._caps.get(job.model)
        if cap is not None and job.requests >= cap:
            self._caps[job.model] = min(self._limit, 2 * cap)

    def wait_for(self, error: LLMConnectorError, open_jobs: Sequence[Job]) -> bool:
        """The provider takes no job now. False if it has said so too often."""
        self._busy += 1
        pause = max(self._poll_every * min(2.0 ** (self._busy - 1) / 30, _FULL_POLLS), error.retry_after or 0.0)
        self.until = clock.now() + pause
        most = _MAX_BUSY if isinstance(error, RateLimitError) else _MAX_UNREACHABLE
        return self._busy <= most or bool(open_jobs)

    def is_full(self, job: Job, open_jobs: Sequence[Job]) -> None:
        """Too much waits at the provider for this job: the next one waits for another to end, or is half as large."""
        others = frozenset(other.id for other in open_jobs if other is not job)
        if others:
            self._waits_for_end = others
        else:
            self._caps[job.model] = max(1, job.requests // 2)
            self.until = clock.now() + _FULL_POLLS * self._poll_every

    def may_halve(self, job: Job) -> bool:
        """A line of this job is at fault, nobody knows which: whether to try the halves. It counts the refusals."""
        self._refusals += 1
        if job.requests == 1 or self._refusals > MAX_REFUSALS:
            return False
        self._caps[job.model] = job.requests // 2
        return True
