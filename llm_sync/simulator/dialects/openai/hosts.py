"""xAI and Groq: OpenAI's chat completions with deferred answers (xAI) or with a Batch API and tiers of their own (Groq)."""

from __future__ import annotations

from typing import Any

from llm_sync.simulator.dialects.base import Call
from llm_sync.simulator.dialects.openai import checks, deferred
from llm_sync.simulator.dialects.openai.batches import WINDOWS, Batches, job_call
from llm_sync.simulator.dialects.openai.endpoint import OpenAI
from llm_sync.simulator.jobs.store import JobStore
from llm_sync.simulator.server.response import Response


class XAI(OpenAI):
    """``deferred: true`` on chat completions, and ``GET /chat/deferred-completion/ID``, which answers once. No batches."""

    def job_call(self, call: Call) -> str:
        """A deferred completion, made or fetched."""
        if call.method == "GET" and call.path.startswith(deferred.PATH):
            return "poll"
        wanted = isinstance(call.payload, dict) and call.payload.get("deferred") is True
        return "create" if call.method == "POST" and call.path == "/chat/completions" and wanted else ""

    def deferring_keys(self, call: Call) -> tuple[str, ...]:
        """Only chat completions have deferred answers; no response is made in the background."""
        return ("deferred",) if call.path == "/chat/completions" else ()

    def _job(self, call: Call, jobs: JobStore) -> Response:
        if call.job_call == "create":
            self._check_json(call)
            return self._defer(call, jobs)
        with jobs.lock:
            return deferred.reply(call, self, jobs, self.refuse)


class Groq(OpenAI):
    """Chat completions and batches of them, with windows of up to seven days and a tier ``batch`` in the rows."""

    _TIERS = ("auto", "on_demand", "flex", "performance")

    def job_call(self, call: Call) -> str:
        """As OpenAI, without background answers."""
        return "" if call.path.startswith("/responses") else job_call(call.method, call.path)

    def deferring_keys(self, _call: Call) -> tuple[str, ...]:
        """None."""
        return ()

    def no_capacity(self, call: Call) -> Response | None:
        """Status 498 for the tier flex."""
        if call.payload.get("service_tier") != "flex":
            return None
        message = "Flex tier capacity exceeded for this model. Please try again later."
        return self._error(498, message, None, "capacity_exceeded", "capacity_exceeded")

    def tier_of(self, call: Call) -> str:
        """``batch`` in a batch; on_demand unless another tier is asked for."""
        tier = call.payload.get("service_tier")
        return "batch" if call.job_call == "line" else tier if tier in ("flex", "performance") else "on_demand"

    def _batches(self) -> Batches:
        windows = {**WINDOWS, **{f"{days}d": days * 86_400.0 for days in range(1, 8)}, "48h": 172_800.0, "168h": 604_800.0}
        return Batches(self, self.refuse, ("/v1/chat/completions",), windows)

    def _complete(self, call: Call) -> tuple[dict[str, Any], tuple[int, int]]:
        checks.check_one_of(call.payload, "service_tier", self._TIERS, self.refuse)
        call.payload = {name: value for name, value in call.payload.items() if name != "service_tier"}
        return super()._complete(call)
