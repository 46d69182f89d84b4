"""One rule of a script: when it is taken, and what it does then."""

from __future__ import annotations

import fnmatch
import re
import threading
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.faults.context import Scene
from llm_sync.simulator.faults.script_schema import ACTIONS, PROVIDERS


class Rule:
    """Made from a checked mapping. ``number`` counts from 1. Any thread may use it."""

    def __init__(self, document: Mapping[str, Any], number: int) -> None:
        self.number = number
        action = next(name for name in ACTIONS if name in document)
        self.action = ACTIONS[action](document[action])
        self.name: str = document.get("name", action)
        self.goes_on = bool(document.get("continue"))
        self.billed: bool | None = document.get("billed")
        when = document.get("when", {})
        doors = (when["request"],) if "request" in when else self.action.doors
        self.doors = frozenset(doors) & frozenset(self.action.doors)
        self.dialects = frozenset.union(*(PROVIDERS[name] for name in _listed(when.get("provider", list(PROVIDERS)))))
        self.models = tuple(_listed(when["model"])) if "model" in when else None
        self.prompt = re.compile(when["prompt"]) if "prompt" in when else None
        self.nth, self.attempt = _Which.of(when.get("nth")), _Which.of(when.get("attempt"))
        self.probability: float | None = when.get("probability")
        self.share: float | None = when.get("share")
        self._patterns = [re.compile(fnmatch.translate(model)) for model in self.models or ()]
        self._lock = threading.Lock()  # guards _count
        self._count = 0

    @property
    def draws(self) -> bool:
        """Whether it has to be known which request this is, and as which attempt it comes."""
        return bool(self.probability or self.share or self.attempt or self.action.name == "latency")

    @property
    def always(self) -> bool:
        """Whether it takes every request of its providers, models and doors."""
        return not (self.prompt or self.nth or self.attempt or self.probability or self.share)

    def covers(self, other: Rule) -> bool:
        """Whether nothing is left for ``other`` when this rule comes before it."""
        models = self.models is None or (other.models is not None and set(other.models) <= set(self.models))
        return self.always and not self.goes_on and models and other.doors <= self.doors and other.dialects <= self.dialects

    def takes(self, scene: Scene) -> bool:
        """Whether all conditions hold; counts for ``nth`` the requests for which those that are no chance do."""
        if scene.name not in self.dialects or scene.door not in self.doors:
            return False
        if self._patterns and not any(pattern.match(scene.call.model) for pattern in self._patterns):
            return False
        if self.prompt is not None and not self.prompt.search(scene.text):
            return False
        if self.attempt is not None and not self.attempt.holds(scene.attempt):
            return False
        if self.nth is not None:
            with self._lock:
                self._count += 1
                count = self._count
            if not self.nth.holds(count):
                return False
        if self.share is not None and not self.share > scene.of_request(f"{self.number} share"):
            return False
        return self.probability is None or self.probability > scene.of_attempt(f"{self.number}")


class _Which:
    """A number, some numbers, or every so-manieth."""

    def __init__(self, numbers: frozenset[int], every: int | None) -> None:
        self._numbers, self._every = numbers, every

    @classmethod
    def of(cls, setting: Any) -> _Which | None:
        """From a script; None for what is not there."""
        if setting is None:
            return None
        if isinstance(setting, Mapping):
            return cls(frozenset(), setting["every"])
        return cls(frozenset(_listed(setting)), None)

    def holds(self, number: int) -> bool:
        """Whether it is one of them."""
        return number % self._every == 0 if self._every else number in self._numbers


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
