"""The settings of a cache: from a configuration, or from the argument ``cache`` of LLMClient."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from llm_sync.errors import ConfigurationError
from llm_sync.models.frozen import Frozen, dataclass

NAMES = ("dir", "max_age", "max_bytes", "errors", "offline")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_MAX_AMOUNT = 2.0**62  # more is as good as no limit
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]?)[bB]?\s*")


@dataclass(frozen=True, repr=False, eq=False)
class CacheSettings(Frozen):
    """``dir``: the folder; None: ``default_folder()``. ``max_age``: seconds after which a request is sent again (None: never).

    ``max_bytes``: the size beyond which the oldest answers are removed (None: no limit). ``errors``: store refusals, truncated
    answers and lasting errors too. ``offline``: send nothing; what is not stored is a CacheMissError. ``refresh``: ask for
    everything anew, and replace what is stored. ``counted``: the n-th equal request is sample n, also of single calls.
    ``pretty``: write files that people review. ``owners``: users whose files are read, beside this user and root.
    """

    dir: str | None = None
    max_age: float | None = None
    max_bytes: int | None = None
    errors: bool = False
    offline: bool = False
    refresh: bool = False
    counted: str = ""
    pretty: bool = False
    owners: frozenset[int] = frozenset()


def settings_of(value: Any) -> CacheSettings | None:
    """The settings that ``value`` means: True, a folder, a mapping of ``NAMES``, CacheSettings; None for False and None.

    Raises ConfigurationError for anything else.
    """
    if value is None or value is False:
        return None
    if isinstance(value, CacheSettings):
        return value
    if value is True:
        return CacheSettings()
    if isinstance(value, (str, os.PathLike)):
        return CacheSettings(dir=_folder(value))
    if not isinstance(value, Mapping):
        raise _error(f"cache is {value!r}", "Give True, a folder, or a mapping with dir, max_age, max_bytes or errors.")
    unknown = [name for name in value if name not in NAMES]
    if unknown:
        raise _error(f"cache has no setting {unknown[0]!r}", f"Settings are: {', '.join(NAMES)}.")
    folder, age, size = value.get("dir"), value.get("max_age"), value.get("max_bytes")
    return CacheSettings(
        dir=None if folder is None else _folder(folder),
        max_age=None if age is None else seconds(age),
        max_bytes=None if size is None else size_in_bytes(size),
        errors=bool(value.get("errors", False)),
        offline=bool(value.get("offline", False)),
    )


def is_older(stored: datetime, age: float) -> bool:
    """Whether an answer that was stored then is older than ``age`` seconds, which may be any number."""
    return (datetime.now(timezone.utc) - stored).total_seconds() > age


def seconds(value: Any) -> float:
    """A time span: a number of seconds, or a text such as 90s, 15m, 12h, 30d or 2w. Raises ConfigurationError."""
    return _amount("max_age", value, _SECONDS, "seconds, or a text such as 12h or 30d")


def size_in_bytes(value: Any) -> int:
    """A size: a number of bytes, or a text such as 500M or 2G. Raises ConfigurationError."""
    return int(_amount("max_bytes", value, _BYTES, "bytes, or a text such as 500M or 2G"))


def default_folder() -> str:
    """The user's own: ``llm-sync/answers`` in the system's folder for caches. Raises ConfigurationError where there is none."""
    from platformdirs import user_cache_dir

    try:
        folder = os.path.join(user_cache_dir("llm-sync", appauthor=False), "answers")
    except (OSError, RuntimeError):
        folder = ""
    if not os.path.isabs(folder):
        raise _error("this system names no folder for caches", "Name the folder: cache: /path/of/a/folder.")
    return folder


def _amount(name: str, value: Any, units: Mapping[str, int], expected: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    factor = units.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise _error(f"{name} of the cache is {value!r}", f"Give {expected}.")
    return min(float(match[1]) * factor, _MAX_AMOUNT)


def _folder(value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value) or "\0" in str(os.fspath(value)):
        raise _error(f"the folder of the cache is {value!r}", "Give the path of a folder.")
    return os.path.abspath(os.path.expanduser(os.fsdecode(value)))


def _error(message: str, guidance: str) -> ConfigurationError:
    return ConfigurationError(message, guidance=guidance)
