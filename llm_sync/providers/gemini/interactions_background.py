"""Interactions in the background: agents need it, and long answers do well with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from llm_sync.providers.background_wire import BackgroundJob, BackgroundWire, job_id

_PENDING = frozenset({"queued", "in_progress"})


class InteractionsBackground(BackgroundWire):
    """``background: true``; GET /interactions/ID, which also gives what was asked, until its status is final."""

    def asked(self, payload: Mapping[str, Any], window: str | None, *, stored: bool) -> dict[str, Any]:
        return {**payload, "background": True, **({"store": True} if stored else {})}  # what is not stored cannot be fetched

    def job(self, body: Any) -> BackgroundJob | None:
        if not isinstance(body, Mapping) or body.get("status") not in _PENDING:
            return None
        made = job_id(body.get("id"))
        return None if made is None else BackgroundJob(made)

    def path(self, job: str) -> str:
        return f"/interactions/{quote(job, safe='')}"

    def cancel_path(self, job: str) -> str:
        return f"{self.path(job)}/cancel"

    def answer(self, body: Any) -> Any:
        steps = body.get("steps") if isinstance(body, Mapping) else None
        if not isinstance(steps, list):
            return body
        return {**body, "steps": [step for step in steps if not isinstance(step, dict) or step.get("type") != "user_input"]}
