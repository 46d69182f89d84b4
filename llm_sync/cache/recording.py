"""How a test tells the clients that are made in it, in any process, to record or to replay: one environment variable, as JSON."""

from __future__ import annotations

import json
from typing import Any

from llm_sync.cache.settings import CacheSettings
from llm_sync.errors import ConfigurationError

REPLAY, RECORD, REFRESH = "replay", "record", "refresh"
"""Send nothing; send what is not stored; send everything."""


def recording_text(folder: str, mode: str, *, run: str, errors: bool, owners: list[int]) -> str:
    """The value of the variable. ``run``: a name for the test, within which equal requests are counted."""
    return json.dumps({"dir": folder, "mode": mode, "run": run, "errors": errors, "owners": owners})


def recording_settings(text: str) -> CacheSettings:
    """The settings that such a text means. Raises ConfigurationError for any other text."""
    try:
        given: dict[str, Any] = json.loads(text)
        mode = {name: name for name in (REPLAY, RECORD, REFRESH)}[given["mode"]]
        return CacheSettings(
            dir=str(given["dir"]),
            errors=given["errors"] is True,
            offline=mode == REPLAY,
            refresh=mode == REFRESH,
            counted=str(given["run"]),
            pretty=True,
            owners=frozenset(map(int, given["owners"])),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ConfigurationError(
            "LLM_SYNC_RECORDING is malformed", guidance="Unset it: only the fixture llm_recorded sets it, for its test."
        ) from None
