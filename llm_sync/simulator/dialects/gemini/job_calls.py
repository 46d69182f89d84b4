"""What a call to Gemini's batches and files asks for."""

from __future__ import annotations

import re

_CALLS = (
    ("", "POST", r"/models/[^/]+:batchGenerateContent", "create"),
    ("", "GET", r"/batches", "list"),
    ("", "GET", r"/batches/[^/:]+", "poll"),
    ("", "POST", r"/batches/[^/:]+:cancel", "cancel"),
    ("", "DELETE", r"/batches/[^/:]+", "delete"),
    ("upload", "POST", r"/files", "upload"),
    ("", "GET", r"/files", "list"),
    ("", "GET", r"/files/[^/:]+", "poll"),
    ("", "DELETE", r"/files/[^/:]+", "delete"),
    ("download", "GET", r"/files/[^/:]+:download", "results"),
    ("", "GET", r"/files/[^/:]+:download", "results"),
)


def job_call(prefix: str, method: str, path: str) -> str:
    """The word for it (faults/context.py); "" for any other call. ``prefix``: what stands before the version in the path."""
    for wanted, verb, pattern, word in _CALLS:
        if (wanted, verb) == (prefix, method) and re.fullmatch(pattern, path):
            return word
    return ""
