"""What jobs need of the batch that they belong to: its journal, its lines, and its settings for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

from llm_sync.errors import LLMConnectorError
from llm_sync.models import ModelResponse, PreparedRequest

if TYPE_CHECKING:
    from llm_sync.jobs.job import Job
    from llm_sync.jobs.wire import BatchWire


class JobLog(Protocol):
    """The journal."""

    def note(self, entry: dict[str, Any]) -> None:
        """Append a note. Raises OSError."""

    def sync(self, *, now: bool = False) -> None:
        """Flush to the disk. Raises OSError."""


class JobLines(Protocol):
    """The lines of one provider that go by jobs. Used by the thread that runs the batch."""

    def cut(self, job: Job, wire: BatchWire, file: BinaryIO, most: Callable[[str], int]) -> Iterator[None]:
        """Write the next lines of one model into the file of a new job, and note them; in slices of time. ``most``: how many
        requests a job of a model may have.

        ``job.requests`` is 0 if there was none, then nothing was noted.
        """

    @property
    def left(self) -> bool:
        """Whether there may be lines to cut."""

    def free(self, job: Job) -> None:
        """The lines of this job that have no outcome may be cut again."""

    def prepared(self, job: Job, number: int) -> PreparedRequest | None:
        """One of the job's requests as it was sent; None if its line has an outcome."""

    def record(self, job: Job, number: int, outcome: ModelResponse | LLMConnectorError) -> None:
        """Write the outcome of one of the job's requests to the journal."""

    def stop(self, reason: str, error: LLMConnectorError) -> None:
        """The provider gets no more requests in this run, for this reason."""


class JobSettings(NamedTuple):
    """``run``: begins the ids of new jobs. ``poll_every``: seconds between two looks at a job. ``wait``: until all is collected.
    ``rebuy``: lines of lost jobs may be sent again. ``keep_files``: delete nothing at the provider. ``spool``: opens an unnamed
    temporary file."""

    run: str
    poll_every: float
    wait: bool
    rebuy: bool
    keep_files: bool
    spool: Callable[[], AbstractContextManager[BinaryIO]]
