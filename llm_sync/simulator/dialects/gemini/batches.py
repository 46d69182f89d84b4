"""Gemini's batches: long-running operations, made of inline requests or of an uploaded file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.dialects.base import Call, Dialect, owner_of, random_id
from llm_sync.simulator.dialects.gemini.batch_lines import GenerateLines, check_line
from llm_sync.simulator.dialects.gemini.proto_json import Refuse, read_message
from llm_sync.simulator.jobs.clock import timestamp
from llm_sync.simulator.jobs.files import StoredFile
from llm_sync.simulator.jobs.job import Job
from llm_sync.simulator.jobs.store import JobStore

SUFFIX = ":batchGenerateContent"
_INLINE_BYTES = 20 * 2**20
_WINDOW, _KEPT = 48 * 3600.0, 42 * 86_400.0
_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch"
_STATES = {
    "validating": "PENDING",
    "completed": "SUCCEEDED",
    "failed": "FAILED",
    "cancelled": "CANCELLED",
    "expired": "EXPIRED",
}
_ERRORS = {"cancelled": (1, "The batch was cancelled."), "expired": (4, "The batch has expired.")}


def create(call: Call, dialect: Dialect, jobs: JobStore, refuse: Refuse) -> Mapping[str, Any]:
    """The operation of a new batch; one bad line refuses it."""
    outer = read_message(call.payload, "batch", "", refuse)
    batch = read_message(outer.get("batch"), "display_name input_config model priority name", "batch", refuse)
    config = read_message(batch.get("input_config"), "requests file_name", "batch.input_config", refuse)
    owner, now = owner_of(call, dialect), jobs.clock.now()
    if (config.get("requests") is None) == (config.get("file_name") is None):
        refuse("* CreateBatchRequest.batch.input_config: exactly one of requests and file_name must be set.\n")
    if config.get("requests") is not None:
        if len(call.body) > _INLINE_BYTES:
            refuse("Request payload size exceeds the limit: 20971520 bytes.")
        source, name = _inline(config["requests"], owner, jobs, refuse), None
    else:
        file = jobs.files.get(str(config["file_name"]), owner, now)
        if file is None:
            refuse(f"File {config['file_name']} not found.", 404)
        source, name = file, config["file_name"]
    total = 0
    for number, line in enumerate(source.lines(), 1):
        total += bool(line.strip()) and check_line(line, number, refuse)
    if not total:
        refuse("* CreateBatchRequest.batch: the batch has no requests.\n")
    if not jobs.has_room(owner, call.model, source.size // 4):
        refuse("You exceeded your current quota of enqueued tokens for this model.", 429)
    identifier = random_id("", 36)
    facts = {"display_name": batch.get("display_name"), "file": name}
    wire = GenerateLines(dialect, call.without_content(), inline=name is None)
    job = jobs.create(identifier, owner, source, wire, call.plan, model=call.model, window=_WINDOW, facts=facts)
    job.total = total
    return shown(job, jobs)


def reply(call: Call, dialect: Dialect, jobs: JobStore, refuse: Refuse) -> Mapping[str, Any]:
    """The body of the answer to a call under ``/batches``."""
    owner = owner_of(call, dialect)
    if call.job_call == "list":
        return _page(call, [shown(job, jobs, rows=False) for job in jobs.listed(owner)], refuse)
    name = call.path.removeprefix("/batches/").removesuffix(":cancel")
    job = jobs.get(name, owner)
    if job is None:
        refuse(f"Requested entity was not found: batches/{name}", 404)
    if call.job_call == "cancel":
        job.cancel(jobs.clock.now())
        return {}
    if call.job_call == "delete":
        jobs.delete(job)
        return {}
    job.polls += 1
    return shown(job, jobs)


def result_file(name: str, owner: tuple[str, str], jobs: JobStore) -> Job | None:
    """The job whose results are the file ``batch-NAME``; None if there are none (any more)."""
    job = jobs.get(name.removeprefix("batch-"), owner)
    return job if job is not None and job.facts["file"] and _has_results(job, jobs) else None


def shown(job: Job, jobs: JobStore, *, rows: bool = True) -> Mapping[str, Any]:
    """The operation; counts are texts, and those of nothing are absent. Inline results are left out in listings."""
    name = f"batches/{job.id}"
    state = _STATES.get(job.phase, "RUNNING")
    metadata: dict[str, Any] = {"@type": _TYPE, "model": f"models/{job.model}"}
    if job.facts["display_name"] is not None:
        metadata["displayName"] = job.facts["display_name"]
    if job.facts["file"]:
        metadata["inputConfig"] = {"fileName": job.facts["file"]}
    output = _output(job, jobs, rows)
    if output is not None:
        metadata["output"] = output
    at = timestamp(job.ended or job.created)
    metadata |= {"createTime": timestamp(job.created), **({"endTime": at} if job.ended else {}), "updateTime": at}
    metadata |= {"batchStats": _stats(job), "state": f"BATCH_STATE_{state}", "name": name}
    operation: dict[str, Any] = {"name": name, "metadata": metadata}
    if job.ended is None:
        return operation
    operation["done"] = True
    if output is not None:
        return {**operation, "response": {"@type": f"{_TYPE}Output", **output}}
    code, message = _ERRORS.get(job.phase, (13, job.invalid.message if job.invalid else "The results are gone."))
    return {**operation, "error": {"code": 13 if job.phase == "cancelled" else code, "message": message}}


def _has_results(job: Job, jobs: JobStore) -> bool:
    kept = _KEPT if job.plan.kept is None else job.plan.kept
    return job.phase == "completed" and job.ended is not None and jobs.clock.now() < job.ended + kept


def _output(job: Job, jobs: JobStore, rows: bool) -> dict[str, Any] | None:
    if not _has_results(job, jobs):
        return None
    if job.facts["file"]:
        return {"responsesFile": f"files/batch-{job.id}"}
    path = job.outputs[0].path
    items = [json.loads(row) for row in path.read_bytes().split(b"\n") if row] if rows and job.outputs[0].rows else []
    return {"inlinedResponses": {"inlinedResponses": items}} if rows else {}


def _stats(job: Job) -> dict[str, str]:
    counts = job.shown_counts()
    succeeded, failed = counts["succeeded"], counts["failed"]
    pending = job.total - job.done if job.ended is None else 0
    named = {"pendingRequestCount": pending, "successfulRequestCount": succeeded, "failedRequestCount": failed}
    return {"requestCount": str(job.total), **{name: str(count) for name, count in named.items() if count}}


def _inline(requests: Any, owner: tuple[str, str], jobs: JobStore, refuse: Refuse) -> StoredFile:
    inner = read_message(requests, "requests", "batch.input_config.requests", refuse)
    items = inner.get("requests")
    if not isinstance(items, list):
        refuse("Invalid value at 'batch.input_config.requests.requests' (a list)")
    path = jobs.files.new_path()
    with path.open("wb") as file:
        file.writelines(json.dumps(item).encode() + b"\n" for item in items)
    return StoredFile("", owner, "", "", path, path.stat().st_size, jobs.clock.now())


def _page(call: Call, items: list[Mapping[str, Any]], refuse: Refuse) -> Mapping[str, Any]:
    """``pageSize`` (50, at most 1000) and ``pageToken``, the name of the last operation of the page before."""
    size = call.query.get("pageSize") or call.query.get("page_size") or "50"
    if not re.fullmatch(r"\d{1,6}", size):
        refuse(f"Invalid value at 'page_size' (TYPE_INT32), \"{size[:40]}\"")
    names = [item["name"] for item in items]
    token = call.query.get("pageToken") or call.query.get("page_token")
    start = names.index(token) + 1 if token in names else 0 if not token else len(names)
    chosen = items[start : start + max(1, min(int(size), 1000))]
    page: dict[str, Any] = {"operations": chosen} if chosen else {}
    if start + len(chosen) < len(items):
        page["nextPageToken"] = chosen[-1]["name"]
    return page
