"""The two formats of a log line for programs: a JSON object, or ``key=value`` pairs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any


def json_line(level: str, logger: str, message: str, facts: Mapping[str, Any] | None = None, at: float | None = None) -> str:
    """A JSON object: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, and the facts by name.

    ``at``: seconds since the epoch (now, if None).
    """
    line = {"time": _iso(at), "level": level.lower(), "logger": logger, "message": message, **(facts or {})}
    return json.dumps(line, ensure_ascii=False, default=str)


def pairs_line(level: str, logger: str, message: str, facts: Mapping[str, Any] | None = None, at: float | None = None) -> str:
    """The same as ``key=value`` pairs; a value with spaces, quotes or line ends is written as a JSON string."""
    line = {"time": _iso(at), "level": level.lower(), "logger": logger, "message": message, **(facts or {})}
    return " ".join(f"{key}={_pair_value(value)}" for key, value in line.items())


def _iso(at: float | None) -> str:
    at = time.time() if at is None else at
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}.{int(at % 1 * 1000):03}Z"


def _pair_value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":"))
    needs_quotes = not value or not value.isprintable() or any(character in value for character in ' "=')
    return json.dumps(value, ensure_ascii=False) if needs_quotes else value
