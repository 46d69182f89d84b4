"""Background answers of OpenAI's Responses API: created at once, made later, and fetched by their id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.dialects.base import Call, Dialect, line_call, owner_of, random_id, run_line
from llm_sync.simulator.dialects.openai.checks import Refuse
from llm_sync.simulator.jobs.deferred import DeferredAnswer
from llm_sync.simulator.jobs.store import JobStore
from llm_sync.simulator.server.response import RequestRefused, Response

WINDOWS = {"soonest": None, "2h": "2h", "8h": "8h"}  # completion windows, and the tier that they are billed at
_UNSTORED, _STORED = 600.0, 30 * 86_400.0
_QUEUED = 0.2  # of the time that an answer takes
_WINDOW_FACTOR = 30  # an answer with a completion window takes so much longer


def create(call: Call, dialect: Dialect, jobs: JobStore, refuse: Refuse) -> Mapping[str, Any]:
    """The queued response to a call that passes the checks of an ordinary one."""
    payload = {name: value for name, value in call.payload.items() if name not in ("background", "background_options")}
    tier = _window(call, refuse)
    plain = line_call(dialect, call, "/responses", payload)
    body = dialect.answer(plain)
    if body.status != 200:
        raise RequestRefused(body)
    stored = payload.get("store") is True and not call.plan.not_stored
    now, identifier = jobs.clock.now(), random_id("resp_", 50)
    takes = jobs.settings.answer_takes * (_WINDOW_FACTOR if tier else 1) if call.plan.takes is None else call.plan.takes
    kept = call.plan.kept if call.plan.kept is not None else _STORED if stored else _UNSTORED
    queued = {
        **body.body,
        "id": identifier,
        "status": "queued",
        "background": not call.deferred,
        "store": stored,
        "output": [],
        "usage": None,
    }
    queued |= {"created_at": int(now), "completed_at": None, "service_tier": "auto", "incomplete_details": None}
    queued.pop("billing", None)
    answer = DeferredAnswer(
        identifier,
        owner_of(call, dialect),
        now,
        now + takes,
        now + kept,
        call.plan,
        lambda: _make(dialect, line_call(dialect, plain, "/responses", payload)),
        lambda tokens, billed_tier: jobs.bill(dialect.provider, call.model, tokens, billed_tier),
        {"queued": queued},
        tier,
    )
    jobs.answers[identifier] = answer
    return queued


def reply(call: Call, dialect: Dialect, jobs: JobStore, refuse: Refuse) -> Mapping[str, Any]:
    """The body of the answer to a call under ``/responses/ID``."""
    identifier, _, action = call.path.removeprefix("/responses/").partition("/")
    answer = jobs.answer(identifier, owner_of(call, dialect))
    if answer is None or "queued" not in answer.facts:
        refuse(f"Response with id '{identifier}' not found.", status=404)
    if call.method == "DELETE" and not action:
        del jobs.answers[identifier]
        return {"id": identifier, "object": "response", "deleted": True}
    if call.method == "POST" and action == "cancel":
        if answer.facts["queued"]["background"] is False:
            refuse("Cannot cancel a synchronous response.", status=400)
        answer.cancel(jobs.clock.now())
    elif call.method != "GET" or action:
        refuse(f"Invalid URL ({call.method} /v1{call.path})", status=404)
    elif "reasoning.encrypted_content" in " ".join(call.query.values()):
        refuse("Encrypted content cannot be requested for persisted responses.", param="include")
    else:
        answer.polls += 1
    return shown(answer, jobs.clock.now())


def shown(answer: DeferredAnswer, now: float) -> Mapping[str, Any]:
    """The response as it is now."""
    queued = answer.facts["queued"]
    if answer.response is not None:
        return _ended(queued, answer.response, int(answer.due))
    if answer.cancelled is not None:
        return {**queued, "status": "cancelled"}
    waiting = now < answer.created + (answer.due - answer.created) * _QUEUED
    return {**queued, "status": "queued" if waiting else "in_progress"}


def _ended(queued: Mapping[str, Any], response: Response, at: int) -> Mapping[str, Any]:
    kept = {name: queued[name] for name in ("id", "created_at", "background", "store")}
    if response.status == 200 and isinstance(response.body, dict):
        completed = at if response.body.get("completed_at") is not None else None
        return {**response.body, **kept, "completed_at": completed}
    body = response.body if isinstance(response.body, dict) else {}
    error = body.get("error") or {}
    return {
        **queued,
        "status": "failed",
        "error": {"code": _failure_code(response.status, error), "message": error.get("message", "An error occurred.")},
    }


def _failure_code(status: int, error: Mapping[str, Any]) -> str:
    """The code of a failed response; few of an error's own codes are known there."""
    if status == 429 or status >= 500:
        return "server_error" if status >= 500 else "rate_limit_exceeded"
    code = error.get("code")
    return "invalid_prompt" if code == "content_policy_violation" else code if isinstance(code, str) else "server_error"


def _make(dialect: Dialect, call: Call) -> Response | None:
    """The answer as a script says; None if it is lost, or never made."""
    response = run_line(dialect, call)
    return None if call.fate else response


def _window(call: Call, refuse: Refuse) -> str | None:
    options = call.payload.get("background_options")
    if options is None:
        return None
    window = options.get("completion_window", "soonest") if isinstance(options, dict) else None
    if window not in WINDOWS or set(options) - {"completion_window"}:
        refuse(
            "Invalid 'background_options': expected an object with completion_window 'soonest', '2h' or '8h'.",
            param="background_options.completion_window",
            code="invalid_value",
        )
    if call.payload.get("background") is not True:
        refuse("'background_options' is only allowed with background: true.", param="background_options")
    return WINDOWS[window]
