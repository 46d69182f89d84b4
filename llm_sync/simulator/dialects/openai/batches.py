"""OpenAI's Batch API: ``POST /batches``, ``GET /batches`` and ``/batches/ID``, ``POST /batches/ID/cancel``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.dialects.base import Call, Dialect, owner_of, random_id
from llm_sync.simulator.dialects.openai import checks, files
from llm_sync.simulator.dialects.openai.batch_lines import ENDPOINTS, BatchLines
from llm_sync.simulator.dialects.openai.checks import Refuse
from llm_sync.simulator.jobs.files import StoredFile
from llm_sync.simulator.jobs.job import ENDED, Job
from llm_sync.simulator.jobs.store import JobStore

WINDOWS: Mapping[str, float] = {"24h": 86_400.0}
_KEYS = ("input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after")
_CALLS = {
    "POST files": "upload",
    "GET files": "list",
    "GET responses/*": "poll",
    "GET responses/*/input_items": "poll",
    "DELETE responses/*": "delete",
    "POST responses/*/cancel": "cancel",
    "GET files/*": "poll",
    "GET files/*/content": "results",
    "DELETE files/*": "delete",
    "POST batches": "create",
    "GET batches": "list",
    "GET batches/*": "poll",
    "POST batches/*/cancel": "cancel",
}
_TIMES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


class Batches:
    """The Batch API of one OpenAI-like dialect. ``endpoints`` and ``windows``: what a batch may name. Stateless."""

    def __init__(
        self, dialect: Dialect, refuse: Refuse, endpoints: tuple[str, ...] = ENDPOINTS, windows: Mapping[str, float] = WINDOWS
    ) -> None:
        self._dialect, self._refuse, self._endpoints, self._windows = dialect, refuse, endpoints, windows

    def reply(self, call: Call, jobs: JobStore) -> Mapping[str, Any]:
        """The body of the answer to a call under ``/batches``."""
        owner = owner_of(call, self._dialect)
        parts = call.path.split("/")[2:]
        if not parts:
            if call.method == "POST":
                return shown(self._create(call, owner, jobs))
            return files.page([shown(job) for job in self._mine(jobs, owner)], call, 20, 100, self._refuse)
        job = jobs.get(parts[0], owner)
        if job is None or not isinstance(job.wire, BatchLines):
            self._refuse(f"No batch found with id '{parts[0]}'.", status=404)
        if parts[1:] == ["cancel"] and call.method == "POST":
            if job.phase in ENDED and job.phase != "cancelled":
                self._refuse(f"Cannot cancel a batch with status '{job.phase}'.", status=409)
            job.cancel(jobs.clock.now())
        elif len(parts) > 1 or call.method != "GET":
            self._refuse(f"Invalid URL ({call.method} /v1{call.path})", status=404)
        else:
            job.polls += 1
        publish(job, jobs)
        return shown(job)

    def _mine(self, jobs: JobStore, owner: tuple[str, str]) -> list[Job]:
        listed = [job for job in jobs.listed(owner) if isinstance(job.wire, BatchLines)]
        for job in listed:
            publish(job, jobs)
        return listed

    def _create(self, call: Call, owner: tuple[str, str], jobs: JobStore) -> Job:
        payload = call.payload
        for key in payload:
            if key not in _KEYS:
                self._refuse(f"Unknown parameter: '{key}'.", param=key, code="unknown_parameter")
        for key in _KEYS[:3]:
            if not isinstance(payload.get(key), str):
                self._refuse(f"Missing required parameter: '{key}'.", param=key, code="missing_required_parameter")
        checks.check_types(payload, {dict: "metadata output_expires_after"}, self._refuse)
        checks.check_metadata(payload, self._refuse)
        self._one_of(payload, "endpoint", self._endpoints)
        self._one_of(payload, "completion_window", tuple(self._windows))
        kept = payload.get("output_expires_after") or {}
        seconds = files.kept_seconds(kept.get("anchor"), kept.get("seconds"), "output_expires_after", "created_at", self._refuse)
        now = jobs.clock.now()
        source = jobs.files.get(payload["input_file_id"], owner, now)
        problem = None
        if source is None or source.purpose != "batch":
            problem = f"The input file {payload['input_file_id']} does not exist, or its purpose is not 'batch'."
            source = StoredFile(payload["input_file_id"], owner, "", "", jobs.files.new_path(), 0, now)
        return jobs.create(
            random_id("batch_", 32),
            owner,
            source,
            BatchLines(self._dialect, call.without_content(), problem),
            call.plan,
            model="",
            window=self._windows[payload["completion_window"]],
            facts={"payload": payload, "kept": seconds},
        )

    def _one_of(self, payload: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> None:
        if payload[name] not in allowed:
            self._refuse(
                f"Invalid value: '{payload[name]}'. Supported values are: {checks.quoted_list(allowed)}.",
                param=name,
                code="invalid_value",
            )


def job_call(method: str, path: str) -> str:
    """What a call under /files, /batches or /responses/ID asks for; "" for any other call."""
    parts = path[1:].split("/")
    place = "/".join((parts[0], *("*" if number == 0 else part for number, part in enumerate(parts[1:]))))
    return _CALLS.get(f"{method} {place}", "")


def publish(job: Job, jobs: JobStore) -> None:
    """Gives the result files of a job that has ended their ids; a file without rows gets none."""
    if job.ended is None or "files" in job.facts:
        return
    kept = job.facts["kept"] if job.plan.kept is None else job.plan.kept
    names: list[str | None] = [None, None]
    job.facts["files"] = names
    for index, (output, word) in enumerate(zip(job.outputs, ("output", "error"), strict=True)):
        if not output.rows:
            continue
        name = f"{job.id}_{word}.jsonl"
        size = output.path.stat().st_size
        file = StoredFile(random_id("file-", 22), job.owner, name, "batch_output", output.path, size, job.ended, job.ended + kept)
        names[index] = jobs.files.add(file).id


def shown(job: Job) -> Mapping[str, Any]:
    """A batch as OpenAI describes it."""
    payload, counts = job.facts["payload"], job.shown_counts()
    output, errors = job.facts.get("files", (None, None))
    invalid = job.invalid
    data = [{"code": invalid.code, "message": invalid.message, "param": invalid.param, "line": invalid.line}] if invalid else []
    times = {f"{word}_at": int(job.times[word]) if word in job.times else None for word in _TIMES}
    tokens = job.tokens if job.ended is not None else (0, 0)
    return {
        "id": job.id,
        "object": "batch",
        "endpoint": payload["endpoint"],
        "model": job.facts.get("model"),
        "errors": {"object": "list", "data": data} if data else None,
        "input_file_id": payload["input_file_id"],
        "completion_window": payload["completion_window"],
        "status": job.phase,
        "output_file_id": output,
        "error_file_id": errors,
        "created_at": int(job.created),
        "expires_at": int(job.expires),
        **times,
        "request_counts": {"total": counts["total"], "completed": counts["succeeded"], "failed": counts["failed"]},
        "usage": {
            "input_tokens": tokens[0],
            "output_tokens": tokens[1],
            "total_tokens": sum(tokens),
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
        "metadata": payload.get("metadata"),
    }
