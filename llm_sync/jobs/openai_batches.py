"""OpenAI's Batch API, and those that are like it: Azure's and Groq's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar
from urllib.parse import urlsplit

from llm_sync.jobs.door import member, required
from llm_sync.jobs.wire import CANCELLED, EXPIRED, FAILED, BatchWire, Failure, Limits, RemoteJob, Row, count, joined, text

if TYPE_CHECKING:
    from llm_sync.jobs.job import Job
    from llm_sync.models import PreparedRequest

TAG = "llm_sync_job"
_ENDS = {"completed": "", "failed": FAILED, "expired": EXPIRED, "cancelled": CANCELLED}
_NOT_RUN = {"batch_expired": EXPIRED, "batch_cancelled": CANCELLED}
_FULL = ("token_limit_exceeded", "enqueued")
_KEEP_S = 30 * 86400
_PAGE = 100
_CHECK_S, _MAX_CHECKS = 2.0, 150  # of a file that was uploaded to Azure


class OpenAIBatches(BatchWire):
    """OpenAI: chat completions and Responses, one model in a job. One bad line fails the whole job; then nothing was run."""

    limits: ClassVar[Limits] = Limits(50_000, 200_000_000)
    endpoints: ClassVar[tuple[str, ...]] = ("/v1/chat/completions", "/v1/responses")
    tiers: ClassVar[tuple[str, ...]] = ("auto", "default")
    upload_fields: ClassVar[Mapping[str, str]] = {
        "expires_after[anchor]": "created_at",
        "expires_after[seconds]": str(_KEEP_S),
    }

    def refusal(self, body: Mapping[str, Any], prepared: PreparedRequest) -> str | None:
        """See BatchWire."""
        tier = body.get("service_tier")
        if tier is not None and tier not in self.tiers:
            return f"its Batch API does not take service_tier {tier!r}"
        if self.group(prepared) not in self.endpoints:
            return f"its Batch API does not serve {self.group(prepared)}"
        return super().refusal(body, prepared)

    def group(self, prepared: PreparedRequest) -> str:
        """The endpoint."""
        path = urlsplit(prepared.url).path
        return "/v1/responses" if path.endswith("/responses") else "/v1/chat/completions"

    def line(self, custom_id: str, prepared: PreparedRequest) -> bytes:
        """See BatchWire."""
        return joined({"custom_id": custom_id, "method": "POST", "url": self.group(prepared)}, "body", prepared.body)

    def upload(self, job: Job, file: BinaryIO) -> str:
        """See BatchWire."""
        fields = {"purpose": "batch", **self.upload_fields}
        return required(self.door.upload("/files", fields, f"{job.id}.jsonl", file), "id")

    def create(self, job: Job, file: BinaryIO) -> RemoteJob:  # noqa: ARG002
        """See BatchWire."""
        value = {
            "input_file_id": job.file,
            "endpoint": job.group,
            "completion_window": "24h",
            "metadata": {TAG: job.id},
        }
        return self._remote(self.door.call("POST", "/batches", value=value, fresh=True))

    def look(self, job_id: str) -> RemoteJob:
        """See BatchWire."""
        value, wait = self.door.look(f"/batches/{job_id}")
        return self._remote({"id": job_id, **(value if isinstance(value, dict) else {})})._replace(retry_after=wait)

    def jobs(self, job: Job | None, *, newest: bool = False) -> Iterator[RemoteJob]:  # noqa: ARG002
        """See BatchWire. The list has no filter."""
        after: dict[str, str] = {}
        while True:
            page = self.door.call("GET", "/batches", query={"limit": "1" if newest else str(_PAGE), **after})
            batches = member(page, "data") or []
            yield from map(self._remote, batches)
            last = text(member(batches[-1], "id")) if batches else None
            if newest or last is None or not member(page, "has_more"):
                return
            after = {"after": last}

    def fetch(self, remote: RemoteJob, into: BinaryIO) -> None:
        """See BatchWire."""
        for file in remote.files:
            self.door.download(self.door.url(f"/files/{file}/content"), into)

    def row(self, line: bytes) -> Row | None:
        """See BatchWire."""
        value = json.loads(line)
        custom_id = text(member(value, "custom_id"))
        if custom_id is None:
            return None
        status, body = member(value, "response", "status_code"), member(value, "response", "body")
        if isinstance(status, int):
            return Row(custom_id, status, _parsed(body), request_id=text(member(value, "response", "request_id")))
        error = member(value, "error") or {}
        end = _NOT_RUN.get(str(member(error, "code")), "")
        return Row(custom_id, 500, {"error": error}, end)

    def cancel(self, job_id: str) -> None:
        """See BatchWire."""
        self.door.call("POST", f"/batches/{job_id}/cancel")

    def _remote(self, value: Any) -> RemoteJob:
        word = str(member(value, "status") or "")
        known = word.lower()
        files = [text(member(value, name)) for name in ("output_file_id", "error_file_id")]
        there = tuple(file for file in files if file)
        source = text(member(value, "input_file_id"))
        return RemoteJob(
            required(value, "id"),
            word,
            known in _ENDS,
            _ENDS.get(known, ""),
            there,
            (*there, *([source] if source else [])),
            _failure(value) if known == "failed" else None,
            text(member(value, "metadata", TAG)),
            source,
            count(member(value, "request_counts", "completed")) + count(member(value, "request_counts", "failed")),
            count(member(value, "request_counts", "total")),
        )


class GroqBatches(OpenAIBatches):
    """Groq: chat completions only; bad lines fail alone."""

    limits: ClassVar[Limits] = Limits(50_000, 100_000_000)
    endpoints: ClassVar[tuple[str, ...]] = ("/v1/chat/completions",)
    tiers: ClassVar[tuple[str, ...]] = ("auto", "on_demand")
    upload_fields: ClassVar[Mapping[str, str]] = {}


class AzureBatches(OpenAIBatches):
    """Azure OpenAI: the model is a deployment, files are checked before they can be used, and without a date they stay."""

    limits: ClassVar[Limits] = Limits(100_000, 200_000_000)

    def upload(self, job: Job, file: BinaryIO) -> str:
        """See BatchWire. A job of a file that is still being checked fails."""
        name = super().upload(job, file)
        for _ in range(_MAX_CHECKS):
            state = str(member(self.door.call("GET", f"/files/{name}"), "status") or "processed").lower()
            if state not in ("pending", "running", "uploaded") or self.door.control.wait(_CHECK_S):
                break
        return name

    def line(self, custom_id: str, prepared: PreparedRequest) -> bytes:
        """See BatchWire. The classic address has the deployment in its path, not in the payload."""
        body = json.loads(prepared.body)
        payload = json.dumps({"model": prepared.model, **body}, ensure_ascii=False).encode("utf-8", "backslashreplace")
        return joined({"custom_id": custom_id, "method": "POST", "url": self.group(prepared)}, "body", payload)


def _failure(value: Any) -> Failure:
    """The first of the errors of a failed job."""
    errors = member(value, "errors", "data")
    first = errors[0] if isinstance(errors, list) and errors else {}
    code, message = str(member(first, "code") or ""), str(member(first, "message") or "the provider gives no reason")
    line = member(first, "line")
    full = any(word in f"{code} {message}".lower() for word in _FULL)
    return Failure(code, message, line if isinstance(line, int) and line > 0 else None, full)


def _parsed(body: Any) -> Any:
    """A body that is JSON within JSON as what it is."""
    if not isinstance(body, str):
        return body
    try:
        return json.loads(body)
    except ValueError:
        return body
