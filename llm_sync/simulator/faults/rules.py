"""One rule of a script: its conditions and its action."""

from __future__ import annotations

import fnmatch
import re
import threading
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.faults.context import RequestContext
from llm_sync.simulator.faults.script_schema import ACTIONS, PROVIDERS
from llm_sync.validation.linear_regex import compile_pattern


class Rule:
    """Made from a checked mapping. ``number`` counts from 1. Thread-safe."""

    def __init__(self, document: Mapping[str, Any], number: int) -> None:
        self.number = number
        action = next(name for name in ACTIONS if name in document)
        self.action = ACTIONS[action](document[action])
        self.name: str = document.get("name", action)
        self.continues = bool(document.get("continue"))
        self.billed: bool | None = document.get("billed")
        when = document.get("when", {})
        request_kinds = (when["request"],) if "request" in when else self.action.request_kinds
        self.request_kinds = frozenset(request_kinds) & frozenset(self.action.request_kinds)
        self.dialects = frozenset.union(*(PROVIDERS[name] for name in _as_list(when.get("provider", list(PROVIDERS)))))
        self.models = tuple(_as_list(when["model"])) if "model" in when else None
        self.prompt = compile_pattern(when["prompt"]) if "prompt" in when else None
        self.nth, self.attempt = _Ordinals.from_setting(when.get("nth")), _Ordinals.from_setting(when.get("attempt"))
        self.probability: float | None = when.get("probability")
        self.share: float | None = when.get("share")
        self._patterns = [re.compile(fnmatch.translate(model)) for model in self.models or ()]
        self._lock = threading.Lock()  # guards _count
        self._count = 0

    @property
    def needs_attempt(self) -> bool:
        """Whether the rule depends on the number of the attempt, or on chance."""
        return bool(self.probability or self.share or self.attempt or self.action.name == "latency")

    @property
    def unconditional(self) -> bool:
        """Whether it matches every request of its providers, models and request kinds."""
        return not (self.prompt or self.nth or self.attempt or self.probability or self.share)

    def covers(self, other: Rule) -> bool:
        """Whether ``other`` can never match if this rule comes before it."""
        covers_models = self.models is None or (other.models is not None and set(other.models) <= set(self.models))
        return (
            self.unconditional
            and not self.continues
            and covers_models
            and other.request_kinds <= self.request_kinds
            and other.dialects <= self.dialects
        )

    def matches(self, context: RequestContext) -> bool:
        """Whether all conditions hold. ``nth`` counts the requests for which the conditions without chance hold."""
        if context.type_name not in self.dialects or context.request_kind not in self.request_kinds:
            return False
        if self._patterns and not any(pattern.match(context.call.model) for pattern in self._patterns):
            return False
        if self.prompt is not None and not self.prompt.matches(context.prompt):
            return False
        if self.attempt is not None and not self.attempt.includes(context.attempt):
            return False
        if self.nth is not None:
            with self._lock:
                self._count += 1
                count = self._count
            if not self.nth.includes(count):
                return False
        if self.share is not None and not self.share > context.draw_for_request(f"{self.number} share"):
            return False
        return self.probability is None or self.probability > context.draw_for_attempt(f"{self.number}")


class _Ordinals:
    """The condition ``nth`` or ``attempt``: certain numbers, or every n-th."""

    def __init__(self, numbers: frozenset[int], every: int | None) -> None:
        self._numbers, self._every = numbers, every

    @classmethod
    def from_setting(cls, setting: Any) -> _Ordinals | None:
        """Made from a setting; None if it is not set."""
        if setting is None:
            return None
        if isinstance(setting, Mapping):
            return cls(frozenset(), setting["every"])
        return cls(frozenset(_as_list(setting)), None)

    def includes(self, number: int) -> bool:
        """Whether the condition holds for a number."""
        return number % self._every == 0 if self._every else number in self._numbers


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
