"""One fact a line, for programs: as JSON, or as ``key=value`` pairs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any


def json_line(level: str, logger: str, message: str, facts: Mapping[str, Any] | None = None, at: float | None = None) -> str:
    """A JSON object: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, and the facts by name."""
    line = {"time": _iso(at), "level": level.lower(), "logger": logger, "message": message, **(facts or {})}
    return json.dumps(line, ensure_ascii=False, default=str)


def pairs_line(level: str, logger: str, message: str, facts: Mapping[str, Any] | None = None, at: float | None = None) -> str:
    """The same as ``key=value`` pairs, with values that hold blanks, quotes or line ends in JSON's quotes."""
    line = {"time": _iso(at), "level": level.lower(), "logger": logger, "message": message, **(facts or {})}
    return " ".join(f"{key}={_shown(value)}" for key, value in line.items())


def _iso(at: float | None) -> str:
    at = time.time() if at is None else at
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}.{int(at % 1 * 1000):03}Z"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":"))
    plain = value.isprintable() and not any(character in value for character in ' "=')
    return value if plain and value else json.dumps(value, ensure_ascii=False)
