"""Error replies, read into one shape, whatever the shape they came in. Nothing is decided here.

The shapes were collected from providers, gateways and local servers: ``error`` as an object, a text or a list, and flat
bodies with ``message``, ``detail``, ``msg``, ``error_msg``, ``errorMessage``, ``error_description``, ``title``, ``fault`` or
``base_resp``.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_sync.providers.json_body import parse_strictly

_TAG = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<[^<>]*>", re.IGNORECASE | re.DOTALL)
_NO_ROUTE = re.compile(r"meets? your routing requirements", re.IGNORECASE)  # OpenRouter, with a 503
_TEXT_LIMIT = 400  # characters of a message that people see
_SEARCHED = 4000  # characters of a message that are looked through
_DEPTH = 4

_WRAPPERS = ("error", "Error", "fault", "detail", "errors", "Response")
_TEXTS = (
    "message", "Message", "detail", "msg", "error_msg", "error_message", "errorMessage", "ErrorMessage", "errorMsg",
    "error_description", "status_msg", "status_message", "faultstring", "description",
)  # fmt: skip
_LAST_TEXTS = ("error", "Error", "errors", "fault", "base_resp", "Response", "title", "reason", "html-message")
_CODES = (
    "error_code", "errorCode", "ErrorCode", "err_code", "errcode", "errorcode",
    "code", "Code", "error_type", "type", "reason", "status", "__type",
)  # fmt: skip
_SUCCESS = (None, "", 0, 200, "0", "200", "ok", "success", "succeeded")
_ANSWERS = ("choices", "content", "candidates", "output", "data", "models", "publisherModels", "result")
_EMPTY_ANSWERS = ("content", "candidates", "output", "data", "models", "publisherModels")  # even an empty list is of its shape
_Z_AI = re.compile(r"\[(\d{4})\]\[")  # "[1308][Usage limit reached …][…]": the code within the message of another dialect
_MINIMAX = re.compile(r"\((\d{4})\)(?=\s*$|\\?\")")  # "insufficient balance (1008)", also where a gateway quotes it


@dataclass(frozen=True)
class ApiError:
    """An error reply in one shape. ``words``: its codes, types and statuses as strings, the most specific first.

    Codes that are numbers have the name of their field: ``base_resp:1008``, ``code:20012``, ``error_code:336501``. ``message``
    is cut for people to read; ``text`` is what the tables of words are matched against.
    """

    status: int
    message: str
    words: tuple[str, ...] = ()
    param: str | None = None
    error: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    text: str = ""

    def has(self, *words: str) -> bool:
        """Whether the error carries one of these words as its code, type or status."""
        return any(word in self.words for word in words)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """OpenRouter's additions to the error."""
        metadata = self.error.get("metadata")
        return metadata if isinstance(metadata, dict) else {}

    @property
    def unroutable(self) -> bool:
        """Whether OpenRouter has no upstream for this request, however often it is sent."""
        return _NO_ROUTE.search(self.message) is not None

    @property
    def per_day(self) -> bool:
        """Whether Google says that a daily quota is used up, itself or through a gateway."""
        return any("PerDay" in word for word in self.words)


def read_api_error(status: int, body: Any, headers: Mapping[str, str] | None = None) -> ApiError:
    """Read ``body`` (parsed JSON, or text if it was none), in any known form; never fails.

    ``headers``: some of AWS's servers name the error there only.
    """
    named = (headers or {}).get("x-amzn-errortype", "").partition(":")[0].strip()
    first = [named] if named else []
    body = body[0] if isinstance(body, list) and body and isinstance(body[0], dict) else body
    if not isinstance(body, dict):
        text = _text_of_page(body)
        words = [*first, *_all_words(_quoted_json(body) if isinstance(body, str) else None)]  # also of an event in a stream
        return ApiError(status, _cut(text) or "an empty body", tuple(words), body=body, text=text[:_SEARCHED])
    levels = _levels(body)
    error = _innermost_error(body)
    text, upstream = _message(body), _upstream(error)
    words = [*first, *_all_words(body)]
    if upstream:
        inner = _message(upstream)
        text = f"{text}: {inner}" if inner and inner not in text else text
    else:
        upstream = _quoted_json(text)
    words += _all_words(upstream)
    param = error.get("param") or next((level["param"] for level in _levels(upstream or {}) if level.get("param")), None)
    return ApiError(
        status=_status_in(levels, status) if status < 400 else status,
        message=_cut(text) or f"HTTP status {status} with the body {_cut(_json(body))}",
        words=tuple(dict.fromkeys([*words, *_codes_in(text)])),
        param=param if isinstance(param, str) else None,
        error=error,
        body=body,
        text=text[:_SEARCHED],
    )


def is_error_body(body: Any) -> bool:
    """Whether the body of a good status has no answer and says that the request failed, in another field than ``error``."""
    if not isinstance(body, dict) or (body.get("choices") and "base_resp" not in body and "Response" not in body):
        return False
    base = body.get("base_resp")
    if isinstance(base, dict) and base.get("status_code") not in _SUCCESS:
        return True  # MiniMax
    response = body.get("Response")
    if isinstance(response, dict) and response.get("Error"):
        return True  # Tencent
    if any(body.get(name) not in (None, []) for name in _ANSWERS) or any(body.get(name) == [] for name in _EMPTY_ANSWERS):
        return False
    if body.get("success") is False:
        return True
    codes = [body.get(name) for name in ("code", "error_code", "errorCode", "errcode", "status_code")]
    has_text = any(isinstance(body.get(name), (str, list)) and body[name] for name in (*_TEXTS, "title", "html-message"))
    failed = any(_is_code(code) and code not in _SUCCESS for code in codes)
    succeeded = any(_is_code(code) and code in _SUCCESS[2:] for code in codes) or body.get("success") is True
    return isinstance(body.get("fault"), dict) or (has_text and (failed or not succeeded))


def _is_code(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool) and value != ""


def _levels(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The body and the objects it wraps its error in, from the outside in."""
    levels = [body]
    while len(levels) < _DEPTH:
        inner = [levels[-1].get(name) for name in _WRAPPERS]
        found = next((value for value in (_first(value) for value in inner) if isinstance(value, dict) and value), None)
        if found is None:
            return levels
        levels.append(found)
    return levels


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _innermost_error(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """What ``ApiError.error`` shows: the object of the error, the body itself where it is flat."""
    for name in ("error", "Error"):
        if isinstance(body.get(name), dict):
            found: Mapping[str, Any] = body[name]
            return found
    detail = body.get("detail")
    return _innermost_error(detail) if isinstance(detail, dict) and isinstance(detail.get("error"), dict) else body


def _status_in(levels: list[Mapping[str, Any]], status: int) -> int:
    """The HTTP status that an error inside a 200 names, if any."""
    for level in reversed(levels):
        for key in ("code", "http_status", "status", "status_code", "statusCode"):
            value = level.get(key)
            value = int(value) if isinstance(value, str) and value.isdigit() and len(value) < 9 else value
            if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
                return value
    return status


def _all_words(body: Mapping[str, Any] | None) -> list[str]:
    """The words of a body, of its innermost object first."""
    levels = reversed(_levels(body)) if body else ()
    return [word for level in levels for word in _words(level, outermost=level is body)]


def _words(error: Mapping[str, Any], *, outermost: bool) -> list[str]:
    words: list[Any] = [_code(name, error.get(name), flat=outermost) for name in _CODES]
    metadata, details, inner = error.get("metadata"), error.get("details"), error.get("innererror")
    if isinstance(metadata, dict):
        words = [metadata.get("limit_source"), metadata.get("error_type"), metadata.get("provider_code"), *words]
    if isinstance(details, dict):
        words = [details.get("error_code"), *words]
    if isinstance(details, list):
        words = [*(item.get("reason") for item in details if isinstance(item, dict)), *words, *_quotas(details)]
    if isinstance(inner, dict):
        words.append(inner.get("code"))
    base = error.get("base_resp")
    if isinstance(base, dict):
        words = [f"base_resp:{base.get('status_code')}", *words]
    words.append(error.get("error"))  # {"error": "invalid_token", "error_description": …}
    return [word for word in words if isinstance(word, str) and word]


def _code(name: str, value: Any, *, flat: bool) -> Any:
    """A code as a word. Numbers of a flat body that are no HTTP status get the name of their field: numberings differ."""
    if name == "__type" and isinstance(value, str):
        return value.rpartition("#")[2]
    if not isinstance(value, int) or isinstance(value, bool) or 100 <= value <= 599:
        return value
    return f"{name}:{value}" if flat or name != "code" else str(value)


def _codes_in(text: str) -> list[str]:
    z_ai, minimax = _Z_AI.search(text[:_SEARCHED]), _MINIMAX.search(text[:_SEARCHED])
    return [*([z_ai[1]] if z_ai else []), *([f"base_resp:{minimax[1]}"] if minimax else [])]


def _upstream(error: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The upstream's body, which OpenRouter passes on in ``metadata.raw``, as text or as an object."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if isinstance(raw, str):
        try:
            found = parse_strictly(raw)
        except ValueError:
            found = None
        raw = found if isinstance(found, (dict, list)) else {"message": raw}
    raw = _first(raw)
    return raw if isinstance(raw, dict) else None


def _quoted_json(text: str) -> Mapping[str, Any] | None:
    """The upstream's body, if a gateway quotes it in its own message."""
    at = text.find('{"', 0, _SEARCHED)
    if at < 0:
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text[at : at + 4 * _SEARCHED])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _message(body: Mapping[str, Any]) -> str:
    error = body.get("error")
    if isinstance(error, dict) and isinstance(error.get("message"), str) and error["message"]:
        return str(error["message"])
    return _text_in(body) or (_json(error) if error and error is not True and error != {"message": ""} else "")


def _text_in(value: Any, depth: int = _DEPTH) -> str:
    """The text of a message: a string, an object that has one, or a list of both."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and depth:
        return "; ".join(text for text in (_text_in(item, depth - 1) for item in value[:20]) if text)
    if not isinstance(value, dict) or not depth:
        return ""
    text = _first_text(value, _TEXTS, depth)
    for head in (value.get("error"), value.get("title")):
        if text and isinstance(head, str) and head.lower() not in text.lower():
            text = f"{head}: {text}"
    text = text or _first_text(value, _LAST_TEXTS, depth)
    return f"{_location(value.get('loc'))}{text}" if text else ""


def _first_text(value: Mapping[str, Any], names: Iterable[str], depth: int) -> str:
    for name in names:
        text = _text_in(value.get(name), depth - 1)
        if text:
            return text
    return ""


def _location(loc: Any) -> str:
    parts = loc if isinstance(loc, list) else [loc] if loc else []
    return f"{'.'.join(map(str, parts))}: " if parts else ""


def _quotas(details: Iterable[Any]) -> Iterator[str]:
    for detail in details:
        violations = detail.get("violations") if isinstance(detail, dict) else None
        for violation in violations if isinstance(violations, list) else ():
            yield str(violation.get("quotaId", "")) if isinstance(violation, dict) else ""


def _text_of_page(body: Any) -> str:
    """An HTML page or a bare text, as one line."""
    text = body if isinstance(body, str) else "" if body is None else _json(body)
    return html.unescape(" ".join(_TAG.sub(" ", text[:20_000]).split()))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + " …"
