"""The batches of the Gemini Developer API: a file is uploaded in two steps, and a job is a long-running operation."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar
from urllib.parse import urlsplit, urlunsplit

from llm_sync.errors import ResponseValidationError
from llm_sync.jobs.door import member, required
from llm_sync.jobs.wire import CANCELLED, EXPIRED, FAILED, BatchWire, Failure, Limits, RemoteJob, Row, count, joined, text

if TYPE_CHECKING:
    from llm_sync.jobs.job import Job
    from llm_sync.models import PreparedRequest

_ENDS = {"SUCCEEDED": "", "FAILED": FAILED, "CANCELLED": CANCELLED, "EXPIRED": EXPIRED}
_CODES = {1: 499, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 13: 500, 14: 503, 16: 401}  # of gRPC, as HTTP has them
_FULL = 8
_USUAL_TIERS = (None, "standard", "SERVICE_TIER_STANDARD", "unspecified")


class GeminiBatches(BatchWire):
    """One bad line refuses the create. After 48 hours a job expires, and has no results at all."""

    limits: ClassVar[Limits] = Limits(50_000, 2_000_000_000)
    create_checks_lines: ClassVar[bool] = True

    def refusal(self, body: Mapping[str, Any], prepared: PreparedRequest) -> str | None:
        """See BatchWire."""
        tier = body.get("serviceTier", body.get("service_tier"))
        if tier not in _USUAL_TIERS:
            return f"its Batch API does not take service_tier {tier!r}"
        return super().refusal(body, prepared)

    def line(self, custom_id: str, prepared: PreparedRequest) -> bytes:
        """See BatchWire."""
        return joined({"key": custom_id}, "request", prepared.body)

    def upload(self, job: Job, file: BinaryIO) -> str:
        """See BatchWire. The first answer says where the bytes go; to no other host than the API's own."""
        start = self.door.url_beside("/upload", "/files")
        size = file.seek(0, os.SEEK_END)
        headers = {
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(size),
            "X-Goog-Upload-Header-Content-Type": "application/jsonl",
        }
        body = json.dumps({"file": {"displayName": job.id}}).encode("ascii")
        reply = self.door.exchange("POST", start, body=body, headers=headers)
        if reply.status >= 300:
            self.door.read(reply)
        target = same_host(reply.headers.get("x-goog-upload-url") or "", start)
        command = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"}
        value = self.door.read(self.door.exchange("POST", target, body=(b"", file), headers=command))
        return required(member(value, "file"), "name")

    def create(self, job: Job, file: BinaryIO) -> RemoteJob:  # noqa: ARG002
        """See BatchWire."""
        value = {"batch": {"displayName": job.id, "inputConfig": {"fileName": job.file}}}
        return _remote(self.door.call("POST", f"/models/{job.model}:batchGenerateContent", value=value, fresh=True))

    def look(self, job_id: str) -> RemoteJob:
        """See BatchWire."""
        value, wait = self.door.look(f"/{job_id}")
        return _remote(value)._replace(retry_after=wait)

    def jobs(self, job: Job | None, *, newest: bool = False) -> Iterator[RemoteJob]:  # noqa: ARG002
        """See BatchWire. The list has no filter."""
        token: dict[str, str] = {}
        while True:
            page = self.door.call("GET", "/batches", query={"pageSize": "1" if newest else "100", **token})
            yield from map(_remote, member(page, "operations") or member(page, "batches") or [])
            following = text(member(page, "nextPageToken"))
            if newest or following is None:
                return
            token = {"pageToken": following}

    def fetch(self, remote: RemoteJob, into: BinaryIO) -> None:
        """See BatchWire. A small job may have its rows in the answer about it."""
        for file in remote.files:
            if file == remote.id:
                for item in _inlined(self.door.call("GET", f"/{remote.id}")):
                    into.write(json.dumps(item, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
                continue
            url = urlsplit(self.door.url_beside("/download", f"/{file}:download"))
            query = f"{url.query}&alt=media" if url.query else "alt=media"
            self.door.download(urlunsplit(url._replace(query=query)), into)

    def row(self, line: bytes) -> Row | None:
        """See BatchWire."""
        value = json.loads(line)
        custom_id = text(member(value, "key")) or text(member(value, "metadata", "key"))
        if custom_id is None:
            return None
        error = member(value, "error")
        if isinstance(error, dict):
            code = member(error, "code")
            status = code if isinstance(code, int) and code >= 300 else _CODES.get(count(code), 500)
            return Row(custom_id, status, {"error": error})
        return Row(custom_id, 200, member(value, "response"))

    def cancel(self, job_id: str) -> None:
        """See BatchWire."""
        self.door.call("POST", f"/{job_id}:cancel", value={})

    def delete(self, thing: str) -> None:
        """See BatchWire: a job, with its results, or the file that it was made of."""
        self.door.call("DELETE", f"/{thing}")


def same_host(url: str, start: str) -> str:
    """A URL that an answer names, if it leads to the same host: the key goes there, too. Raises ResponseValidationError."""
    if urlsplit(url)[:2] != urlsplit(start)[:2]:
        raise ResponseValidationError("the answer to an upload names another host for the file")
    return url


def _inlined(value: Any) -> list[Any]:
    for place in (member(value, "response"), member(value, "metadata", "output")):
        found = member(place, "inlinedResponses", "inlinedResponses")
        if isinstance(found, list):
            return found
    return []


def _remote(value: Any) -> RemoteJob:
    about = member(value, "metadata") or {}
    word = str(member(about, "state") or "")
    name = required(value, "name")
    end = _ENDS.get(word.removeprefix("BATCH_STATE_").removeprefix("JOB_STATE_"))
    ended = end is not None or member(value, "done") is True
    error = member(value, "error")
    if isinstance(error, dict):
        end = CANCELLED if end == CANCELLED else end or FAILED
    file = text(member(value, "response", "responsesFile")) or text(member(about, "output", "responsesFile"))
    files = (file,) if file else (name,) if _inlined(value) else ()
    source, stats = text(member(about, "inputConfig", "fileName")), member(about, "batchStats") or {}
    total = count(member(stats, "requestCount"))
    return RemoteJob(
        name,
        word,
        ended,
        end or "",
        files,
        (name, *([source] if source else [])),
        _failure(error) if end == FAILED else None,
        text(member(about, "displayName")),
        source,
        max(0, total - count(member(stats, "pendingRequestCount"))) if total else 0,
        total,
    )


def _failure(error: Any) -> Failure:
    code = count(member(error, "code"))
    return Failure(str(code), str(member(error, "message") or "the provider gives no reason"), full=code == _FULL)
