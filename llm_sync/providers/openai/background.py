"""Background answers of OpenAI's Responses API and of servers that have it, and xAI's deferred chat completions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from llm_sync.providers.background_wire import PENDING, BackgroundJob, BackgroundWire, job_id

_UNSTORED_S = 600.0  # how long OpenAI keeps an answer that it does not store
# Hosts whose Responses API answers at once only (facts as of November 2026).
_NO_RESPONSES = ("openrouter.ai", "deepseek.com", "x.ai", "groq.com")


class ResponsesBackground(BackgroundWire):
    """``background: true``; GET /responses/ID until its status is final."""

    def asked(self, payload: Mapping[str, Any], window: str | None, *, stored: bool) -> dict[str, Any]:
        made = {**payload, "background": True}
        if stored:
            made["store"] = True  # what OpenAI does without it differs by project: ten minutes, or thirty days
        if window is not None:
            made["background_options"] = {"completion_window": window}
        return made

    def job(self, body: Any) -> BackgroundJob | None:
        if not isinstance(body, Mapping) or body.get("status") not in PENDING:
            return None
        made = job_id(body.get("id"))
        return None if made is None else BackgroundJob(made, _UNSTORED_S if body.get("store") is False else None)

    def path(self, job: str) -> str:
        return f"/responses/{quote(job, safe='')}"

    def cancel_path(self, job: str) -> str:
        return f"{self.path(job)}/cancel"

    def windows(self) -> bool:
        return True


class DeferredCompletions(BackgroundWire):
    """xAI: ``deferred: true``; the answer can be read once, within a day."""

    reads_once: ClassVar[bool] = True

    def asked(self, payload: Mapping[str, Any], window: str | None, *, stored: bool) -> dict[str, Any]:
        return {**payload, "deferred": True}

    def job(self, body: Any) -> BackgroundJob | None:
        if not isinstance(body, Mapping) or body.get("choices") or body.get("error"):
            return None
        made = job_id(body.get("request_id"))
        return None if made is None else BackgroundJob(made, 86400.0)

    def path(self, job: str) -> str:
        return f"/chat/deferred-completion/{quote(job, safe='')}"


def responses_background(is_at: Callable[..., bool]) -> BackgroundWire | None:
    """The wire of a Responses API; None for a host that has none of it. Servers that nobody knows are taken at their word."""
    return None if is_at(*_NO_RESPONSES) else ResponsesBackground()


def chat_background(is_at: Callable[..., bool]) -> BackgroundWire | None:
    """The wire of chat completions; None but for xAI."""
    return DeferredCompletions() if is_at("x.ai") else None
