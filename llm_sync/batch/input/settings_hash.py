"""The hash of the settings that an answer depends on beside its line.

It has two parts: that of the model's settings, and, for inputs other than JSON, that of how lines become prompts (the
template, the columns). Two runs whose second part differs may nevertheless make the same prompt of a line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from llm_sync.models.documents import data_url, load_file
from llm_sync.models.media import Media

SIMULATED = "simulated-"
_OF_LINES = ("text", "template", "delimiter", "columns")  # the settings of line formats
_SEPARATOR = "."


def settings_hash(settings: Mapping[str, Any]) -> str:
    """The hash: 16 hexadecimal digits for the model, with the prefix SIMULATED if a simulator answers; then ``.`` and 8 digits
    for the lines, unless they are JSON.
    """
    of_lines = {name: settings[name] for name in _OF_LINES if name in settings}
    of_model = {name: value for name, value in settings.items() if name not in of_lines}
    return former_hash(of_model) + (f"{_SEPARATOR}{_digest(of_lines)[:8]}" if of_lines else "")


def former_hash(settings: Mapping[str, Any]) -> str:
    """The hash in records of release 0.1, in one part."""
    return f"{SIMULATED}{_digest(settings)}" if settings.get("simulated") else _digest(settings)


def model_part(digest: str) -> str:
    """The part of a hash for the model's settings."""
    return digest.partition(_SEPARATOR)[0]


def lines_part(digest: str) -> str:
    """The part of a hash for how lines become prompts; empty for JSON, and in hashes of release 0.1."""
    return digest.partition(_SEPARATOR)[2]


def _digest(settings: Mapping[str, Any]) -> str:
    text = json.dumps(settings, sort_keys=True, default=_hashable)
    return blake2b(text.encode("ascii"), digest_size=8).hexdigest()


def _hashable(value: Any) -> str:
    """What stands for a value that JSON has no form for: for a file, the hash of its content."""
    return blake2b(data_url(load_file(value)).encode()).hexdigest() if isinstance(value, (Media, bytes)) else repr(value)
