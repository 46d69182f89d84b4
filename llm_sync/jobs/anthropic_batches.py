"""Anthropic's Message Batches: one request makes the job, with all lines in it. The only names are the ids of the lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from llm_sync.jobs.door import member, required
from llm_sync.jobs.wire import CANCELLED, EXPIRED, BatchWire, Limits, RemoteJob, Row, count, joined, text

if TYPE_CHECKING:
    from llm_sync.jobs.job import Job
    from llm_sync.models import PreparedRequest

_PATH = "/v1/messages/batches"
_PAGE = 1000
_COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")
_ENDS = {"canceled": CANCELLED, "expired": EXPIRED}
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class AnthropicBatches(BatchWire):
    """Parameters are checked line by line, when the job runs. A job that was made is found by what there was before it."""

    limits: ClassVar[Limits] = Limits(100_000, 250_000_000)
    has_tag: ClassVar[bool] = False
    opening: ClassVar[bytes] = b'{"requests": ['
    between: ClassVar[bytes] = b",\n"
    closing: ClassVar[bytes] = b"]}"

    def line(self, custom_id: str, prepared: PreparedRequest) -> bytes:
        """See BatchWire."""
        return joined({"custom_id": custom_id}, "params", prepared.body)

    def upload(self, job: Job, file: BinaryIO) -> str:  # noqa: ARG002
        """See BatchWire."""
        return ""

    def create(self, job: Job, file: BinaryIO) -> RemoteJob:  # noqa: ARG002
        """See BatchWire."""
        reply = self.door.exchange("POST", self.door.url(_PATH), body=(b"", file), fresh=True)
        return _remote(self.door.read(reply))

    def look(self, job_id: str) -> RemoteJob:
        """See BatchWire."""
        value, wait = self.door.look(f"{_PATH}/{job_id}")
        return _remote(value)._replace(retry_after=wait)

    def jobs(self, job: Job | None, *, newest: bool = False) -> Iterator[RemoteJob]:  # noqa: ARG002
        """See BatchWire."""
        after: dict[str, str] = {}
        while True:
            page = self.door.call("GET", _PATH, query={"limit": "1" if newest else str(_PAGE), **after})
            yield from map(_remote, member(page, "data") or [])
            last = text(member(page, "last_id"))
            if newest or last is None or not member(page, "has_more"):
                return
            after = {"after_id": last}

    def fetch(self, remote: RemoteJob, into: BinaryIO) -> None:
        """See BatchWire."""
        self.door.download(self.door.url(f"{_PATH}/{remote.id}/results"), into)

    def row(self, line: bytes) -> Row | None:
        """See BatchWire."""
        value = json.loads(line)
        custom_id, kind = text(member(value, "custom_id")), text(member(value, "result", "type"))
        if custom_id is None:
            return None
        if kind == "succeeded":
            return Row(custom_id, 200, member(value, "result", "message"))
        if kind in _ENDS:
            return Row(custom_id, 200, None, _ENDS[kind])
        error = member(value, "result", "error")  # an error object that holds an error object
        if not isinstance(member(error, "error"), dict):
            error = {"type": "error", "error": error}
        return Row(custom_id, _STATUS.get(str(member(error, "error", "type")), 500), error)

    def cancel(self, job_id: str) -> None:
        """See BatchWire."""
        self.door.call("POST", f"{_PATH}/{job_id}/cancel")

    def delete(self, thing: str) -> None:
        """See BatchWire: the job itself, with its results."""
        self.door.call("DELETE", f"{_PATH}/{thing}")


def _remote(value: Any) -> RemoteJob:
    word = str(member(value, "processing_status") or "")
    counts = {name: count(member(value, "request_counts", name)) for name in _COUNTS}
    total = sum(counts.values())
    job_id, ended = required(value, "id"), word == "ended"
    return RemoteJob(
        job_id,
        word,
        ended,
        files=(job_id,) if ended else (),
        left=(job_id,),
        done=total - counts["processing"],
        total=total,
    )
