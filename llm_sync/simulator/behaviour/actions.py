"""What a rule can do: each action by the name it has in a script, with the Cerberus rules of its setting.

Those of this file say what is answered; waits.py has those that hold a request up, ways.py those that change how the answer
travels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from llm_sync.simulator.behaviour.anatomy import Anatomy, joined
from llm_sync.simulator.behaviour.anatomy_openai import Chat, Responses, Router
from llm_sync.simulator.behaviour.anatomy_others import Contents, Messages
from llm_sync.simulator.behaviour.hints import HINTS, USUAL
from llm_sync.simulator.behaviour.refusals import WORDS, refusal, with_headers
from llm_sync.simulator.behaviour.scene import Scene
from llm_sync.simulator.dialect import JSON_TYPE, Response

Rules = dict[str, Any]

ANATOMY: Mapping[str, Anatomy] = {
    "openai": Chat(),
    "openai-responses": Responses(),
    "anthropic": Messages(),
    "gemini": Contents(),
    "openrouter": Router(),
}
_BLOCK_IN_200 = ("anthropic", "gemini")  # no status of theirs says it
_REASONS = {"anthropic": "general_harms", "gemini": "SAFETY"}
_PAGE = """<!DOCTYPE html>
<html lang="en-US">
<head><title>simulated | {status}: {text}</title></head>
<body><h1>{text}</h1><p>Error code {status}</p></body>
</html>
"""

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

    def apply(self, scene: Scene, given: Response | None) -> Response:
        """The response, where ``given`` is what rules before this one have made of it."""
        raise NotImplementedError


class Error(Action):
    """An error by its word."""

    name = "error"
    short = "kind"
    rules: ClassVar[Rules] = mapping(
        "an error, or a mapping with kind",
        kind={"type": "string", "required": True, "allowed": list(WORDS), "meta": {"expected": "one of " + ", ".join(WORDS)}},
        message={"type": "string", "meta": {"expected": "text"}},
        retry_after=SECONDS,
        hint=HINT,
    )

    def __init__(self, setting: Any) -> None:
        super().__init__(setting)
        hint = self.setting.get("hint")
        self._forms: tuple[str, ...] | None = None if hint is None else (hint,) if isinstance(hint, str) else tuple(hint)

    @property
    def outcome(self) -> str:
        """The error's word."""
        return str(self.setting["kind"])

    def apply(self, scene: Scene, given: Response | None) -> Response:
        """A rate limit says by itself when to come back; the others where the script says it."""
        word = self.setting["kind"]
        if word == "content_policy" and scene.name in _BLOCK_IN_200:
            if scene.door == "generate":
                return SafetyBlock(True).apply(scene, given)
            word = "bad_request"  # a listing has no content to object to
        wait = self.setting.get("retry_after", 1.0 if word == "rate_limit" else None)
        forms = USUAL[scene.name] if self._forms is None else self._forms
        if self._forms is None and word != "rate_limit":
            forms = ("seconds",)
        message = self.setting.get("message")
        return refusal(word, scene.dialect, scene.name, scene.call.model, message=message, wait=wait, forms=forms)


class Status(Action):
    """Any status with any body and headers; without a body, the dialect's own error."""

    name = "status"
    short = "code"
    rules: ClassVar[Rules] = mapping(
        "an HTTP status from 200 to 599, or a mapping with code",
        code={
            "type": "integer",
            "required": True,
            "min": 200,
            "max": 599,
            "meta": {"expected": "an HTTP status from 200 to 599"},
        },
        body={"type": ["string", "dict", "list"], "meta": {"expected": "a text, a mapping or a list"}},
        headers={
            "type": "dict",
            "valuesrules": {"type": ["string", "integer", "float"], "meta": {"expected": "text"}},
            "meta": {"expected": "a mapping of header names to texts"},
        },
    )

    def apply(self, scene: Scene, given: Response | None) -> Response:
        """A text goes out as it is, anything else as JSON."""
        setting = self.setting
        headers = {name: str(value) for name, value in setting.get("headers", {}).items()}
        if "body" not in setting:
            response = scene.dialect.error(setting["code"], f"The script answers {setting['code']}.")
            return response._replace(headers=with_headers(response.headers, headers))
        body = setting["body"]
        kind = (("content-type", "text/plain; charset=utf-8"),) if isinstance(body, str) else JSON_TYPE
        content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        return Response(setting["code"], content, with_headers(kind, headers))


class Html(Action):
    """The page of a gateway."""

    name = "html"
    rules: ClassVar[Rules] = or_yes("integer", "an HTTP status from 200 to 599 (502)", min=200, max=599)

    def apply(self, scene: Scene, given: Response | None) -> Response:
        """502 where no other status is named."""
        status = 502 if self.setting is True else self.setting
        headers = (("content-type", "text/html; charset=UTF-8"), ("server", "cloudflare"), ("cf-ray", "0000000000000000-SIM"))
        text = {502: "Bad gateway", 504: "Gateway time-out"}.get(status, "Simulated page")
        return Response(status, _PAGE.format(status=status, text=text).encode(), headers)


class Redirect(Action):
    """Elsewhere, where a client that follows would show its key."""

    name = "redirect"
    short = "status"
    rules: ClassVar[Rules] = mapping(
        "true, a status from 300 to 399 (307), or a mapping with status and location",
        status={"type": "integer", "min": 300, "max": 399, "meta": {"expected": "a status from 300 to 399"}},
        location={"type": "string", "empty": False, "meta": {"expected": "a URL"}},
    )

    def apply(self, scene: Scene, given: Response | None) -> Response:
        """By default within the simulator, so that its account shows whether it was followed."""
        location = self.setting.get("location", f"{scene.root}/redirected{scene.call.path}")
        return Response(self.setting.get("status", 307), b"", (("location", location),))


class Edit(Action):
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

    def change(self, anatomy: Anatomy, body: dict[str, Any], scene: Scene) -> int | None:
        """Changes the body; the output tokens it stands for now, None where they are as before."""
        raise NotImplementedError


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
