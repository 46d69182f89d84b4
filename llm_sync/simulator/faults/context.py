"""The context of one request, for the rules and actions of a script."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llm_sync.simulator.dialects.base import Call, Dialect
from llm_sync.simulator.faults.seeded_random import SeededRandom
from llm_sync.simulator.server.response import Response

# of calls to a job API; a line is a request within a job
JOB_CALLS = ("upload", "create", "poll", "list", "results", "cancel", "delete")
REQUEST_KINDS = ("generate", "models", "embed", "count", *JOB_CALLS, "line")
_COUNTS = ("/count_tokens", "/input_tokens", ":countTokens", "/count-tokens:rawPredict")
_EMBEDS = ("/embeddings", "/embed", ":batchEmbedContents", ":embedContent", ":predict", "/invoke")


@dataclass
class RequestContext:
    """``type_name``: the provider type of the call; ``root``: the simulator's URL; ``key_hash``: a hash of the request's key.

    A script sets ``seeded_random`` and ``attempt`` if one of its rules needs them.
    """

    type_name: str
    dialect: Dialect
    call: Call
    root: str
    key_hash: str | None
    seeded_random: SeededRandom | None = None
    attempt: int = 1
    _normal_response: Response | None = field(default=None, repr=False)
    _prompt: str | None = field(default=None, repr=False)

    @property
    def request_kind(self) -> str:
        """``generate``, ``models`` (a listing), ``embed``, ``count`` (of tokens), what a job API is asked for, or ""."""
        if self.call.job_call:
            return self.call.job_call
        if self.call.method == "POST":
            if self.call.path.endswith(_COUNTS):
                return "count"
            return "embed" if self.call.path.endswith(_EMBEDS) else "generate"
        listed = "/models" in self.call.path or self.call.path in ("/foundation-models", "/inference-profiles")
        return "models" if self.call.method == "GET" and listed else ""

    @property
    def prompt(self) -> str:
        """The text of the user's last message."""
        if self._prompt is None:
            self._prompt = last_user_text(self.call.payload)
        return self._prompt

    def draw_for_attempt(self, name: str) -> float:
        """A random number for this attempt, in (0, 1)."""
        return self.seeded_random.for_attempt(name) if self.seeded_random else 0.5

    def draw_for_request(self, name: str) -> float:
        """A random number for this request, the same for all its attempts, in (0, 1)."""
        return self.seeded_random.for_request(name) if self.seeded_random else 0.5

    def normal_response(self) -> Response:
        """The dialect's answer without any fault; computed once."""
        if self._normal_response is None:
            self._normal_response = self.dialect.answer(self.call)
        return self._normal_response


def last_user_text(payload: Any) -> str:
    """The text of the user's last message, in any dialect; "" if there is none."""
    if not isinstance(payload, dict):
        return ""
    turns = payload.get("messages") or payload.get("contents") or payload.get("input")
    if isinstance(turns, str):
        return turns
    for turn in reversed(turns) if isinstance(turns, list) else ():
        if isinstance(turn, dict) and turn.get("role", "user") == "user" and turn.get("type", "message") == "message":
            return _text(turn.get("content", turn.get("parts")))
    return ""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))
