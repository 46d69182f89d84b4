"""Actions that take the good answer and make it a bad one, in the dialect's own form."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from llm_sync.simulator.faults.actions import YES, Change, Rules, or_yes
from llm_sync.simulator.faults.body_layout import Anatomy, joined
from llm_sync.simulator.faults.body_layout_openai import Chat, Responses, Router
from llm_sync.simulator.faults.body_layout_others import Contents, Messages
from llm_sync.simulator.faults.context import Scene
from llm_sync.simulator.faults.error_table import WORDS
from llm_sync.simulator.server.response import Response, with_headers

ANATOMY: Mapping[str, Anatomy] = {
    "openai": Chat(),
    "openai-responses": Responses(),
    "anthropic": Messages(),
    "gemini": Contents(),
    "openrouter": Router(),
}
_REASONS = {"anthropic": "general_harms", "gemini": "SAFETY"}


class Edit(Change):
    """Takes the good answer and changes it; a refusal of the dialect's own stays what it is."""

    doors: ClassVar[tuple[str, ...]] = ("generate",)

    def apply(self, scene: Scene, given: Response | None) -> Response:
        """The changed answer, billed for what it says now."""
        response = scene.good() if given is None else given
        body = json.loads(response.content()) if response.status == 200 else None
        if not isinstance(body, dict) or body.get("error"):
            return response
        output = self.change(ANATOMY[scene.name], body, scene)
        tokens = response.tokens if output is None or response.tokens is None else (response.tokens[0], output)
        return response._replace(body=body, tokens=tokens)

    @abstractmethod
    def change(self, anatomy: Anatomy, body: dict[str, Any], scene: Scene) -> int | None:
        """Changes the body; the output tokens it stands for now, None where they are as before."""


class Truncated(Edit):
    """Cut by the token limit."""

    name = "truncated"
    rules: ClassVar[Rules] = {"type": "integer", "min": 0, "meta": {"expected": "the tokens that are left, 0 or more"}}

    def change(self, anatomy: Anatomy, body: dict[str, Any], scene: Scene) -> int:
        """As the anatomy has it."""
        return anatomy.cut(body, self.setting)


class Empty(Edit):
    """Nothing in it."""

    name = "empty"
    rules = YES
    doors: ClassVar[tuple[str, ...]] = ("generate", "models")

    def change(self, anatomy: Anatomy, body: dict[str, Any], scene: Scene) -> int | None:
        """No text, or no models."""
        if scene.door == "models":
            body.update({anatomy.listed: []})
            return None
        return anatomy.silence(body)


class Refused(Edit):
    """The model declines."""

    name = "refusal"
    rules: ClassVar[Rules] = or_yes("string", "the words of the refusal", empty=False)

    def change(self, anatomy: Anatomy, body: dict[str, Any], scene: Scene) -> int:
        """In the words of the script."""
        return anatomy.refuse(body, "I cannot help with that." if self.setting is True else self.setting)


class SafetyBlock(Edit):
    """A filter takes the answer away."""

    name = "safety_block"
    rules: ClassVar[Rules] = or_yes("string", "the provider's word for the reason", empty=False)

    def change(self, anatomy: Anatomy, body: dict[str, Any], scene: Scene) -> int:
        """For the reason of the script, where the dialect names one."""
        return anatomy.block(body, _REASONS.get(scene.name, "") if self.setting is True else self.setting)


class ErrorIn200(Edit):
    """Success, says the status."""

    name = "error_in_200"
    rules: ClassVar[Rules] = or_yes("string", "an error (overloaded), one of " + ", ".join(WORDS), allowed=list(WORDS))
    doors: ClassVar[tuple[str, ...]] = ("generate", "models")

    def apply(self, scene: Scene, given: Response | None) -> Response:
        """What did not come is not billed."""
        return super().apply(scene, given)._replace(tokens=None)

    def change(self, anatomy: Anatomy, body: dict[str, Any], scene: Scene) -> None:
        """As the anatomy has it."""
        anatomy.fail(body, "overloaded" if self.setting is True else self.setting)


class WrongType(Edit):
    """JSON, but not of the type that belongs there."""

    name = "wrong_type"
    rules: ClassVar[Rules] = or_yes("dict", "a mapping of paths, as choices[0].message.content, to values", empty=False)
    doors: ClassVar[tuple[str, ...]] = ("generate", "models")

    def change(self, anatomy: Anatomy, body: dict[str, Any], scene: Scene) -> None:
        """Where a path leads nowhere in this answer, its first step is replaced: the answer is wrong in any case."""
        usual = anatomy.wrong_listing if scene.door == "models" else anatomy.wrong
        for path, value in (usual if self.setting is True else self.setting).items():
            steps = [int(step) if step.isdigit() else step for step in re.findall(r"\w+", path)]
            place: Any = body
            try:
                for step in steps[:-1]:
                    place = place[step]
                place[steps[-1]] = value
            except (KeyError, IndexError, TypeError):
                body[str(steps[0])] = value


class EventStream(Edit):
    """A stream that nobody asked for."""

    name = "event_stream"
    rules: ClassVar[Rules] = or_yes("string", "sse or ndjson", allowed=["sse", "ndjson"])
    doors: ClassVar[tuple[str, ...]] = ("generate", "models")

    def apply(self, scene: Scene, given: Response | None) -> Response:
        """Server-sent events in the dialect's own frames, or one line of JSON after the other as of Ollama."""
        response = super().apply(scene, given)
        if response.status != 200 or not isinstance(response.body, dict):
            return response
        anatomy = ANATOMY[scene.name]
        frames = list(anatomy.frames(response.body) if scene.door == "generate" else Anatomy.frames(anatomy, response.body))
        if self.setting == "ndjson":
            frames = [json.dumps({"message": {"content": ""}, "done": False}) + "\n", json.dumps(response.body) + "\n"]
        kind = "application/x-ndjson" if self.setting == "ndjson" else "text/event-stream; charset=utf-8"
        return response._replace(body=joined(frames), headers=with_headers(response.headers, {"content-type": kind}))

    def change(self, anatomy: Anatomy, body: dict[str, Any], scene: Scene) -> None:
        """The framing is all there is to it."""
