"""Deferred chat completions, as xAI has them: the create gives an id, and the answer can be read exactly once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.dialects.base import Call, Dialect, line_call, owner_of, run_line
from llm_sync.simulator.dialects.openai.checks import Refuse
from llm_sync.simulator.jobs.deferred import DeferredAnswer
from llm_sync.simulator.jobs.store import JobStore
from llm_sync.simulator.server.response import RequestRefused, Response

PATH = "/chat/deferred-completion/"
_KEPT = 86_400.0


def create(call: Call, dialect: Dialect, jobs: JobStore, _refuse: Refuse) -> Mapping[str, Any]:
    """``{"request_id": …}`` for a call that passes the checks of an ordinary one."""
    payload = {name: value for name, value in call.payload.items() if name != "deferred"}
    checked = dialect.answer(line_call(dialect, call, call.path, payload))
    if checked.status != 200:
        raise RequestRefused(checked)
    now, identifier = jobs.clock.now(), str(uuid.uuid4())
    jobs.answers[identifier] = DeferredAnswer(
        identifier,
        owner_of(call, dialect),
        now,
        now + (jobs.settings.answer_takes if call.plan.takes is None else call.plan.takes),
        now + (_KEPT if call.plan.kept is None else call.plan.kept),
        call.plan,
        lambda: run_line(dialect, line_call(dialect, call, call.path, payload)),
        lambda tokens, tier: jobs.bill(dialect.provider, call.model, tokens, tier),
        {},
    )
    return {"request_id": identifier}


def reply(call: Call, dialect: Dialect, jobs: JobStore, refuse: Refuse) -> Response:
    """202 without a body while the answer is not made, then the answer, once."""
    identifier = call.path.removeprefix(PATH)
    answer = jobs.answer(identifier, owner_of(call, dialect))
    if answer is None or answer.read or "queued" in answer.facts:
        refuse(f"No deferred completion found for the request id '{identifier}'.", status=404)
    answer.polls += 1
    if answer.response is None:
        return Response(202, b"", ())
    answer.read = True
    return answer.response._replace(tokens=None)
