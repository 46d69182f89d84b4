"""Mistral's batch jobs: made of files or of inline requests, found by their metadata."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from llm_sync.simulator.dialects.base import Call, Dialect, line_call, owner_of, read_json, run_line
from llm_sync.simulator.dialects.openai.checks import Refuse
from llm_sync.simulator.jobs.files import StoredFile
from llm_sync.simulator.jobs.job import ENDED, Invalid, Job, Row
from llm_sync.simulator.jobs.store import JobStore

PATH = "/batch/jobs"
_CALLS = {
    "POST files": "upload",
    "GET files": "list",
    "GET files/*": "poll",
    "GET files/*/content": "results",
    "DELETE files/*": "delete",
    "POST batch/jobs": "create",
    "GET batch/jobs": "list",
    "GET batch/jobs/*": "poll",
    "DELETE batch/jobs/*": "delete",
    "POST batch/jobs/*/cancel": "cancel",
}
_KEYS = ("input_files", "requests", "endpoint", "model", "agent_id", "metadata", "timeout_hours")
_ENDPOINTS = tuple(f"/v1/{name}" for name in ("chat/completions", "embeddings", "fim/completions", "moderations", "ocr"))
_FILTERS = ("page", "page_size", "model", "agent_id", "created_after", "created_by_me", "status", "order_by", "inline")
_STATES = {
    "validating": "QUEUED",
    "completed": "SUCCESS",
    "failed": "FAILED",
    "expired": "TIMEOUT_EXCEEDED",
    "cancelling": "CANCELLATION_REQUESTED",
    "cancelled": "CANCELLED",
}
_MAX_INLINE = 10_000


def job_call(method: str, path: str) -> str:
    """What a call under /files or /batch/jobs asks for; "" for any other call."""
    place = re.sub(r"^/(files|batch/jobs)/[^/]+", r"/\1/*", path)
    return _CALLS.get(f"{method} {place[1:]}", "")


def reply(call: Call, dialect: Dialect, jobs: JobStore, refuse: Refuse) -> Mapping[str, Any]:
    """The body of the answer to a call under ``/batch/jobs``."""
    owner = owner_of(call, dialect)
    if call.job_call == "create":
        return shown(_create(call, dialect, owner, jobs, refuse), jobs, rows=False)
    if call.job_call == "list":
        return _page(call, [shown(job, jobs, rows=False) for job in jobs.listed(owner)], refuse)
    identifier = call.path[len(PATH) + 1 :].removesuffix("/cancel")
    job = jobs.get(identifier, owner)
    if job is None:
        refuse(f"Batch job {identifier} not found", status=404)
    if call.job_call == "delete":
        jobs.delete(job)
        return {"id": identifier, "object": "batch", "deleted": True}
    if call.job_call == "cancel":
        job.cancel(jobs.clock.now())
    else:
        job.polls += 1
    return shown(job, jobs, rows=call.query.get("inline", "").lower() == "true")


def check_lines(lines: Iterable[bytes], refuse: Refuse) -> None:
    """Refuses an input with a line that is no request. Ids may be missing or there twice."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            document: Any = read_json(line)
        except (ValueError, RecursionError):
            refuse(f"Invalid JSON on line {number}", param="file", code="json_invalid")
        if not isinstance(document, dict) or not isinstance(document.get("body"), dict):
            refuse(f"Line {number} has no body", param="file", code="missing")


def _create(call: Call, dialect: Dialect, owner: tuple[str, str], jobs: JobStore, refuse: Refuse) -> Job:
    payload = call.payload
    for key in payload:
        if key not in _KEYS:
            refuse("Extra inputs are not permitted", param=key, code="extra_forbidden")
    if payload.get("endpoint") not in _ENDPOINTS:
        refuse(f"Input should be one of {', '.join(_ENDPOINTS)}", param="endpoint", code="enum")
    hours, metadata = payload.get("timeout_hours", 24), payload.get("metadata")
    if not isinstance(hours, int) or not 1 <= hours <= 168:
        refuse("Input should be from 1 to 168", param="timeout_hours")
    if metadata is not None and not (isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())):
        refuse("Input should be a valid dictionary of strings", param="metadata", code="dict_type")
    if (payload.get("input_files") is None) == (payload.get("requests") is None):
        refuse("Exactly one of input_files and requests must be given", param="input_files")
    source = _inline(payload, owner, jobs, refuse) if payload.get("requests") is not None else _file(payload, owner, jobs, refuse)
    facts = {"payload": payload, "file": source.id, "metadata": metadata}
    wire = MistralLines(dialect, call.without_content())
    model = payload.get("model") or ""
    return jobs.create(str(uuid.uuid4()), owner, source, wire, call.plan, model=model, window=hours * 3600.0, facts=facts)


def _file(payload: Mapping[str, Any], owner: tuple[str, str], jobs: JobStore, refuse: Refuse) -> StoredFile:
    names = payload["input_files"]
    if not isinstance(names, list) or len(names) != 1:
        refuse("Input should be a list of one file id", param="input_files", code="list_type")
    try:
        uuid.UUID(str(names[0]))
    except ValueError:
        refuse("Input should be a valid UUID", param="input_files", code="uuid_parsing")
    file = jobs.files.get(str(names[0]), owner, jobs.clock.now())
    if file is None:
        refuse(f"File {names[0]} not found", status=404)
    return file


def _inline(payload: Mapping[str, Any], owner: tuple[str, str], jobs: JobStore, refuse: Refuse) -> StoredFile:
    """The file that the server makes of inline requests; it stays until it is deleted."""
    requests = payload["requests"]
    if not isinstance(requests, list) or not 1 <= len(requests) < _MAX_INLINE:
        refuse(f"List should have 1 to {_MAX_INLINE - 1} items", param="requests", code="list_type")
    lines = [json.dumps(request).encode() for request in requests]
    check_lines(lines, refuse)
    path, now = jobs.files.new_path(), jobs.clock.now()
    path.write_bytes(b"\n".join(lines) + b"\n")
    return jobs.files.add(StoredFile(str(uuid.uuid4()), owner, "inline.jsonl", "batch", path, path.stat().st_size, now))


def _publish(job: Job, jobs: JobStore) -> tuple[str | None, str | None]:
    """The ids of the result files; a file without rows gets none."""
    if job.ended is None:
        return None, None
    if "files" not in job.facts:
        expires = None if job.plan.kept is None else job.ended + job.plan.kept
        names: list[str | None] = []
        for output in job.outputs:
            size = output.path.stat().st_size if output.rows else 0
            file = StoredFile(str(uuid.uuid4()), job.owner, "rows.jsonl", "batch", output.path, size, job.ended, expires)
            names.append(jobs.files.add(file).id if output.rows else None)
        job.facts["files"] = tuple(names)
    first, second = job.facts["files"]
    return first, second


def shown(job: Job, jobs: JobStore, *, rows: bool) -> Mapping[str, Any]:
    """A job as Mistral describes it; ``rows``: with its outputs."""
    payload, counts = job.facts["payload"], job.shown_counts()
    output, errors = _publish(job, jobs)
    outputs = None
    if rows and job.phase in ENDED:
        outputs = [json.loads(row) for each in job.outputs if each.rows for row in each.path.read_bytes().split(b"\n") if row]
    return {
        "id": job.id,
        "object": "batch",
        "input_files": [job.facts["file"]],
        "metadata": job.facts["metadata"],
        "endpoint": payload["endpoint"],
        "model": payload.get("model"),
        "agent_id": payload.get("agent_id"),
        "output_file": output,
        "error_file": errors,
        "errors": [{"message": job.invalid.message, "count": 1}] if job.invalid else [],
        "outputs": outputs,
        "status": _STATES.get(job.phase, "RUNNING"),
        "created_at": int(job.created),
        "total_requests": counts["total"],
        "completed_requests": counts["succeeded"] + counts["failed"],
        "succeeded_requests": counts["succeeded"],
        "failed_requests": counts["failed"],
        "started_at": int(job.times["in_progress"]) if "in_progress" in job.times else None,
        "completed_at": None if job.ended is None else int(job.ended),
    }


def _page(call: Call, items: list[Mapping[str, Any]], refuse: Refuse) -> Mapping[str, Any]:
    """``page`` (0), ``page_size`` (100), ``model``, ``status``; any other key of the query is one of the metadata."""
    numbers = [call.query.get(name, default) for name, default in (("page", "0"), ("page_size", "100"))]
    if not all(re.fullmatch(r"\d{1,6}", number) for number in numbers):
        refuse("Input should be a valid integer", param="page", code="int_parsing")
    wanted = {name: value for name, value in call.query.items() if name not in _FILTERS}
    for name in ("model", "status"):
        if name in call.query:
            items = [item for item in items if item[name] == call.query[name]]
    matching = [item for item in items if all((item["metadata"] or {}).get(name) == value for name, value in wanted.items())]
    start, size = int(numbers[0]) * int(numbers[1]), int(numbers[1])
    return {"data": matching[start : start + size], "object": "list", "total": len(matching)}


class MistralLines:
    """Answers the requests of one job; the model is the job's unless the job has none."""

    one_file = False

    def __init__(self, dialect: Dialect, call: Call) -> None:
        self._dialect, self._call = dialect, call

    def check(self, job: Job) -> Invalid | None:
        """Nothing more: upload and create have checked the lines."""
        job.total = sum(1 for line in job.input.lines() if line.strip())
        return None if job.total else Invalid("empty_file", "The input file is empty.")

    def run(self, job: Job, line: bytes) -> Row:
        """The body of a failed row is JSON within a text."""
        document = read_json(line)
        body = {**document["body"], **({"model": job.model} if job.model else {})}
        call = line_call(self._dialect, self._call, job.facts["payload"]["endpoint"].removeprefix("/v1"), body)
        response = run_line(self._dialect, call)
        if call.fate == "expired":
            return Row("expired", None)
        succeeded = response.status < 400
        content = response.content()
        text = content if succeeded else json.dumps(_flat(content, response.status)).encode()
        head = {"id": f"batch-{job.id[:8]}-{job.facts['file'][:8]}-{job.done}", "custom_id": document.get("custom_id")}
        row = json.dumps(head).encode()[:-1] + b', "response": {"status_code": %d, "body": %b}, "error": null}\n' % (
            response.status,
            text,
        )
        return Row("succeeded" if succeeded else "failed", None if call.fate == "lost" else row, response.tokens)

    def skip(self, job: Job, line: bytes, kind: str) -> Row:
        """No row."""
        return Row(kind, None)

    def refused(self, code: str, job: Job) -> Invalid | None:
        """The job fails."""
        return Invalid(code, f"The job failed: {code}.")


def _flat(content: bytes, status: int) -> str:
    """An error in Mistral's form, as a text."""
    try:
        document = json.loads(content)
    except ValueError:
        document = {}
    error = document.get("error", document) if isinstance(document, dict) else {}
    message = error.get("message") if isinstance(error, dict) else None
    kind = error.get("type") if isinstance(error, dict) else None
    flat = {"object": "error", "message": message or "An error occurred.", "type": kind or "invalid_request_error"}
    return json.dumps({**flat, "param": None, "code": "3310" if status < 500 else "1000", "raw_status_code": status})
