"""What in a request asks for a stream or for a job to be fetched later. The simulator serves neither, and counts the asking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PATHS = ("converse-stream", "invoke-with-response-stream")
_QUERY = ("stream", "stream_options", "include_obfuscation")
_BODY = ("stream", "background", "deferred")
_BODY_OPTIONS = ("stream_options", "streamOptions")


def stream_switch(path: str, query: Mapping[str, str], payload: Any) -> str | None:
    """The first switch found, named for a message, or None.

    Anything but a literal false or null turns ``stream`` on: some servers read "true", 1 or "on" as true.
    """
    action = path.lower().replace(":", "/").rpartition("/")[2]
    if action in _PATHS or action.startswith("stream"):
        return "the URL's path"
    for key, value in query.items():
        name = key.lower()
        if (name in ("alt", "$alt") and "sse" in value.lower()) or (name in _QUERY and value.lower() not in ("", "false", "0")):
            return f"the query parameter {key}"
    if isinstance(payload, dict):
        for key in _BODY:
            if payload.get(key) is not None and payload[key] is not False:
                return key
        for key in _BODY_OPTIONS:
            if payload.get(key) is not None:
                return key
    return None
