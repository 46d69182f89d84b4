"""Interactions in the background: created at once, made later, and fetched by their id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.dialects.base import Call, Dialect, line_call, owner_of, run_line
from llm_sync.simulator.dialects.interactions.checks import Refuse
from llm_sync.simulator.dialects.interactions.reply import interaction_id, now_text
from llm_sync.simulator.jobs.deferred import DeferredAnswer
from llm_sync.simulator.jobs.store import JobStore
from llm_sync.simulator.server.response import RequestRefused, Response

_KEPT = 86_400.0  # seconds: a day without a paid account
_NOT_IN_BACKGROUND = re.compile(r"gemini-(?:1|2|3\.0|3-|flash|pro)|gemma")


def job_call(call: Call) -> str:
    """What a call asks for: a creation in the background, a poll, a cancel or a deletion; "" for others."""
    if call.path == "/":
        wanted = isinstance(call.payload, dict) and call.payload.get("background") is True
        return "create" if call.method == "POST" and wanted else ""
    if call.method == "POST":
        return "cancel" if call.path.endswith("/cancel") else ""
    return {"GET": "poll", "DELETE": "delete"}.get(call.method, "")


def create(call: Call, dialect: Dialect, jobs: JobStore, refuse: Refuse) -> Mapping[str, Any]:
    """The interaction in progress, to a call that passes the checks of an ordinary one."""
    payload = {name: value for name, value in call.payload.items() if name != "background"}
    if "agent" not in payload and _NOT_IN_BACKGROUND.match(call.model) and not call.deferred:
        refuse(f"Model '{call.model}' does not support background interactions.")
    if payload.get("store") is False and not call.deferred:
        refuse("Background interactions must be stored: 'store' must not be false.")
    plain = line_call(dialect, call, "/", payload)
    checked = dialect.answer(plain)
    if checked.status != 200:
        raise RequestRefused(checked)
    now, identifier = jobs.clock.now(), interaction_id()
    named = {"agent": payload["agent"]} if "agent" in payload else {"model": payload.get("model")}
    shown = {
        "id": identifier,
        "status": "in_progress",
        "created": now_text(now),
        "updated": now_text(now),
        "object": "interaction",
    }
    jobs.answers[identifier] = DeferredAnswer(
        identifier,
        owner_of(call, dialect),
        now,
        now + (jobs.settings.answer_takes if call.plan.takes is None else call.plan.takes),
        now + (_KEPT if call.plan.kept is None else call.plan.kept),
        call.plan,
        lambda: _make(dialect, line_call(dialect, plain, "/", payload)),
        lambda tokens, tier: jobs.bill(dialect.provider, call.model, tokens, tier),
        {"interaction": {**shown, **named}, "input": payload.get("input")},
    )
    return {**shown, **named}


def reply(call: Call, dialect: Dialect, jobs: JobStore, refuse: Refuse) -> Mapping[str, Any]:
    """The body of the answer to a call under ``/interactions/ID``."""
    identifier, _, action = call.path[1:].partition("/")
    answer = jobs.answer(identifier, owner_of(call, dialect))
    if answer is None or "interaction" not in answer.facts:
        refuse(f"Interaction {identifier[:60]} not found.", 404)
    if call.method == "DELETE" and not action:
        del jobs.answers[identifier]
        return {}
    if call.method == "POST" and action == "cancel":
        answer.cancel(jobs.clock.now())
    elif call.method != "GET" or action:
        refuse("Method not allowed.", 405)
    else:
        answer.polls += 1
    return _shown(answer)


def _shown(answer: DeferredAnswer) -> Mapping[str, Any]:
    """The interaction as it is now: with what was asked, once it has ended."""
    made: Mapping[str, Any] = answer.facts["interaction"]
    if answer.response is None:
        return {**made, "status": "in_progress" if answer.cancelled is None else "cancelled"}
    body = answer.response.body if isinstance(answer.response.body, dict) else {}
    if answer.response.status != 200:
        return {
            **made,
            "status": "failed",
            "errors": [body.get("error") or {"code": "internal", "message": "An error occurred."}],
        }
    named = {name: made[name] for name in ("id", "created", "agent") if name in made}
    rest = {name: value for name, value in body.items() if name != "model" or "agent" not in made}
    return {**rest, **named, "steps": [*_asked(answer.facts["input"]), *body.get("steps", ())]}


def _asked(given: Any) -> list[dict[str, Any]]:
    """The input as steps."""
    if isinstance(given, str):
        return [{"type": "user_input", "content": [{"type": "text", "text": given}]}]
    items = [given] if isinstance(given, dict) else list(given)
    if all(item.get("type") in ("text", "image", "document", "audio", "video") for item in items):
        return [{"type": "user_input", "content": items}]
    return items


def _make(dialect: Dialect, call: Call) -> Response | None:
    """The answer as a script says; None if it is lost, or never made."""
    response = run_line(dialect, call)
    return None if call.fate else response
