"""Anthropic's Message Batches: made, listed, polled, cancelled and deleted under ``/v1/messages/batches``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.dialects.anthropic.messages import Refuse
from llm_sync.simulator.dialects.base import Call, Dialect, line_call, owner_of, random_id, read_json, run_line
from llm_sync.simulator.jobs.clock import timestamp
from llm_sync.simulator.jobs.files import StoredFile
from llm_sync.simulator.jobs.job import Invalid, Job, Row
from llm_sync.simulator.jobs.store import JobStore
from llm_sync.simulator.server.file_body import FileBody
from llm_sync.simulator.server.response import JSON_TYPE, ListedError, Response

PATH = "/v1/messages/batches"
_CALLS = {
    "POST": "create",
    "GET": "list",
    "GET /*": "poll",
    "GET /*/results": "results",
    "POST /*/cancel": "cancel",
    "DELETE /*": "delete",
}
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MAX_REQUESTS = 100_000
_DAY, _KEPT = 86_400.0, 29 * 86_400.0
_ADVISED = 10.0  # simulated seconds until the next poll
_COUNTS = {"succeeded": "succeeded", "errored": "failed", "canceled": "cancelled", "expired": "expired"}
_NO_CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."


def job_call(method: str, path: str) -> str:
    """What a call under /v1/messages/batches asks for; "" for any other call."""
    rest = path.removeprefix(PATH)
    if rest == path or (rest and not rest.startswith("/")):
        return ""
    return _CALLS.get(f"{method} {re.sub('^/[^/]+', '/*', rest)}".strip(), "")


def reply(call: Call, dialect: Dialect, jobs: JobStore, refuse: Refuse) -> Response:
    """The answer to such a call."""
    owner = owner_of(call, dialect)
    if call.job_call == "create":
        return _answer(_create(call, dialect, owner, jobs, refuse))
    if call.job_call == "list":
        return _answer(_page(call, [shown(job, call) for job in jobs.listed(owner)], refuse))
    identifier, _, _ = call.path[len(PATH) + 1 :].partition("/")
    job = jobs.get(identifier, owner)
    if job is None:
        refuse(f"Message Batch {identifier} not found.", 404)
    if call.job_call == "results":
        return _results(job, jobs, refuse)
    if call.job_call == "delete":
        if job.ended is None:
            refuse(f"Message Batch {identifier} cannot be deleted while it is in progress.")
        jobs.delete(job)
        return _answer({"id": identifier, "type": "message_batch_deleted"})
    if call.job_call == "cancel":
        if job.ended is not None:
            refuse(f"Message Batch {identifier} cannot be canceled because it has already ended.")
        job.cancel(jobs.clock.now())
        return _answer(shown(job, call))
    job.polls += 1
    return _answer(shown(job, call), {} if job.ended is not None else _advice(jobs))


def _advice(jobs: JobStore) -> dict[str, str]:
    """When to poll again, in real seconds: retry-after has whole ones only."""
    seconds = jobs.clock.real_seconds(_ADVISED)
    if seconds is None or seconds >= 1:
        return {"retry-after": str(round(seconds or _ADVISED))}
    return {"retry-after-ms": str(round(seconds * 1000))}


def _answer(document: Mapping[str, Any], further: Mapping[str, str] | None = None) -> Response:
    return Response(200, document, (*JSON_TYPE, ("request-id", random_id("req_", 24)), *(further or {}).items()))


def _results(job: Job, jobs: JobStore, refuse: Refuse) -> Response:
    kept = job.created + _KEPT if job.plan.kept is None or job.ended is None else job.ended + job.plan.kept
    if job.ended is None or jobs.clock.now() >= kept:
        refuse(f"Message Batch {job.id} has no available results.", 404)
    name = f'attachment; filename="{job.id}_results.jsonl"'
    headers = (("content-type", "application/x-jsonl"), ("content-disposition", name), ("request-id", random_id("req_", 24)))
    return Response(200, FileBody(job.outputs[0].path), headers)


def _create(call: Call, dialect: Dialect, owner: tuple[str, str], jobs: JobStore, refuse: Refuse) -> Mapping[str, Any]:
    if call.json_problem:
        refuse(f"The request body is not valid JSON: {call.json_problem}")
    requests = call.payload.get("requests") if isinstance(call.payload, dict) else None
    if not isinstance(requests, list) or not requests:
        refuse("requests: List should have at least 1 item after validation")
    for key in call.payload:
        if key != "requests":
            refuse(f"{key}: Extra inputs are not permitted")
    if len(requests) > _MAX_REQUESTS:
        refuse("Request exceeds the maximum number of requests", 413)
    _check(requests, refuse)
    path = jobs.files.new_path()
    with path.open("wb") as file:
        file.writelines(json.dumps(request).encode() + b"\n" for request in requests)
    size = path.stat().st_size
    if not jobs.has_room(owner, call.model, size // 4):
        raise ListedError("rate_limit")
    source = StoredFile("", owner, "", "", path, size, jobs.clock.now())
    wire = MessageLines(dialect, call.without_content())
    identifier = random_id("msgbatch_", 24)
    job = jobs.create(identifier, owner, source, wire, call.plan, model=call.model, window=_DAY, facts={})
    job.total = len(requests)
    return shown(job, call)


def _check(requests: list[Any], refuse: Refuse) -> None:
    """The ids; params are checked when a request runs."""
    seen = set()
    for index, request in enumerate(requests):
        where = f"requests.{index}"
        if not isinstance(request, dict):
            refuse(f"{where}: Input should be a valid dictionary")
        identifier = request.get("custom_id")
        if not isinstance(identifier, str) or not _ID.fullmatch(identifier):
            refuse(f"{where}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")
        if identifier in seen:
            refuse(f"{where}.custom_id: custom_id must be unique; {identifier!r} is used more than once")
        seen.add(identifier)
        if not isinstance(request.get("params"), dict):
            refuse(f"{where}.params: Field required")


def _page(call: Call, items: list[Mapping[str, Any]], refuse: Refuse) -> Mapping[str, Any]:
    """``limit`` 1 to 1000 (20), ``after_id`` or ``before_id``."""
    text = call.query.get("limit", "20")
    limit = int(text) if text.isdigit() and len(text) < 6 else 0
    if not 1 <= limit <= 1000:
        refuse("limit: Input should be greater than or equal to 1 and less than or equal to 1000")
    names = [item["id"] for item in items]
    after, before = call.query.get("after_id"), call.query.get("before_id")
    start = names.index(after) + 1 if after in names else len(names) if after else 0
    if before in names:
        end = names.index(before)
        start = max(0, end - limit)
        chosen, more = items[start:end], start > 0
    else:
        chosen, more = items[start : start + limit], start + limit < len(items)
    ends = [chosen[0]["id"], chosen[-1]["id"]] if chosen else [None, None]
    return {"data": chosen, "has_more": more, "first_id": ends[0], "last_id": ends[1]}


def shown(job: Job, call: Call) -> Mapping[str, Any]:
    """A batch as Anthropic describes it; until the end, all its requests count as processing."""
    counts = dict.fromkeys(("processing", *_COUNTS), 0)
    if job.ended is None:
        counts["processing"] = job.total
    else:
        shown = job.shown_counts()
        counts |= {name: shown[kind] for name, kind in _COUNTS.items()}
    state = "ended" if job.ended is not None else "canceling" if job.phase == "cancelling" else "in_progress"
    return {
        "id": job.id,
        "type": "message_batch",
        "processing_status": state,
        "request_counts": counts,
        "ended_at": None if job.ended is None else timestamp(job.ended),
        "created_at": timestamp(job.created),
        "expires_at": timestamp(job.expires),
        "archived_at": None,
        "cancel_initiated_at": timestamp(job.times["cancelling"]) if "cancelling" in job.times else None,
        "results_url": f"{call.root}/anthropic{PATH}/{job.id}/results" if job.ended is not None else None,
    }


class MessageLines:
    """Answers the requests of one batch. A batch never fails as a whole: where a script says so, its rows do."""

    one_file = True

    def __init__(self, dialect: Dialect, call: Call) -> None:
        self._dialect, self._call = dialect, call

    def check(self, job: Job) -> Invalid | None:
        """Nothing more: the create has checked the ids, and counted the requests."""
        return None

    def run(self, job: Job, line: bytes) -> Row:
        """``succeeded`` with the message, or ``errored`` with the error in an error."""
        request = read_json(line)
        if job.plan.failure is not None:
            response = self._dialect.error(400, _NO_CREDIT)
        else:
            call = line_call(self._dialect, self._call, "/v1/messages", request["params"])
            response = run_line(self._dialect, call)
            if call.fate == "expired":
                return self.skip(job, line, "expired")
            if call.fate == "lost":
                return Row("succeeded", None, response.tokens)
        succeeded = response.status == 200
        key = b'"type": "succeeded", "message": ' if succeeded else b'"type": "errored", "error": '
        text = b'{"custom_id": %b, "result": {%b%b}}\n' % (json.dumps(request["custom_id"]).encode(), key, response.content())
        return Row("succeeded" if succeeded else "failed", text, response.tokens)

    def skip(self, job: Job, line: bytes, kind: str) -> Row:
        """Only the kind."""
        word = "canceled" if kind == "cancelled" else kind
        row = {"custom_id": read_json(line)["custom_id"], "result": {"type": word}}
        return Row(kind, json.dumps(row).encode() + b"\n")

    def refused(self, code: str, job: Job) -> Invalid | None:
        """None: there are no failed batches."""
        return None
