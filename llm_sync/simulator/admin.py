"""The simulator's own paths: its log and summary, and errors that belong to no dialect."""

from __future__ import annotations

from llm_sync.simulator.dialect import Response
from llm_sync.simulator.http1 import HTTPRequest
from llm_sync.simulator.requestlog import RequestLog

PREFIX = "/_simulator/"


def show(request: HTTPRequest, log: RequestLog) -> Response:
    """``GET /_simulator/log``: every record kept; ``/_simulator/summary``: the counts."""
    if request.method == "GET" and request.path == f"{PREFIX}summary":
        return Response(200, log.summary())
    if request.method == "GET" and request.path == f"{PREFIX}log":
        try:
            return Response(200, Response(200, {"requests": log.to_json()}).content())
        except RecursionError:  # a payload nested as deep as can be read cannot always be written
            return Response(200, {"requests": [{**entry, "payload": None} for entry in log.to_json()]})
    return plain_error(404, f"{request.method} {request.path} is unknown; GET {PREFIX}log or {PREFIX}summary")


def plain_error(status: int, message: str) -> Response:
    """An error in the simulator's own name."""
    return Response(status, {"error": {"message": message, "type": "simulator_error", "param": None, "code": None}})
