"""The lines of a Gemini batch, inline or from a file, and their rows."""

from __future__ import annotations

import json
from typing import Any

from llm_sync.simulator.dialects.base import Call, Dialect, line_call, read_json, run_line
from llm_sync.simulator.dialects.gemini.checks import REQUEST_NAMES
from llm_sync.simulator.dialects.gemini.proto_json import Refuse, read_message
from llm_sync.simulator.jobs.job import Invalid, Job, Row

_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 499: 1, 500: 13, 503: 14, 504: 4}  # of google.rpc.Status, by HTTP status


def check_line(line: bytes, number: int, refuse: Refuse) -> bool:
    """Refuses the create if a line is no request of the API; true otherwise."""
    try:
        document: Any = read_json(line)
    except (ValueError, RecursionError):
        refuse(f"Invalid JSON in the input on line {number}.")
    request = document.get("request") if isinstance(document, dict) else None
    if not isinstance(request, dict):
        refuse(f"The request on line {number} has no 'request'.")
    read_message(request, REQUEST_NAMES, f"batch.input_config.requests.requests[{number - 1}].request", refuse)
    if not isinstance(request.get("contents"), list):
        refuse(f"* GenerateContentRequest.contents: contents is not specified on line {number}.\n")
    return True


class GenerateLines:
    """Answers the requests of one batch. A line of a file has its ``key``, an inline one its ``metadata``."""

    one_file = True

    def __init__(self, dialect: Dialect, call: Call, *, inline: bool) -> None:
        self._dialect, self._call, self._inline = dialect, call, inline

    def check(self, job: Job) -> Invalid | None:
        """Nothing more: the create has checked all lines, and counted them."""
        return None

    def run(self, job: Job, line: bytes) -> Row:
        """``response``, or ``error`` with a code of google.rpc.Status."""
        document = read_json(line)
        request = {name: value for name, value in document["request"].items() if name != "model"}
        call = line_call(self._dialect, self._call, f"/models/{job.model}:generateContent", request)
        response = run_line(self._dialect, call)
        if call.fate == "expired":
            return Row("expired", None)
        if response.status == 200:
            content = b'"response": ' + response.content()
        else:
            message = json.loads(response.content()).get("error", {}).get("message", "An error occurred.")
            content = b'"error": ' + json.dumps({"code": _CODES.get(response.status, 13), "message": message}).encode()
        text = b"{%b, %b}\n" % (self._name(document), content)
        kind = "succeeded" if response.status == 200 else "failed"
        return Row(kind, None if call.fate == "lost" else text, response.tokens)

    def skip(self, job: Job, line: bytes, kind: str) -> Row:
        """No row: a batch that was cancelled or has expired has no results."""
        return Row(kind, None)

    def refused(self, code: str, job: Job) -> Invalid | None:
        """The batch fails with an internal error."""
        return Invalid(code, f"The batch failed: {code}.")

    def _name(self, document: dict[str, Any]) -> bytes:
        name = "metadata" if self._inline else "key"
        return b'"%b": %b' % (name.encode(), json.dumps(document.get(name)).encode())
