"""Actions that hold a request up: for a while, or until a limit lets it pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from llm_sync.simulator.faults.actions import HINT, SECONDS, Action, Change, Rules, mapping
from llm_sync.simulator.faults.context import Scene
from llm_sync.simulator.faults.error_responses import refusal
from llm_sync.simulator.faults.rate_limits import Exceeded, RateLimit
from llm_sync.simulator.faults.retry_after import USUAL, standing_headers
from llm_sync.simulator.faults.seeded_random import seconds
from llm_sync.simulator.server.response import Response, with_headers

_COUNT: Rules = {"type": "integer", "min": 1, "max": 10**9, "meta": {"expected": "a whole number, 1 or more"}}
_TIME: Rules = {**SECONDS, "required": True}
_SIGMA: Rules = {"type": "number", "required": True, "min": 0, "max": 10, "check_with": "finite"}
_SIGMA["meta"] = {"expected": "a number from 0 to 10"}
_PER = ["provider", "model", "key", "all"]


class Latency(Action):
    """Time that passes before the answer."""

    name = "latency"
    short = "seconds"
    rules: ClassVar[Rules] = mapping(
        "seconds, or a mapping with uniform, normal, exponential or lognormal",
        seconds=SECONDS,
        uniform={
            "type": "list",
            "minlength": 2,
            "maxlength": 2,
            "schema": SECONDS,
            "meta": {"expected": "[LEAST, MOST] seconds"},
        },
        normal=mapping("{mean: SECONDS, deviation: SECONDS}", mean=_TIME, deviation=_TIME),
        exponential=mapping("{mean: SECONDS}", mean=_TIME),
        lognormal=mapping("{median: SECONDS, sigma: NUMBER}", median=_TIME, sigma=_SIGMA),
        most=SECONDS,
    )

    def seconds(self, draw: float) -> float:
        """How long this time, at the point ``draw`` of (0, 1)."""
        return seconds(self.setting, draw)


class Limit(Change):
    """A rate limit that is kept. Requests it lets pass go on as if the rule were not there, with its headers on them."""

    name = "rate_limit"
    rules: ClassVar[Rules] = mapping(
        "a mapping with requests_per_minute, tokens_per_minute or concurrency",
        requests_per_minute=_COUNT,
        tokens_per_minute=_COUNT,
        concurrency=_COUNT,
        burst=_COUNT,
        per={"type": "string", "allowed": _PER, "meta": {"expected": ", ".join(_PER)}},
        hint=HINT,
        retry_after=SECONDS,
    )

    def __init__(self, setting: Any) -> None:
        super().__init__(setting)
        self.limit = RateLimit(setting)
        hint = setting.get("hint")
        self._forms: tuple[str, ...] | None = None if hint is None else (hint,) if isinstance(hint, str) else tuple(hint)

    def enter(self, scene: Scene) -> tuple[Response | None, Callable[[], None] | None]:
        """The refusal, or None and what is to be called when the request is over."""
        name = self._name(scene)
        exceeded = self.limit.enter(name)
        if exceeded is not None:
            return self._refusal(scene, exceeded), None
        if "tokens_per_minute" in self.setting:
            exceeded = self.limit.spend(name, sum(scene.good().tokens or (0, 0)))
            if exceeded is not None:
                self.limit.leave(name)
                return self._refusal(scene, exceeded), None
        return None, lambda: self.limit.leave(name)

    def apply(self, scene: Scene, given: Response | None) -> Response:
        """How the limits stand, on the answer of a request that passed."""
        response = scene.good() if given is None else given
        headers = standing_headers(scene.name, self.limit.standings(self._name(scene)))
        return response._replace(headers=with_headers(response.headers, headers)) if headers else response

    def _name(self, scene: Scene) -> str:
        per = self.setting.get("per", "provider")
        return {"provider": scene.dialect.provider, "model": scene.call.model, "key": scene.key or "", "all": ""}[per]

    def _refusal(self, scene: Scene, exceeded: Exceeded) -> Response:
        standing, wait = exceeded.standing, exceeded.wait
        words = {"requests": "requests per min (RPM)", "tokens": "tokens per min (TPM)"}[standing.kind]
        told = f"Limit {standing.limit}, Used {standing.limit - standing.remaining}, Requested {exceeded.requested}."
        message = None
        if scene.name.startswith("openai"):
            verb = "Rate limit reached" if wait is not None else "Request too large"
            message = f"{verb} for {scene.call.model or 'this project'} on {words}: {told}"
        if wait is not None:
            wait = max(wait, self.setting.get("retry_after", 0.0))
        forms = USUAL[scene.name] if self._forms is None else self._forms
        return refusal(
            "rate_limit",
            scene.dialect,
            scene.name,
            names={"model": scene.call.model},
            message=message,
            wait=wait,
            forms=forms,
            standing=standing,
        )
