"""Replays a store: the folder in which llm-sync's cache, or the fixture ``llm_recorded``, keeps providers' replies.

A request gets the reply to the stored request of the same dialect with the same payload, wherever that was sent. The same request
again gets the next of its samples, and after the last one the first again. Files that are no stored answers are ignored.
"""

from __future__ import annotations

import json
import os
import threading
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_sync.errors import ConfigurationError, Problem
from llm_sync.simulator.dialects.recordings import MAX_BYTES, response_of
from llm_sync.simulator.server.response import Response
from llm_sync.validation import shown
from llm_sync.validation.document import printable
from llm_sync.validation.user_files import open_user_file

_FORMAT = 1


class StoredReplies:
    """The replies of one folder. Thread-safe. ``otherwise``: requests that are not in it are answered normally."""

    def __init__(self, folder: str | os.PathLike[str], *, otherwise: bool = False) -> None:
        """Raises ConfigurationError if the folder holds no reply."""
        self.folder = printable(folder)
        self.otherwise = otherwise
        self._lock = threading.Lock()  # guards _next
        self._next: dict[tuple[str, str], int] = {}
        self._replies: dict[tuple[str, str], list[Response]] = {}
        for path in sorted(Path(folder).glob("??/*.json"), key=_order):
            entry = _read_entry(path)
            if entry is not None:
                key, response = entry
                self._replies.setdefault(key, []).append(response)
        if not self._replies:
            problem = Problem(
                "it contains no stored reply", file=self.folder, hint="a folder that --cache or llm_recorded has filled"
            )
            raise ConfigurationError(
                f"the replies in {self.folder} cannot be replayed", problems=(problem,), guidance="Nothing was started."
            )

    def __len__(self) -> int:
        return sum(map(len, self._replies.values()))

    def find(self, dialect: str, model: str, payload: Any) -> Response | None:
        """The reply to a request of a provider type; None if there is none."""
        key = (dialect, _canonical(model, payload))
        replies = self._replies.get(key)
        if replies is None:
            return None
        with self._lock:
            position = self._next.get(key, 0)
            self._next[key] = (position + 1) % len(replies)
        return replies[position]

    def missing(self, model: str) -> str:
        """What to say of a request that is not there."""
        return f"simulator: {self.folder} has no reply to this request (model {shown(model)})"


def _order(path: Path) -> tuple[str, int]:
    """By key and sample: the number of a sample follows the key, behind a dash, except for the first."""
    digest, _, sample = path.stem.partition("-")
    return digest, int(sample) if sample.isdecimal() else 0


def _canonical(model: str, payload: Any) -> str:
    """The same text for payloads that differ in the order of their keys only. Gemini's model is in the URL."""
    return json.dumps([model.removeprefix("models/"), payload], sort_keys=True)


def _read_entry(path: Path) -> tuple[tuple[str, str], Response] | None:
    """Dialect and request of a stored answer, and its reply; None for a file that is none."""
    try:
        with open_user_file(path) as stream:
            entry = json.loads(stream.read(MAX_BYTES + 1))
        if entry["llm_sync_answer"] != _FORMAT or "reply" not in entry:
            return None
        request = entry["request"] if "request" in entry else json.loads(_content("request", entry))
        reply = entry["reply"]
        body = reply["body"] if "body" in reply else _content("body", reply).decode("utf-8", "replace")
        response = response_of({"status": reply["status"], "headers": reply.get("headers"), "body": body})
        return (str(entry["dialect"]), _canonical(str(entry["model"]), request)), response
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _content(name: str, document: Mapping[str, Any]) -> bytes:
    if f"{name}_text" in document:
        return str(document[f"{name}_text"]).encode("utf-8", "surrogatepass")
    return b64decode(document[f"{name}_base64"], validate=True)
