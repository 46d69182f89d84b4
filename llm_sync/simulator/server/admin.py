"""The simulator's own endpoints (request log and summary), and errors of requests that no dialect handles."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from llm_sync.simulator.server.http1 import HTTPRequest
from llm_sync.simulator.server.request_log import RequestLog
from llm_sync.simulator.server.response import Response

PREFIX = "/_simulator/"
_MAX_PAGE = 10_000


def respond(request: HTTPRequest, log: RequestLog, summary: Callable[[], Any], advance: Callable[[float], None]) -> Response:
    """Answers ``GET /_simulator/log`` with a page of records, ``GET /_simulator/summary`` with the counts.

    ``POST /_simulator/advance?seconds=N`` skips N simulated seconds.
    """
    if request.method == "GET" and request.path == f"{PREFIX}summary":
        return Response(200, summary())
    if request.method == "POST" and request.path == f"{PREFIX}advance":
        return _advance(request.query.get("seconds", ""), advance)
    if request.method == "GET" and request.path == f"{PREFIX}log":
        return _log_page(request, log)
    return plain_error(404, f"{request.method} {request.path} is unknown; GET {PREFIX}log or {PREFIX}summary")


def _advance(seconds: str, advance: Callable[[float], None]) -> Response:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", seconds):
        return plain_error(400, "seconds is a number, 0 or more")
    advance(float(seconds))
    return Response(200, {"advanced": float(seconds)})


def _log_page(request: HTTPRequest, log: RequestLog) -> Response:
    """``since``: the index after which the page begins; ``limit``: its size (1000); ``payload=false``: without request bodies."""
    since_and_limit = request.query.get("since", "0"), request.query.get("limit", "1000")
    if not all(text.isascii() and text.isdigit() and len(text) < 16 for text in since_and_limit):
        return plain_error(400, "since and limit are whole numbers, 0 or more")
    records, more = log.page(int(since_and_limit[0]), min(int(since_and_limit[1]), _MAX_PAGE))
    entries = [record.to_json() for record in records]
    if request.query.get("payload") == "false":
        entries = [{**entry, "payload": None} for entry in entries]
    try:
        return Response(200, Response(200, {"requests": entries, "more": more}).content())
    except RecursionError:  # a payload can be parsed at a depth at which it cannot be serialised
        return Response(200, {"requests": [{**entry, "payload": None} for entry in entries], "more": more})


def plain_error(status: int, message: str) -> Response:
    """An error of the simulator itself, not of a provider."""
    return Response(status, {"error": {"message": message, "type": "simulator_error", "param": None, "code": None}})
