"""Detects requests for a stream or a deferred job. The simulator supports neither; it refuses and counts such requests."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

_PATHS = ("converse-stream", "invoke-with-response-stream", "serverstreamingpredict")
_QUERY = ("stream", "stream_options", "include_obfuscation", "starting_after")
_BODY = ("stream", "background", "deferred")
_BODY_OPTIONS = ("stream_options", "streamOptions", "partial_images", "stream_format")


def stream_switch(
    path: str, query: Mapping[str, str], headers: Mapping[str, str], payload: Any, deferring: Container[str] = ()
) -> str | None:
    """The first part of the request that asks for a stream, as named in messages; None if there is none.

    ``deferring``: keys of the payload that are allowed, because the dialect has such answers. Any value of ``stream`` but false
    and null counts: some servers take "true", 1 or "on" for true.
    """
    action = path.lower().replace(":", "/").rpartition("/")[2]
    if action in _PATHS or action.startswith("stream"):
        return "the URL's path"
    for key, value in query.items():
        name = key.lower()
        if (name in ("alt", "$alt") and "sse" in value.lower()) or (name in _QUERY and value.lower() not in ("", "false", "0")):
            return f"the query parameter {key}"
    if "text/event-stream" in headers.get("accept", "").lower():
        return "the header Accept"
    if isinstance(payload, dict):
        for key in _BODY:
            if payload.get(key) is not None and payload[key] is not False and key not in deferring:
                return key
        for key in _BODY_OPTIONS:
            if payload.get(key) is not None:
                return key
        return _switch_in_tools(payload)
    return None


def _switch_in_tools(payload: Mapping[str, Any]) -> str | None:
    """Partial images, streamed function arguments, and OpenRouter's echo of the upstream body, which only a stream can carry."""
    tools = payload.get("tools")
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        if isinstance(tool, dict) and tool.get("partial_images"):
            return f"tools[{index}].partial_images"
    config: Any = payload.get("toolConfig", payload.get("tool_config"))
    for name in ("functionCallingConfig", "function_calling_config"):
        calling = config.get(name) if isinstance(config, dict) else None
        for key in ("streamFunctionCallArguments", "stream_function_call_arguments"):
            if isinstance(calling, dict) and calling.get(key):
                return key
    debug = payload.get("debug")
    return "debug.echo_upstream_body" if isinstance(debug, dict) and debug.get("echo_upstream_body") else None
