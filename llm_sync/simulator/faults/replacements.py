"""Actions that replace the answer: errors of the provider, any status, HTML pages, redirects."""

from __future__ import annotations

from typing import Any, ClassVar

from llm_sync.simulator.faults.actions import FORMS_SETTING, SECONDS, Action, ResponseAction, Schema, mapping
from llm_sync.simulator.faults.body_faults import SafetyBlock
from llm_sync.simulator.faults.context import RequestContext
from llm_sync.simulator.faults.error_responses import error_response
from llm_sync.simulator.faults.error_table import ERROR_KINDS
from llm_sync.simulator.faults.retry_after import DEFAULT_FORMS
from llm_sync.simulator.server.response import JSON_TYPE, Response, with_headers

_BLOCK_WITH_200 = ("anthropic", "gemini")  # they report blocked content with status 200
_PAGE = """<!DOCTYPE html>
<html lang="en-US">
<head><title>simulated | {status}: {text}</title></head>
<body><h1>{text}</h1><p>Error code {status}</p></body>
</html>
"""

_STATUS: Schema = {"type": "integer", "min": 200, "max": 599, "meta": {"expected": "an HTTP status from 200 to 599"}}


class Error(ResponseAction):
    """An error of the provider."""

    name = "error"
    short = "kind"
    request_kinds: ClassVar[tuple[str, ...]] = (*Action.request_kinds, "line")
    schema: ClassVar[Schema] = mapping(
        "an error, or a mapping with kind",
        kind={
            "type": "string",
            "required": True,
            "allowed": list(ERROR_KINDS),
            "meta": {"expected": "one of " + ", ".join(ERROR_KINDS)},
        },
        message={"type": "string", "meta": {"expected": "text"}},
        retry_after=SECONDS,
        hint=FORMS_SETTING,
    )

    def __init__(self, setting: Any) -> None:
        super().__init__(setting)
        hint = self.setting.get("hint")
        self._forms: tuple[str, ...] | None = None if hint is None else (hint,) if isinstance(hint, str) else tuple(hint)

    @property
    def outcome(self) -> str:
        """The kind of error."""
        return str(self.setting["kind"])

    def apply(self, context: RequestContext, previous: Response | None) -> Response:
        """A rate limit error always has a time to wait, the others only if the script sets it."""
        kind = self.setting["kind"]
        if kind == "content_policy" and context.type_name in _BLOCK_WITH_200:
            if context.request_kind in ("generate", "line"):
                return SafetyBlock(True).apply(context, previous)
            kind = "bad_request"  # a listing has no content that could be blocked
        wait = self.setting.get("retry_after", 1.0 if kind == "rate_limit" else None)
        forms = DEFAULT_FORMS[context.type_name] if self._forms is None else self._forms
        if self._forms is None and kind != "rate_limit":
            forms = ("seconds",)
        message = self.setting.get("message")
        return error_response(
            kind,
            context.dialect,
            context.type_name,
            details={"model": context.call.model},
            message=message,
            wait=wait,
            forms=forms,
        )


class Status(ResponseAction):
    """A status with any body and headers; without a body, an error of the dialect."""

    name = "status"
    short = "code"
    request_kinds: ClassVar[tuple[str, ...]] = (*Action.request_kinds, "line")
    schema: ClassVar[Schema] = mapping(
        "an HTTP status from 200 to 599, or a mapping with code",
        code={**_STATUS, "required": True},
        body={"type": ["string", "dict", "list"], "meta": {"expected": "a text, a mapping or a list"}},
        headers={
            "type": "dict",
            "valuesrules": {"type": ["string", "integer", "float"], "meta": {"expected": "text"}},
            "meta": {"expected": "a mapping of header names to texts"},
        },
    )

    def apply(self, context: RequestContext, previous: Response | None) -> Response:
        """A text is sent unchanged, other values as JSON."""
        setting = self.setting
        headers = {name: str(value) for name, value in setting.get("headers", {}).items()}
        if setting["code"] in (204, 304):  # these have no body: a client would take it for the next response
            return Response(setting["code"], b"", tuple(headers.items()))
        if "body" not in setting:
            response = context.dialect.error(setting["code"], f"The script answers {setting['code']}.")
            return response._replace(headers=with_headers(response.headers, headers))
        body = setting["body"]
        kind = (("content-type", "text/plain; charset=utf-8"),) if isinstance(body, str) else JSON_TYPE
        content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        return Response(setting["code"], content, with_headers(kind, headers))


class Html(ResponseAction):
    """The HTML page of a gateway."""

    name = "html"
    short = "status"
    schema: ClassVar[Schema] = mapping("true, or an HTTP status from 200 to 599 (502)", status=_STATUS)

    def apply(self, context: RequestContext, previous: Response | None) -> Response:
        """The default status is 502."""
        status = self.setting.get("status", 502)
        headers = (("content-type", "text/html; charset=UTF-8"), ("server", "cloudflare"), ("cf-ray", "0000000000000000-SIM"))
        text = {502: "Bad gateway", 504: "Gateway time-out"}.get(status, "Simulated page")
        return Response(status, _PAGE.format(status=status, text=text).encode(), headers)


class Redirect(ResponseAction):
    """A redirect; a client that follows it would send its key there."""

    name = "redirect"
    short = "status"
    schema: ClassVar[Schema] = mapping(
        "true, a status from 300 to 399 (307), or a mapping with status and location",
        status={"type": "integer", "min": 300, "max": 399, "meta": {"expected": "a status from 300 to 399"}},
        location={"type": "string", "empty": False, "meta": {"expected": "a URL"}},
    )

    def apply(self, context: RequestContext, previous: Response | None) -> Response:
        """By default to a path of the simulator, so that the request log shows whether it was followed."""
        location = self.setting.get("location", f"{context.root}/redirected{context.call.path}")
        return Response(self.setting.get("status", 307), b"", (("location", location),))
