"""Background answers: OpenAI's Responses API and servers that have it, xAI's deferred completions, Perplexity's async ones."""

from __future__ import annotations

import os
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


class AsyncSonar(BackgroundWire):
    """Perplexity: a job around an ordinary request, with a key by which a repeated create is none."""

    def __init__(self) -> None:
        self._key = os.urandom(16).hex()

    def asked(self, payload: Mapping[str, Any], window: str | None, *, stored: bool) -> dict[str, Any]:
        request = {name: value for name, value in payload.items() if name != "stream"}
        return {"request": request, "idempotency_key": self._key}

    def create_path(self) -> str:
        return "/v1/async/sonar"

    def job(self, body: Any) -> BackgroundJob | None:
        if not isinstance(body, Mapping) or body.get("status") not in ("CREATED", "IN_PROGRESS"):
            return None
        made = job_id(body.get("id"))
        return None if made is None else BackgroundJob(made)

    def path(self, job: str) -> str:
        return f"/v1/async/sonar/{quote(job, safe='')}"

    def answer(self, body: Any) -> Any:
        if not isinstance(body, Mapping) or body.get("status") not in ("COMPLETED", "FAILED"):
            return body
        failure = {"error": {"message": body.get("error_message") or "the answer failed", "code": "server_error"}}
        return body.get("response") or failure


def responses_background(is_at: Callable[..., bool]) -> BackgroundWire | None:
    """The wire of a Responses API; None for a host that has none of it. Servers that nobody knows are taken at their word."""
    return None if is_at(*_NO_RESPONSES) else ResponsesBackground()


def chat_background(model: str, is_at: Callable[..., bool]) -> BackgroundWire | None:
    """The wire of chat completions; None but for xAI, and for Perplexity's model that needs it."""
    if is_at("perplexity.ai") and model == "sonar-deep-research":
        return AsyncSonar()
    return DeferredCompletions() if is_at("x.ai") else None
