"""Completes a request: strips streaming switches, fills in defaults, reads images, checks options."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from llm_sync import streaming
from llm_sync.config.models import ModelEntry, RequestDefaults
from llm_sync.errors import InvalidRequestError, StreamingNotSupportedError
from llm_sync.events import logger
from llm_sync.models import Adjustment, AttemptOptions, Message, ModelRequest, fields, grammar
from llm_sync.models.field_checks import number_shown, plain
from llm_sync.models.images import load_image
from llm_sync.runtime.import_lock import import_lock

_log = logger("client")
_YEAR = 31_536_000  # seconds; the configuration's limit, too, and far below the overflow of clocks and sockets
_MAX_KNOWN = 256
# By the id of the defaults, which are kept beside their settings: no other object can get their id
_known_settings: dict[int, tuple[RequestDefaults, Mapping[str, Any]]] = {}
_FIELDS = tuple(field.name for field in fields.FIELDS)
_OPTIONS = ("timeout", "deadline", "max_retries", "wait_timeout", "config")


def without_switches(
    request: ModelRequest, provider: str, *, strict: bool, warned: set[str] | None = None
) -> tuple[ModelRequest, list[Adjustment]]:
    """The request without streaming switches, and what was stripped, of which a warning tells. ``warned``: the warnings that
    are not to be repeated; a new one is added.

    Raises StreamingNotSupportedError under ``strict`` if there is something to strip.
    """
    clean, asked = streaming.strip_switches(request.provider_specific)
    if not asked:
        unchanged = len(clean) == len(request.provider_specific)
        return (request if unchanged else dataclasses.replace(request, provider_specific=clean)), []
    names = ", ".join(asked)
    if strict:
        raise StreamingNotSupportedError(
            f"provider_specific asks for streaming ({names})",
            provider=provider,
            guidance="Leave these out: llm-sync never streams.",
        )
    text = f"{provider}: stripped from provider_specific, as llm-sync never streams: {names}"
    if warned is None or text not in warned:
        _log.warning("%s", text)
    if warned is not None:
        warned.add(text)
    adjustments = [
        Adjustment(name, plain("provider_specific", value), None, "llm-sync never streams") for name, value in asked.items()
    ]
    return dataclasses.replace(request, provider_specific=clean), adjustments


def filled(request: ModelRequest, model: str, entry: ModelEntry) -> ModelRequest:
    """The request with its model's bare name, defaults for what it does not set, and its files read.

    Raises InvalidRequestError for a file that cannot be read and for an invalid response_schema.
    """
    settings = _settings(entry.defaults)
    values = settings_for(request, settings) if settings else {}
    if request.messages or request.images or request.documents:
        values |= files_read(request)
    fresh = request.detached(model=model, **values)
    if fresh.response_schema is not None:
        with import_lock:
            from llm_sync.validation.json_schema import check_schema

        object.__setattr__(fresh, "response_schema", check_schema(fresh.response_schema))  # nobody else has it yet
    return fresh


def _settings(defaults: RequestDefaults) -> Mapping[str, Any]:
    """What ``defaults`` sets, by field. Remembered: nearly always it is little, and every request asks."""
    known = _known_settings.get(id(defaults))
    if known is None:
        if len(_known_settings) >= _MAX_KNOWN:
            _known_settings.clear()
        settings = {name: value for name, value in vars(defaults).items() if value is not None and value != {}}
        known = _known_settings[id(defaults)] = (defaults, settings)
    return known[1]


def settings_for(request: ModelRequest, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``settings``, by field, that a request does not have itself; provider_specific is merged."""
    values: dict[str, Any] = {}
    # A system message in the conversation replaces the configured one.
    has_system = request.messages is not None and any(message.role == "system" for message in request.messages)
    for name in fields.DEFAULTS:
        if name == "system_prompt" and has_system:
            continue
        value = settings.get(name)
        if value is not None and getattr(request, name) is None:
            values[name] = value
    if settings.get("provider_specific"):
        values["provider_specific"] = {**settings["provider_specific"], **request.provider_specific}
    return values


def files_read(request: ModelRequest) -> dict[str, Any]:
    """The fields of a request that hold files, with these read. Raises InvalidRequestError for one that cannot be."""
    values: dict[str, Any] = {}
    if request.images:
        values["images"] = tuple(load_image(image) for image in request.images)
    if request.documents:
        with import_lock:
            from llm_sync.models.documents import load_file

        values["documents"] = tuple(load_file(source) for source in request.documents)
    if request.messages and any(message.images or message.parts for message in request.messages):
        values["messages"] = tuple(_with_files(message) for message in request.messages)
    return values


def _with_files(message: Message) -> Message:
    if message.parts:
        return message.with_parts(part.loaded() for part in message.parts)
    images = tuple(load_image(image) for image in message.images)
    return dataclasses.replace(message, images=images) if images else message


def attempt_options(configured: AttemptOptions, options: Mapping[str, Any]) -> AttemptOptions:
    """The configured options, replaced by those of the call. Raises InvalidRequestError for invalid values."""
    asked = {}
    for name, value in options.items():
        if value is not None:
            asked[name] = value
            if name in ("timeout", "deadline"):
                check_seconds(name, value)
    if not asked:
        return configured
    retries = asked.get("max_retries")
    if retries is not None and (isinstance(retries, bool) or not isinstance(retries, int) or retries < 0):
        raise InvalidRequestError(f"max_retries={_shown(retries)} is not a count", guidance="Give 0 or a whole number above it.")
    return dataclasses.replace(configured, **asked)


def check_seconds(name: str, value: Any) -> None:
    """Raise InvalidRequestError unless ``value`` is None or a number of seconds above 0, at most a year."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _YEAR:
        raise InvalidRequestError(f"{name}={_shown(value)} is not a time", guidance="Give seconds, above 0 and at most a year.")


def _shown(value: Any) -> str:
    return number_shown(value) if isinstance(value, (int, float)) else grammar.type_name(value)


def refuse_unknown(fields: Mapping[str, Any]) -> None:
    """Raise TypeError for an argument of ``generate`` that is not a field of a request, with a suggestion."""
    unknown = next((name for name in fields if name not in _FIELDS), None)
    if unknown is not None:
        near = difflib.get_close_matches(unknown, [*_FIELDS, *_OPTIONS], n=1)
        meant = f"did you mean {near[0]}?" if near else "see help(llm_sync.ModelRequest)"
        raise TypeError(f"generate() got an unexpected keyword argument {unknown!r}: {meant}")


def refuse_streaming(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call without streaming switches that are off (``stream=False``).

    Raises StreamingNotSupportedError if one asks for streaming.
    """
    clean, asked = streaming.strip_switches(fields)
    if asked:
        raise StreamingNotSupportedError(
            f"{', '.join(asked)} was asked for, but llm-sync never streams",
            guidance="Leave it out: the call blocks and returns the whole answer.",
        )
    return clean
