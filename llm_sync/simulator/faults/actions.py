"""What every action is: a name and a setting in a script, the Cerberus rules of that setting, and what is done to a response.

The actions themselves stand by kind: substitutes.py, edits.py, ways.py and waits.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from llm_sync.simulator.faults.context import Scene
from llm_sync.simulator.faults.retry_after import HINTS
from llm_sync.simulator.server.response import Response

Rules = dict[str, Any]

SECONDS: Rules = {"type": "number", "min": 0, "max": 86_400, "check_with": "finite"}
SECONDS["meta"] = {"expected": "seconds, from 0 to 86400"}
YES: Rules = {"type": "boolean", "allowed": [True], "meta": {"expected": "true", "hint": "leave the rule out to be without it"}}

HINT: Rules = {
    "type": ["string", "list"],
    "allowed": list(HINTS),
    "empty": False,
    "meta": {"expected": "a form, or a list of forms, of " + ", ".join(HINTS)},
}


def or_yes(kind: str, expected: str, **rules: Any) -> Rules:
    """Rules of a setting that may also be plain ``true``."""
    if "allowed" in rules:
        rules["allowed"] = [True, *rules["allowed"]]
    return {**rules, "type": ["boolean", kind], "forbidden": [False], "meta": {"expected": f"true, or {expected}"}}


def mapping(expected: str, **schema: Rules) -> Rules:
    """Rules of a setting with fields of its own."""
    return {"type": "dict", "schema": schema, "meta": {"expected": expected}}


class Action:
    """One thing that is done to a request. ``doors`` are the kinds of request it makes sense for.

    A single value in a script stands for a mapping with that value under ``short``, where ``rules`` are of a mapping.
    """

    name: ClassVar[str]
    rules: ClassVar[Rules]
    short: ClassVar[str] = ""
    doors: ClassVar[tuple[str, ...]] = ("generate", "models", "")

    def __init__(self, setting: Any) -> None:
        self.setting = setting

    @property
    def outcome(self) -> str:
        """The word for it in the account."""
        return self.name


class Change(Action, ABC):
    """An action that decides what is answered, or how that travels."""

    @abstractmethod
    def apply(self, scene: Scene, given: Response | None) -> Response:
        """The response, where ``given`` is what rules before this one have made of it."""
