"""Jobs of the providers' Batch APIs as the journal has them: which lines each is made of, and how far it has come.

``{"job": ID, "members": [[position, line hash], …]}`` lines come first, under a budget also
``{"job": ID, "charges": [[number, entry of the ledger], …]}``, then ``{"job": ID, "step": "cut", …}``, then a line for each
further step. What is said of a job's lines is kept in temporary files: memory does not grow with them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

from llm_sync.batch.state.index import NumberFile
from llm_sync.batch.state.journal_format import lines_of, pieces_of
from llm_sync.jobs.job import Job

_MEMBERS_OF_A_NOTE = 500


def member_notes(job: Job, positions: array[int], hashes: array[int]) -> Iterator[dict[str, Any]]:
    """The notes of what a job is made of."""
    for start in range(0, len(positions), _MEMBERS_OF_A_NOTE):
        part = slice(start, start + _MEMBERS_OF_A_NOTE)
        yield {"job": job.id, "members": [list(pair) for pair in zip(positions[part], hashes[part], strict=True)]}


def charge_notes(job: Job) -> Iterator[dict[str, Any]]:
    """The notes of what is reserved for a job: a later run puts the true cost in its place."""
    entries = [[number, charge.entry] for number, charge in job.charges.items() if charge.entry is not None]
    for start in range(0, len(entries), _MEMBERS_OF_A_NOTE):
        yield {"job": job.id, "charges": entries[start : start + _MEMBERS_OF_A_NOTE]}


class JobNotes:
    """The jobs of one journal. One thread at a time. Raises OSError (disk full)."""

    def __init__(self, folder: str | None) -> None:
        """``folder``: for temporary files; None: of the members nothing is kept."""
        self.jobs: dict[str, Job] = {}
        self.charges: dict[str, dict[int, int]] = {}  # the ledger's entries, by job and number of the request
        self.positions = None if folder is None else NumberFile(folder)
        self.hashes = None if folder is None else NumberFile(folder)
        self._pending: dict[str, tuple[int, int]] = {}  # first member and count of jobs whose "cut" has not come yet
        self.count = 0

    def take(self, job_id: str, note: dict[str, Any]) -> None:
        """Read one note. Raises KeyError, TypeError, ValueError for a damaged one."""
        if "members" in note:
            self._take_members(job_id, note["members"])
            return
        if "charges" in note:
            self.charges.setdefault(job_id, {}).update((int(number), int(entry)) for number, entry in note["charges"])
            return
        job = self.jobs.get(job_id)
        if job is None:
            first, count = self._pending.pop(job_id, (0, 0))
            job = Job(job_id, str(note["provider"]), str(note["model"]), first=first)
            if count != note["requests"] and self.positions is not None:
                raise ValueError("members of the job are missing")
            self.jobs[job_id] = job
        job.read(note)

    def _take_members(self, job_id: str, members: list[list[int]]) -> None:
        first, count = self._pending.setdefault(job_id, (self.count, 0))
        if first + count != self.count:
            raise ValueError("members of two jobs are mixed")
        for position, digest in members if self.positions is not None and self.hashes is not None else ():
            self.positions.put(self.count, int(position))  # type: ignore[union-attr]
            self.hashes.put(self.count, int(digest))  # type: ignore[union-attr]
            self.count += 1
        self._pending[job_id] = first, self.count - first

    def members(self, job: Job) -> Iterator[tuple[int, int, int]]:
        """The number, the position and the line's hash of each request of a job."""
        if self.positions is not None and self.hashes is not None:
            for number in range(job.requests):
                yield number, self.positions.at(job.first + number), self.hashes.at(job.first + number)

    def close(self) -> None:
        """Close the files; the system then deletes them."""
        for file in (self.positions, self.hashes):
            if file is not None:
                file.close()


def jobs_of(path: str) -> list[Job]:
    """The jobs of the journal at a path, without their lines. Raises OSError."""
    import json

    notes = JobNotes(None)
    for _, line in lines_of(path):
        for piece in (line,) if line.startswith(b'{"job": "') else pieces_of(line)[1:]:
            if piece.startswith(b'{"job": "'):
                try:
                    (_, job_id), *more = json.loads(piece).items()
                    notes.take(job_id, dict(more))
                except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                    continue
    return list(notes.jobs.values())
