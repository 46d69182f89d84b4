"""The list of streaming switches: finds, strips and refuses them; and recognizes a reply that is a stream nevertheless.

A *switch* is a parameter, query field, header or piece of a URL's path that makes a provider answer in pieces, or later,
instead of at once. Mappings (a payload, ``provider_specific``, query, headers) are looked at on their top level only:
a JSON Schema or a tool may have a property called ``stream``. No state; every function may be called from any thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from llm_sync.errors import StreamingNotSupportedError

__all__ = ["find_switches", "is_stream", "refuse_switches", "strip_switches", "url_switches"]

# Any value but a literal false or null asks for streaming: pydantic servers take "true", 1 and "on" for true.
PARAMETERS = frozenset(
    {
        "stream",  # every provider
        "stream_options",  # OpenAI and compatible servers; legal beside stream only
        "background",  # OpenAI Responses, Gemini Interactions: answers at once with status "queued"
        "deferred",  # xAI: 202 and an id to poll
        "include_obfuscation",  # OpenAI Responses, as a query of GET /responses/{id}
        "starting_after",  # the same: resumes a stream
        "partial_images",  # OpenAI images: pictures in pieces
        "stream_format",  # OpenAI audio
    }
)

# Fields that ask for streaming with one value only; names in lower case, as header names have no case.
VALUES = {
    "alt": "sse",  # Gemini's query; $alt is its alias
    "$alt": "sse",
    "accept": "text/event-stream",  # header
    "x-dashscope-sse": "enable",  # header of Alibaba's native API
}

# Segments of a URL's path, a ":" beginning a segment too.
PATHS = frozenset(
    {
        "streamgeneratecontent",  # Gemini, Vertex AI
        "streamrawpredict",  # Anthropic on Vertex AI
        "serverstreamingpredict",  # Vertex AI
        "invoke-with-response-stream",  # Bedrock
        "converse-stream",  # Bedrock
    }
)

_STREAM_TYPES = (
    "text/event-stream",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/stream+json",
    "application/vnd.amazon.eventstream",
)
# A server-sent event begins with one of these words or a comment, which begins with ":"; no JSON text does.
_EVENT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:data:|event:|id:|retry:|:)")
# One JSON object on the first line and another after it: never one JSON text, as strings hold no raw line feed.
_TWO_OBJECTS = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{[^\n]*\}[ \t\r]*\n\s*\{")


def find_switches(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a payload, options, query or headers mapping that ask for streaming, by their names as written.

    ``stream: False`` and ``stream: None`` ask for nothing and are not among them. Only the top level is looked at.
    """
    return {name: value for name, value in mapping.items() if _is_suspect(name) and _kind(name, value) is True}


def strip_switches(mapping: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A shallow copy without any streaming switch, and the switches left out that asked for streaming.

    Harmless ones (``stream: False``, ``stream_options: None``) are left out too, but not listed: nothing changes by it.
    """
    clean: dict[str, Any] = {}
    asked: dict[str, Any] = {}
    for name, value in mapping.items():
        kind = _kind(name, value)
        if kind is None:
            clean[name] = value
        elif kind:
            asked[name] = value
    return clean, asked


def url_switches(url: str) -> list[str]:
    """The pieces of a URL that ask for streaming: path segments, and query fields as ``name=value``; ``[]`` for none."""
    return list(_url_switches(url))


def refuse_switches(payload: Mapping[str, Any], url: str) -> None:
    """The last guard before the wire: raises StreamingNotSupportedError if payload or URL still asks for streaming."""
    switches = [*find_switches(payload), *_url_switches(url)]
    if switches:
        raise StreamingNotSupportedError(
            f"the request asks for streaming ({', '.join(switches)})",
            guidance="llm-sync answers in one piece: leave these out of the request and the configuration.",
        )


def is_stream(content_type: str, content: bytes) -> bool:
    """Whether a reply is an event stream or line-delimited JSON, by its Content-Type or its first bytes.

    ``content_type`` may carry parameters (``; charset=…``) or be empty. Leading white space, which some providers send
    to keep the connection alive, is skipped. Costs well under a microsecond for an ordinary JSON body.
    """
    if content_type and content_type.partition(";")[0].strip().lower() in _STREAM_TYPES:
        return True
    if content[:1] == b"{":  # nearly every reply; the scan for a line feed is a memchr
        return b"\n" in content and _TWO_OBJECTS.match(content) is not None
    return _EVENT.match(content) is not None or _TWO_OBJECTS.match(content) is not None


@lru_cache(maxsize=256)  # every request's payload is looked through, and all have the same few names
def _is_suspect(name: object) -> bool:
    """Whether a name may be that of a switch."""
    return isinstance(name, str) and (name in PARAMETERS or name == "debug" or name.lower() in VALUES)


def _kind(name: object, value: object) -> bool | None:
    """None: no switch; True: a switch that asks for streaming; False: a switch that is off."""
    if not isinstance(name, str):
        return None
    if name in PARAMETERS:
        return value is not None and value is not False
    lowered = name.lower()
    if lowered in VALUES:
        return True if any(VALUES[lowered] in text.lower() for text in _texts(value)) else None
    # OpenRouter's debug echo works with stream only and is sent for nothing without it.
    if name == "debug" and isinstance(value, Mapping) and value.get("echo_upstream_body"):
        return True
    return None


def _texts(value: object) -> list[str]:
    items = value if isinstance(value, (list, tuple)) else (value,)
    return [item.decode("latin-1") if isinstance(item, bytes) else item for item in items if isinstance(item, (str, bytes))]


@lru_cache(maxsize=64)  # a client has a handful of URLs and asks before every attempt
def _url_switches(url: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(url)
        path, query = parts.path, parts.query
    except ValueError:  # not a URL: sending it will fail; a switch in it is named nevertheless
        path, _, query = url.partition("?")
    segments = re.split("[/:]", unquote(path))
    switches = [segment for segment in segments if segment.lower() in PATHS]
    for name, value in parse_qsl(query, keep_blank_values=True):
        off = name in PARAMETERS and value.lower() in ("false", "null")  # in a URL everything is text
        if not off and _kind(name, value):
            switches.append(f"{name}={value[:24]}")
    return tuple(switches)
