"""The lines of an OpenAI batch: which ones make the whole batch fail, and the row of each."""

from __future__ import annotations

import json
from typing import Any

from llm_sync.simulator.dialects.base import Call, Dialect, line_call, random_id, read_json, run_line
from llm_sync.simulator.dialects.model_catalogue import DATED_NAMES, is_unknown_model
from llm_sync.simulator.jobs.job import Invalid, Job, Row

ENDPOINTS = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/moderations")
_MAX_LINES = 50_000
_USUAL_TIERS = ("auto", "default", "on_demand")
_NAMES = ("custom_id", "method", "url", "body")
_REASONS = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was not executed because the batch was cancelled."),
}
_FAILURES = {
    "token_limit_exceeded": "Enqueued token limit reached for {model} in organization org-simulated. Limit: {limit} enqueued "
    "tokens. Please try again once some in_progress batches have been completed.",
    "invalid_json_line": "This line is not parseable as valid JSON.",
    "duplicate_custom_id": "The custom_id of this line was used before in this file.",
    "mismatched_model": "The model of this line is not the one of the lines before.",
    "model_not_found": "The provided model '{model}' is not supported by the Batch API.",
}


class BatchLines:
    """Answers the lines of one batch as the dialect answers single requests. ``problem``: why the input is no input."""

    one_file = False

    def __init__(self, dialect: Dialect, call: Call, problem: str | None) -> None:
        self._dialect, self._call, self._problem = dialect, call, problem

    def check(self, job: Job) -> Invalid | None:
        """Stops at the first bad line."""
        if self._problem is not None:
            return Invalid("invalid_request", self._problem, "input_file_id")
        seen: set[str] = set()
        for number, line in enumerate(job.input.lines(), 1):
            if not line.strip():
                continue
            invalid = self._check_line(job, line, seen)
            if invalid is not None:
                return invalid._replace(line=number)
            if len(seen) > _MAX_LINES:
                return Invalid("too_many_tasks", f"The batch has more than {_MAX_LINES} requests.")
        job.total = len(seen)
        job.facts["model"] = DATED_NAMES.get(job.model, job.model)
        return None if seen else Invalid("empty_file", "The batch input file is empty.")

    def run(self, job: Job, line: bytes) -> Row:
        """The row in the form of a response: status, request id, body."""
        document = read_json(line)
        call = line_call(self._dialect, self._call, job.facts["payload"]["endpoint"].removeprefix("/v1"), document["body"])
        response = run_line(self._dialect, call)
        if call.fate == "expired":
            return self.skip(job, line, "expired")
        content = response.content()
        text = content if content[:1] in (b"{", b"[") else json.dumps(content.decode("utf-8", "replace")).encode()
        head = f'{{"id": "{random_id("batch_req_", 32)}", "custom_id": {json.dumps(document["custom_id"], ensure_ascii=False)}, '
        head += f'"response": {{"status_code": {response.status}, "request_id": "{random_id("", 32)}", "body": '
        row = head.encode("utf-8", "surrogatepass") + text + b'}, "error": null}\n'
        kind = "succeeded" if response.status < 400 else "failed"
        return Row(kind, None if call.fate == "lost" else row, response.tokens)

    def skip(self, job: Job, line: bytes, kind: str) -> Row:
        """A row without a response."""
        code, message = _REASONS[kind]
        document = {"id": random_id("batch_req_", 32), "custom_id": read_json(line)["custom_id"], "response": None}
        return Row(kind, json.dumps({**document, "error": {"code": code, "message": message}}).encode() + b"\n")

    def refused(self, code: str, job: Job) -> Invalid:
        """A code that a script names; those of a line are said of line 1."""
        limit = job.settings.enqueued_tokens or 2_000_000
        message = _FAILURES.get(code, "The batch failed: {code}.").format(model=job.model, limit=f"{limit:,}", code=code)
        return Invalid(code, message, line=None if code == "token_limit_exceeded" else 1)

    def _check_line(self, job: Job, line: bytes, seen: set[str]) -> Invalid | None:
        try:
            document: Any = read_json(line)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            return Invalid("invalid_json_line", _FAILURES["invalid_json_line"])
        for name in _NAMES:
            if document.get(name) in (None, ""):
                return Invalid("missing_required_parameter", f"Missing required parameter: '{name}'.", name)
        body, identifier = document["body"], document["custom_id"]
        if not isinstance(body, dict) or not isinstance(identifier, str):
            name = "custom_id" if isinstance(body, dict) else "body"
            return Invalid("invalid_request", f"Invalid type for '{name}'.", name)
        if document["method"] != "POST":
            return Invalid("invalid_method", f"The method {document['method']!r} is not supported.", "method")
        if document["url"] != job.facts["payload"]["endpoint"]:
            return Invalid("invalid_url", "The URL provided for this request does not match the batch endpoint.", "url")
        if identifier in seen:
            return Invalid("duplicate_custom_id", _FAILURES["duplicate_custom_id"], "custom_id")
        seen.add(identifier)
        return self._check_body(job, body)

    def _check_body(self, job: Job, body: dict[str, Any]) -> Invalid | None:
        model = body.get("model")
        if not isinstance(model, str) or not model:
            return Invalid("missing_required_parameter", "Missing required parameter: 'body.model'.", "body.model")
        if is_unknown_model("openai", model):
            return Invalid("model_not_found", _FAILURES["model_not_found"].format(model=model), "body.model")
        job.model = job.model or model
        if model != job.model:
            return Invalid("mismatched_model", _FAILURES["mismatched_model"], "body.model")
        if line_call(self._dialect, self._call, "/", body).stream:
            return Invalid("streaming_unsupported", "Streaming is not supported in the Batch API.", "body.stream")
        for name in ("background", "service_tier"):
            if body.get(name) not in (None, False, *_USUAL_TIERS):
                return Invalid("invalid_request", f"'{name}' is not supported in the Batch API.", f"body.{name}")
        return None
