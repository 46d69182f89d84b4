"""The simulator's own paths: its log and summary, and errors that belong to no dialect."""

from __future__ import annotations

from llm_sync.simulator.server.http1 import HTTPRequest
from llm_sync.simulator.server.request_log import RequestLog
from llm_sync.simulator.server.response import Response

PREFIX = "/_simulator/"
_MOST_AT_ONCE = 10_000


def show(request: HTTPRequest, log: RequestLog) -> Response:
    """``GET /_simulator/log``: records, a page at a time; ``/_simulator/summary``: the counts."""
    if request.method == "GET" and request.path == f"{PREFIX}summary":
        return Response(200, log.summary())
    if request.method == "GET" and request.path == f"{PREFIX}log":
        return _log(request, log)
    return plain_error(404, f"{request.method} {request.path} is unknown; GET {PREFIX}log or {PREFIX}summary")


def _log(request: HTTPRequest, log: RequestLog) -> Response:
    """``since``: the index after which to begin; ``limit``: how many (1000); ``payload=false``: without the requests' bodies."""
    asked = request.query.get("since", "0"), request.query.get("limit", "1000")
    if not all(text.isascii() and text.isdigit() and len(text) < 16 for text in asked):
        return plain_error(400, "since and limit are whole numbers, 0 or more")
    records, more = log.page(int(asked[0]), min(int(asked[1]), _MOST_AT_ONCE))
    entries = [record.to_json() for record in records]
    if request.query.get("payload") == "false":
        entries = [{**entry, "payload": None} for entry in entries]
    try:
        return Response(200, Response(200, {"requests": entries, "more": more}).content())
    except RecursionError:  # a payload nested as deep as can be read cannot always be written
        return Response(200, {"requests": [{**entry, "payload": None} for entry in entries], "more": more})


def plain_error(status: int, message: str) -> Response:
    """An error in the simulator's own name."""
    return Response(status, {"error": {"message": message, "type": "simulator_error", "param": None, "code": None}})
