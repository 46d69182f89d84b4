"""Mistral's batch jobs: found again by their metadata; what they leave behind never expires."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from llm_sync.jobs.door import member, required
from llm_sync.jobs.wire import CANCELLED, EXPIRED, FAILED, BatchWire, Failure, Limits, RemoteJob, Row, count, joined, text

if TYPE_CHECKING:
    from llm_sync.jobs.job import Job
    from llm_sync.models import PreparedRequest

TAG = "llmsync_job"  # a query field of its own when jobs are listed, so it must be none of the API's
_PATH = "/batch/jobs"
_ENDS = {"SUCCESS": "", "FAILED": FAILED, "TIMEOUT_EXCEEDED": EXPIRED, "CANCELLED": CANCELLED}
_PAGE = 100
_JOB = "job:"


class MistralBatches(BatchWire):
    """The model is the job's. Two requests of one id would both be worked on, so ids are checked here only."""

    limits: ClassVar[Limits] = Limits(1_000_000, 500_000_000)
    upload_checks_lines: ClassVar[bool] = True
    create_checks_lines: ClassVar[bool] = True  # the model

    def group(self, prepared: PreparedRequest) -> str:  # noqa: ARG002
        """The endpoint."""
        return "/v1/chat/completions"

    def line(self, custom_id: str, prepared: PreparedRequest) -> bytes:
        """See BatchWire."""
        return joined({"custom_id": custom_id}, "body", prepared.body)

    def upload(self, job: Job, file: BinaryIO) -> str:
        """See BatchWire."""
        return required(self.door.upload("/files", {"purpose": "batch"}, f"{job.id}.jsonl", file), "id")

    def create(self, job: Job, file: BinaryIO) -> RemoteJob:  # noqa: ARG002
        """See BatchWire."""
        value = {"input_files": [job.file], "endpoint": job.group, "model": job.model, "metadata": {TAG: job.id}}
        return _remote(self.door.call("POST", _PATH, value=value, fresh=True))

    def look(self, job_id: str) -> RemoteJob:
        """See BatchWire."""
        value, wait = self.door.look(f"{_PATH}/{job_id}")
        return _remote(value)._replace(retry_after=wait)

    def jobs(self, job: Job | None, *, newest: bool = False) -> Iterator[RemoteJob]:
        """See BatchWire. Should the filter be ignored, the tags tell the jobs apart all the same."""
        wanted = {} if job is None else {TAG: job.id}
        number = 0
        while True:
            size = 1 if newest else _PAGE
            page = self.door.call("GET", _PATH, query={"page": str(number), "page_size": str(size), **wanted})
            found = member(page, "data") or []
            yield from map(_remote, found)
            number += 1
            if newest or len(found) < size or number * size >= (count(member(page, "total")) or number * size + 1):
                return

    def fetch(self, remote: RemoteJob, into: BinaryIO) -> None:
        """See BatchWire."""
        for file in remote.files:
            self.door.download(self.door.url(f"/files/{file}/content"), into)

    def row(self, line: bytes) -> Row | None:
        """See BatchWire. The error of a failed row is JSON in a text."""
        value = json.loads(line)
        custom_id = text(member(value, "custom_id"))
        if custom_id is None:
            return None
        status, body = member(value, "response", "status_code"), member(value, "response", "body")
        if isinstance(body, str):
            try:
                body = json.loads(body)
            except ValueError:
                body = {"message": body}
        if isinstance(status, int):
            return Row(custom_id, status, body)
        return Row(custom_id, 500, {"error": member(value, "error")})

    def cancel(self, job_id: str) -> None:
        """See BatchWire."""
        self.door.call("POST", f"{_PATH}/{job_id}/cancel")

    def delete(self, thing: str) -> None:
        """See BatchWire: a file, or the job itself."""
        path = f"{_PATH}/{thing.removeprefix(_JOB)}" if thing.startswith(_JOB) else f"/files/{thing}"
        self.door.call("DELETE", path)


def _remote(value: Any) -> RemoteJob:
    word = str(member(value, "status") or "")
    job_id = required(value, "id")
    files = tuple(file for name in ("output_file", "error_file") if (file := text(member(value, name))))
    listed = member(value, "input_files")
    sources = tuple(file for file in listed if isinstance(file, str)) if isinstance(listed, list) else ()
    end = _ENDS.get(word)
    return RemoteJob(
        job_id,
        word,
        end is not None,
        end or "",
        files,
        (*files, *sources, f"{_JOB}{job_id}"),
        _failure(value) if end == FAILED else None,
        text(member(value, "metadata", TAG)),
        sources[0] if sources else None,
        count(member(value, "completed_requests")),
        count(member(value, "total_requests")),
    )


def _failure(value: Any) -> Failure:
    errors = member(value, "errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    return Failure("", str(member(first, "message") or "the provider gives no reason"))
