"""What a script says about jobs: ``jobs:`` for all of them, and the plan of a single one, made by the rules that match it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JobSettings:
    """``jobs:`` in a script. Times are in simulated seconds, ``speed`` in simulated seconds per second.

    ``takes``: from the creation of a job to its end; ``validating``: the first part of it; ``cancelling``: from a cancel to the
    job's end. ``answer_takes``: from the creation of a background answer to its end. ``enqueued_tokens``: how many prompt tokens
    the unfinished jobs of a model may have together; None: any number.
    """

    speed: float = 60.0
    takes: float = 120.0
    validating: float = 10.0
    cancelling: float = 10.0
    answer_takes: float = 20.0
    enqueued_tokens: int | None = None


@dataclass
class JobPlan:
    """What happens to one job, as the rules of a script say. Shares are from 0 to 1, times in simulated seconds.

    ``takes`` replaces the setting. ``failure``: the code with which the job fails after it was created. ``finished``: the job
    expires when this share of its lines is done. ``missing``, ``twice``: the share of rows that are left out or written twice.
    ``kept``: how long results can be fetched after the end (a background answer: after its creation). ``listed_after``: when a
    new job appears in listings. ``not_stored``: a background answer is gone after ten minutes, whatever the request asked.
    ``cancel_ignored``: a cancelled answer is made and billed all the same.
    """

    takes: float | None = None
    failure: str | None = None
    finished: float | None = None
    shuffled: bool = False
    missing: float = 0.0
    twice: float = 0.0
    counters_lie: bool = False
    kept: float | None = None
    listed_after: float = 0.0
    not_stored: bool = False
    cancel_ignored: bool = False
