"""The base classes of a script's actions: a name, a setting with its Cerberus schema, and the effect on the response.

The actions are in delays.py, replacements.py, body_faults.py and transfer_faults.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from llm_sync.simulator.faults.context import JOB_CALLS, RequestContext
from llm_sync.simulator.faults.retry_after import RETRY_AFTER_FORMS
from llm_sync.simulator.server.response import Response

Schema = dict[str, Any]

SECONDS: Schema = {"type": "number", "min": 0, "max": 86_400, "check_with": "finite"}
SECONDS["meta"] = {"expected": "seconds, from 0 to 86400"}
ONLY_TRUE: Schema = {
    "type": "boolean",
    "allowed": [True],
    "meta": {"expected": "true", "hint": "remove the rule to turn it off"},
}

FORMS_SETTING: Schema = {
    "type": ["string", "list"],
    "allowed": list(RETRY_AFTER_FORMS),
    "empty": False,
    "meta": {"expected": "a form, or a list of forms, of " + ", ".join(RETRY_AFTER_FORMS)},
}


def true_or(kind: str, expected: str, **rules: Any) -> Schema:
    """The schema of a setting that may also be just ``true``."""
    if "allowed" in rules:
        rules["allowed"] = [True, *rules["allowed"]]
    return {**rules, "type": ["boolean", kind], "forbidden": [False], "meta": {"expected": f"true, or {expected}"}}


def mapping(expected: str, **schema: Schema) -> Schema:
    """The schema of a setting that is a mapping."""
    return {"type": "dict", "schema": schema, "meta": {"expected": expected}}


class Action:
    """Something that a rule does to a request. ``request_kinds`` are the kinds of request that the action can be used for.

    If ``schema`` is of a mapping, a script may also give a single value, which is put under the key ``short``.
    """

    name: ClassVar[str]
    schema: ClassVar[Schema]
    short: ClassVar[str] = ""
    request_kinds: ClassVar[tuple[str, ...]] = ("generate", "models", "embed", "count", *JOB_CALLS, "")

    def __init__(self, setting: Any) -> None:
        self.setting = setting

    @property
    def outcome(self) -> str:
        """The outcome in the request log."""
        return self.name


class JobAction(Action, ABC):
    """An action that changes what becomes of a job, or of one of its lines."""

    request_kinds: ClassVar[tuple[str, ...]] = ("create",)

    @abstractmethod
    def plan(self, context: RequestContext) -> None:
        """Sets the plan of the job that the call makes, or the fate of the line."""


class ResponseAction(Action, ABC):
    """An action that changes the response, or how it is sent."""

    @abstractmethod
    def apply(self, context: RequestContext, previous: Response | None) -> Response:
        """The response. ``previous``: the response of earlier rules, None if there is none."""
