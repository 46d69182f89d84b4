"""How a test tells the clients that are made in it, in any process, to record or to replay: one environment variable, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llm_sync.cache.settings import CacheSettings
from llm_sync.cache.store import Store
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


# For the fixture -----------------------------------------------------------------------------------------------------

# Hosts whose usual key variable must be set for a client without a configuration: replaying needs no key, but a name for one.
_KEY_VARIABLES = {
    "api.openai.com": "OPENAI_API_KEY",
    "api.anthropic.com": "ANTHROPIC_API_KEY",
    "generativelanguage.googleapis.com": "GEMINI_API_KEY",
    "openrouter.ai": "OPENROUTER_API_KEY",
}
PLACEHOLDER = "sk-replayed-nothing-is-sent"

_misses: dict[str, list[str]] = {}  # of the latest run alone


def mode_once(cassette: Path, marks: Path) -> str:
    """Replay from a cassette that had answers when this test session first looked at it; else record.

    ``marks``: a folder that all processes of the session share.
    """
    name = marks / sha256(str(cassette).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    has_answers = any(cassette.glob("??/*.json"))  # before the mark is looked for: whoever records sets it first
    if name.exists():
        return RECORD
    if has_answers:
        return REPLAY
    marks.mkdir(parents=True, exist_ok=True)
    name.touch()
    return RECORD


def placeholder_keys(cassette: Path, environ: Mapping[str, str], owner: int) -> dict[str, str]:
    """A placeholder for each usual key variable that was set when the cassette was recorded, and is not set now."""
    store = Store(str(cassette), owners=frozenset({owner}))
    hosts = {urlsplit(entry.url).hostname for path in store.paths() if (entry := store.load(path)) is not None}
    names = {variable for host, variable in _KEY_VARIABLES.items() if host in hosts}
    if any(host and host.startswith("bedrock-runtime.") for host in hosts):  # one for each region
        names.add("AWS_BEARER_TOKEN_BEDROCK")
    return dict.fromkeys((name for name in names if not environ.get(name)), PLACEHOLDER)


def note_miss(run: str, message: str) -> None:
    """Note that a request of a run has no recorded answer."""
    if run not in _misses:
        _misses.clear()
    _misses.setdefault(run, []).append(message)


def misses_of(run: str) -> list[str]:
    """What was noted of a run in this process."""
    return _misses.get(run, [])
