"""Actions that say something else in place of the answer: the provider's errors, any status, pages, redirects."""

from __future__ import annotations

from typing import Any, ClassVar

from llm_sync.simulator.faults.actions import HINT, SECONDS, Change, Rules, mapping
from llm_sync.simulator.faults.body_faults import SafetyBlock
from llm_sync.simulator.faults.context import Scene
from llm_sync.simulator.faults.error_responses import refusal
from llm_sync.simulator.faults.error_table import WORDS
from llm_sync.simulator.faults.retry_after import USUAL
from llm_sync.simulator.server.response import JSON_TYPE, Response, with_headers

_BLOCK_IN_200 = ("anthropic", "gemini")  # no status of theirs says it
_PAGE = """<!DOCTYPE html>
<html lang="en-US">
<head><title>simulated | {status}: {text}</title></head>
<body><h1>{text}</h1><p>Error code {status}</p></body>
</html>
"""

_STATUS: Rules = {"type": "integer", "min": 200, "max": 599, "meta": {"expected": "an HTTP status from 200 to 599"}}


class Error(Change):
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
        return refusal(
            word, scene.dialect, scene.name, names={"model": scene.call.model}, message=message, wait=wait, forms=forms
        )


class Status(Change):
    """Any status with any body and headers; without a body, the dialect's own error."""

    name = "status"
    short = "code"
    rules: ClassVar[Rules] = mapping(
        "an HTTP status from 200 to 599, or a mapping with code",
        code={**_STATUS, "required": True},
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
        if setting["code"] in (204, 304):  # have none, whoever asks for one: it would be taken for the next answer
            return Response(setting["code"], b"", tuple(headers.items()))
        if "body" not in setting:
            response = scene.dialect.error(setting["code"], f"The script answers {setting['code']}.")
            return response._replace(headers=with_headers(response.headers, headers))
        body = setting["body"]
        kind = (("content-type", "text/plain; charset=utf-8"),) if isinstance(body, str) else JSON_TYPE
        content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        return Response(setting["code"], content, with_headers(kind, headers))


class Html(Change):
    """The page of a gateway."""

    name = "html"
    short = "status"
    rules: ClassVar[Rules] = mapping("true, or an HTTP status from 200 to 599 (502)", status=_STATUS)

    def apply(self, scene: Scene, given: Response | None) -> Response:
        """502 where no other status is named."""
        status = self.setting.get("status", 502)
        headers = (("content-type", "text/html; charset=UTF-8"), ("server", "cloudflare"), ("cf-ray", "0000000000000000-SIM"))
        text = {502: "Bad gateway", 504: "Gateway time-out"}.get(status, "Simulated page")
        return Response(status, _PAGE.format(status=status, text=text).encode(), headers)


class Redirect(Change):
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
