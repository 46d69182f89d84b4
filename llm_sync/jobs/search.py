"""Finds a job whose create had no answer: the list of jobs tells whether it was made."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from llm_sync.errors import LLMConnectorError
from llm_sync.jobs.job import Job
from llm_sync.jobs.wire import BatchWire, RemoteJob

# When to look, in polls after the create: some providers list a job only minutes after they have made it.
GRACE = (0.0, 2.0, 5.0, 15.0)
_UNLISTED = (403, 404, 405)  # the key may not list jobs, or the address has no list
_MAX_JOBS = 20_000  # looked through; a list that is longer leaves the question open


class Found(NamedTuple):
    """What the list says. ``jobs``: those that may be the one, most likely one first. ``is_whole``: the list was read back to
    before the create, so that a job that is not in it was not there yet. ``why``: why it was not."""

    jobs: tuple[RemoteJob, ...] = ()
    is_whole: bool = True
    why: str = ""


def look_through(wire: BatchWire, job: Job, known: Collection[str]) -> Found:
    """Look for a job in its provider's list. ``known``: the ids of other jobs. Raises what the calls raise."""
    candidates: list[RemoteJob] = []
    try:
        for number, remote in enumerate(wire.jobs(job)):
            if number >= _MAX_JOBS:
                return Found(tuple(candidates), False, f"the provider lists more than {_MAX_JOBS} jobs since it was made")
            if remote.id == job.fence:
                break
            if _may_be(wire, job, remote) and remote.id not in known:
                candidates.append(remote)
                if wire.has_tag:
                    break
    except LLMConnectorError as error:
        if error.status not in _UNLISTED:
            raise
        return Found((), False, f"the provider does not list its jobs: {error.message}")
    return Found(tuple(reversed(candidates)))


def newest(wire: BatchWire) -> str:
    """The id of the newest job that there is; "" without any, and where jobs are not listed."""
    try:
        return next((remote.id for remote in wire.jobs(None, newest=True)), "")
    except LLMConnectorError as error:
        if error.status not in _UNLISTED:
            raise
        return ""


def _may_be(wire: BatchWire, job: Job, remote: RemoteJob) -> bool:
    """Whether this may be the job: by our id in it, or else by the number of its requests."""
    if wire.has_tag:
        return remote.tag == job.id
    return remote.total in (0, job.requests)
