"""Mistral: chat completions, files, and batch jobs under ``/batch/jobs``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, NoReturn

from llm_sync.simulator.dialects.base import Call
from llm_sync.simulator.dialects.embeddings.services import MistralEmbeddings
from llm_sync.simulator.dialects.openai import files, mistral_jobs
from llm_sync.simulator.dialects.openai.checks import Refuse
from llm_sync.simulator.jobs.store import JobStore
from llm_sync.simulator.server.file_body import FileBody
from llm_sync.simulator.server.response import JSON_TYPE, RequestRefused, Response

_DROPPED = ("safe_prompt", "prompt_mode", "guardrails")
_TOOL_CHOICES = {"any": "required"}


def _check_lines(content: bytes, refuse: Refuse) -> None:
    """Every line must be an object with a body, else the upload is refused."""
    mistral_jobs.check_lines(content.split(b"\n"), refuse)


class Mistral(MistralEmbeddings):
    """As OpenAI for chat completions, with Mistral's names for parameters; errors of batches and files are Mistral's."""

    _FILES = files.FileRules(
        new_id=lambda: str(uuid.uuid4()),
        kept=None,
        fields=("purpose", "file", "expiry", "visibility"),
        check=_check_lines,
        further={"sample_type": "batch_request", "source": "upload", "mimetype": "application/jsonl", "deleted": False},
    )

    def job_call(self, call: Call) -> str:
        """Calls under /files and /batch/jobs."""
        return mistral_jobs.job_call(call.method, call.path)

    def deferring_keys(self, _call: Call) -> tuple[str, ...]:
        """None."""
        return ()

    def _authenticate(self, call: Call) -> None:
        if not call.accepts(self.key_of(call) or ""):
            raise RequestRefused(Response(401, {"detail": "Invalid API Key"}, JSON_TYPE))

    def _job(self, call: Call, jobs: JobStore) -> Response:
        if call.job_call == "create":
            self._check_json(call)
        with jobs.lock:
            if call.path.startswith("/batch/jobs"):
                return Response(200, mistral_jobs.reply(call, self, jobs, self._refuse_job), JSON_TYPE)
            body = files.reply(call, self, jobs, self._refuse_job, self._FILES)
        is_file = isinstance(body, FileBody)
        return Response(200, body, (("content-type", "application/octet-stream"),) if is_file else JSON_TYPE)

    def _refuse_job(self, message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> NoReturn:
        """Raises RequestRefused; a mistake in a field is 422 with a list, as FastAPI writes it."""
        if status in (401, 404):
            raise RequestRefused(Response(status, {"detail": message}, JSON_TYPE))
        place = {"type": code or "value_error", "loc": ["body", *([param] if param else [])], "msg": message}
        raise RequestRefused(Response(422, {"detail": [place]}, JSON_TYPE))

    def _complete(self, call: Call) -> tuple[dict[str, Any], tuple[int, int]]:
        payload: Mapping[str, Any] = call.payload
        renamed = {"seed" if name == "random_seed" else name: value for name, value in payload.items() if name not in _DROPPED}
        if isinstance(renamed.get("tool_choice"), str):
            renamed["tool_choice"] = _TOOL_CHOICES.get(renamed["tool_choice"], renamed["tool_choice"])
        call.payload = renamed
        return super()._complete(call)
