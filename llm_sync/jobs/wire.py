"""What differs between the Batch APIs of providers: data, and the calls to make. Each provider has a file beside this one."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import Self

    from llm_sync.jobs.door import JobDoor
    from llm_sync.jobs.job import Job
    from llm_sync.models import PreparedRequest

EXPIRED, CANCELLED, FAILED = "expired", "cancelled", "failed"
"""How a job can end beside completely, in our own words."""


class Limits(NamedTuple):
    """The most that one job may have: requests, bytes of its file, and bytes of one line (None: no limit of its own)."""

    requests: int
    bytes: int
    line_bytes: int | None = None


class Failure(NamedTuple):
    """Why a provider refused a whole job after it was made. ``line``: the number of the line at fault, from 1, if it says so.
    ``full``: too much is waiting at the provider, so that the same lines may be sent later."""

    code: str
    message: str
    line: int | None = None
    full: bool = False


class RemoteJob(NamedTuple):
    """A job as its provider shows it. ``word``: the provider's own word for its state. ``ended``: nothing more comes.

    ``end``: EXPIRED, CANCELLED or FAILED where it did not end completely. ``files``: where its rows are. ``left``: what it leaves
    behind. ``tag``: our id for it, where the API keeps one. ``input_file``: the file that it was made of. ``done`` of ``total``
    requests are for progress only: providers miscount. ``retry_after``: seconds to wait before the next look, if it says so.
    """

    id: str
    word: str
    ended: bool
    end: str = ""
    files: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    failure: Failure | None = None
    tag: str | None = None
    input_file: str | None = None
    done: int = 0
    total: int = 0
    retry_after: float | None = None


class Row(NamedTuple):
    """The result of one request. ``status`` and ``body``: of the answer, or of its error. ``end``: EXPIRED or CANCELLED for a
    request that was not worked on. ``request_id``: the provider's id of the request, where the row has it beside the body."""

    custom_id: str
    status: int = 200
    body: Any = None
    end: str = ""
    request_id: str | None = None


class BatchWire(ABC):
    """The Batch API of one provider. The calls block; any thread may make them, one at a time.

    ``has_tag``: whether a job keeps our id, so that it can be found again for sure. ``opening``, ``between`` and ``closing``:
    what stands around the lines of a job's file. ``upload_checks_lines``, ``create_checks_lines``: whether these calls refuse a
    job for a bad line.
    """

    limits: ClassVar[Limits]
    has_tag: ClassVar[bool] = True
    upload_checks_lines: ClassVar[bool] = False
    create_checks_lines: ClassVar[bool] = False
    opening: ClassVar[bytes] = b""
    between: ClassVar[bytes] = b"\n"
    closing: ClassVar[bytes] = b"\n"

    def __init__(self, door: JobDoor) -> None:
        self.door = door

    @classmethod
    def without_door(cls) -> Self:
        """One that makes no calls, and is only asked about lines."""
        nowhere: Any = None
        return cls(nowhere)

    # Lines -------------------------------------------------------------------------------------------------------------

    def refusal(self, body: Mapping[str, Any], prepared: PreparedRequest) -> str | None:  # noqa: ARG002
        """Why the API does not take a request with this payload; None if it does."""
        asked = next((name for name in ("stream", "background") if body.get(name)), None)
        return None if asked is None else f"its Batch API does not take {asked}"

    def group(self, prepared: PreparedRequest) -> str:  # noqa: ARG002
        """What the requests of one job must have in common, beside the model."""
        return ""

    @abstractmethod
    def line(self, custom_id: str, prepared: PreparedRequest) -> bytes:
        """A request as a line of a job's file, without the line end."""

    # Jobs --------------------------------------------------------------------------------------------------------------

    @abstractmethod
    def upload(self, job: Job, file: BinaryIO) -> str:
        """Upload a job's file, and return its id; "" where the create itself has the lines."""

    @abstractmethod
    def create(self, job: Job, file: BinaryIO) -> RemoteJob:
        """Make the job. Never made twice for one intent: see provider_jobs.py."""

    @abstractmethod
    def look(self, job_id: str) -> RemoteJob:
        """The job as it is now."""

    @abstractmethod
    def jobs(self, job: Job | None, *, newest: bool = False) -> Iterator[RemoteJob]:
        """The jobs that there are, the newest first; where the API can filter, those with the tag of ``job``. ``newest``: only
        the first is wanted."""

    @abstractmethod
    def fetch(self, remote: RemoteJob, into: BinaryIO) -> None:
        """Write all rows of an ended job, a line each."""

    @abstractmethod
    def row(self, line: bytes) -> Row | None:
        """The row in a line; None for a line that is none. Raises ValueError for one that cannot be read."""

    @abstractmethod
    def cancel(self, job_id: str) -> None:
        """Ask for a job to be cancelled. It ends some time later, and what was answered until then is billed."""

    def delete(self, thing: str) -> None:
        """Delete a file, or another thing of ``RemoteJob.left``."""
        self.door.call("DELETE", f"/files/{thing}")


def joined(opening: Mapping[str, Any], name: str, body: bytes) -> bytes:
    """An object as JSON on one line, with ``body``, which is JSON already, as its last member ``name``."""
    start = json.dumps(opening, ensure_ascii=True)[:-1].encode("ascii")
    return b"%s, %s: %s}" % (start, json.dumps(name).encode("ascii"), body)


def count(value: Any) -> int:
    """A count, which some APIs give as a text; 0 for anything else."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


def text(value: Any) -> str | None:
    """A text; None for anything else, and for an empty one."""
    return value if isinstance(value, str) and value else None
