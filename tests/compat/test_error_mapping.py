"""The exceptions of every shim: one root, our error as cause, attributes, pickles, and no key."""

from __future__ import annotations

import copy
import inspect
import pickle
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.compat import anthropic, litellm, openai
from llm_sync.compat.anthropic import exceptions as of_anthropic
from llm_sync.compat.litellm import exceptions as of_litellm
from llm_sync.compat.openai import error as of_2023
from llm_sync.compat.openai import exceptions as of_openai
from llm_sync.compat.shim import error_mapping
from llm_sync.errors import LLMConnectorError
from llm_sync.models import Usage
from llm_sync.models.responses import UnusableResponse

NOW = datetime(2026, 11, 30, tzinfo=timezone.utc)
HELLO = [{"role": "user", "content": "Say hello"}]
KEY = "sk-script-0123456789abcdef"
SHIMS = {"openai": of_openai, "2023": of_2023, "anthropic": of_anthropic, "litellm": of_litellm}
OURS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, LLMConnectorError) and kind is not errors.BatchError
]
EACH_SHIM = pytest.mark.parametrize("map_error", SHIMS.values(), ids=SHIMS)


@EACH_SHIM
@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_every_error_of_ours_has_an_exception(map_error: Any, kind: type[LLMConnectorError]) -> None:
    """Of the shim's root, which is an LLMConnectorError; it pickles and copies, and knows what ours does."""
    for status in (None, 200, 400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 500, 502, 503, 504, 529):
        _has_an_exception(map_error, kind, status)


@EACH_SHIM
@pytest.mark.parametrize(
    "error",
    [
        errors.ResponseValidationError("misfit", partial_text="so far"),
        errors.TruncatedResponseError("cut", response=UnusableResponse("so far", "m", "p", "length", Usage(), NOW, 1.0)),
        errors.ContentBlockedError("blocked", partial_text="so far"),
        errors.ProviderUnavailableError("broke off", partial_text="so far", status=502),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_text_that_was_paid_for_is_on_the_exception(map_error: Any, error: LLMConnectorError) -> None:
    """Under the name that it has in llm-sync; pickled with it."""
    made = map_error.map_error(error)
    assert made.partial_text == "so far"
    assert pickle.loads(pickle.dumps(made)).partial_text == "so far"  # noqa: S301
    assert not hasattr(map_error.map_error(errors.EmptyResponseError("empty")), "partial_text")


def _has_an_exception(map_error: Any, kind: type[LLMConnectorError], status: int | None) -> None:
    error = kind("it failed", provider="p", model="m", status=status, request_id="req_1", retry_after=2.5, guidance="Do this.")
    made = map_error.map_error(error)
    assert isinstance(made, error_mapping.ShimError)
    assert isinstance(made, LLMConnectorError)
    assert isinstance(made, of_anthropic.AnthropicError if map_error is of_anthropic else of_openai.OpenAIError)
    assert "it failed" in str(made) or type(made).__name__ in _SILENT
    assert (made.provider, made.retry_after, made.guidance) == ("p", 2.5, "Do this.")
    for again in (pickle.loads(pickle.dumps(made)), copy.copy(made)):  # noqa: S301
        assert type(again) is type(made)
        assert str(again) == str(made)
        assert {name: value for name, value in vars(again).items() if name not in _OBJECTS} == {
            name: value for name, value in vars(made).items() if name not in _OBJECTS
        }
    if status is not None and status >= 400 and hasattr(made, "status_code"):
        assert made.status_code == (400 if isinstance(made, _CLOSER) else status)


_CLOSER = (litellm.ContextWindowExceededError, litellm.ContentPolicyViolationError)
# Those whose texts are the original's own, whatever happened.
_SILENT = (
    *("APIConnectionError", "APITimeoutError", "LengthFinishReasonError", "ContentFilterFinishReasonError"),
    *("APIResponseValidationError", "ServiceUnavailableError"),
)
_OBJECTS = ("response", "completion")  # compare by identity


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
        (418, "APIStatusError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (503, "InternalServerError"),
    ],
)
def test_statuses_are_openais_exceptions(client: Any, upstream: Any, status: int, name: str) -> None:
    """With the attributes scripts read."""
    upstream.fail(status, headers=(("retry-after", "7"),))
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    error = caught.value
    assert type(error) is getattr(openai, name)
    assert (error.status_code, error.request_id, error.code, error.param, error.type) == (status, "req_1", "code", "it", "error")
    assert error.body == {"message": f"status {status}", "type": "error", "param": "it", "code": "code"}
    assert error.message == str(error) == f"Error code: {status} - status {status}"
    assert error.response.status_code == status
    assert error.response.headers["X-Request-ID"] == "req_1"
    assert error.response.headers.get("Retry-After") == "7"
    assert "retry-after" in error.response.headers
    assert (error.response.is_error, error.response.is_success) == (True, False)
    assert (error.response.is_client_error, error.response.is_server_error) == (status < 500, status >= 500)
    assert error.response.reason_phrase == HTTPStatus(status).phrase
    assert error.response.json()["error"]["code"] == "code"
    assert error.retry_after == 7
    assert isinstance(error.__cause__, errors.ProviderError)
    assert error.__cause__.body == error.response.json()


def test_no_answer_in_time_and_no_connection(client: Any, upstream: Any) -> None:
    """A timeout is a connection error too, as in the original; neither has a status."""
    with upstream.simulator.hold(), pytest.raises(openai.APITimeoutError) as caught:
        client.chat.completions.create(model="gpt-4o-mini", messages=HELLO, timeout=0.2)
    assert isinstance(caught.value, openai.APIConnectionError)
    with pytest.raises(openai.APIConnectionError):
        client.with_options(base_url="http://127.0.0.1:9/v1").models.list()
    assert not hasattr(caught.value, "status_code")


@pytest.mark.parametrize(
    "body", ["<html>Bad gateway</html>", [{"error": {"message": "m"}}], {"error": "text"}, {"detail": "d"}, 7]
)
def test_bodies_of_any_shape_are_kept(client: Any, claude: Any, old: Any, lite: Any, upstream: Any, body: Any) -> None:
    """Whatever a gateway says, the exception is the status's."""
    from llm_sync.simulator import Response

    answer = Response(404, body.encode() if isinstance(body, str) else body)
    upstream.answers += [answer] * 4
    calls = (
        (openai.NotFoundError, lambda: client.chat.completions.create(model="m", messages=HELLO)),
        (anthropic.NotFoundError, lambda: claude.messages.create(model="m", messages=HELLO, max_tokens=5)),
        (of_2023.InvalidRequestError, lambda: old.ChatCompletion.create(model="m", messages=HELLO)),
        (litellm.NotFoundError, lite),
    )
    for kind, call in calls:
        with pytest.raises(kind):
            call()


def test_a_key_that_the_provider_echoes_is_shown_nowhere(upstream: Any) -> None:
    """Neither in the message nor in the body, its text, repr or pickle."""
    wrong = "sk-wrong-0123456789abcdefghijklmnop"
    with pytest.raises(openai.AuthenticationError) as caught:
        openai.OpenAI(api_key=wrong, base_url=upstream.url()).chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    error = caught.value
    shown = f"{error} {error!r} {error.body} {error.response.text} {error.__cause__} {vars(error)} {pickle.dumps(error)!r}"
    assert (error.status_code, error.code) == (401, "invalid_api_key")
    assert wrong not in shown
    assert wrong[:12] not in shown


def test_scripts_make_the_exceptions_themselves() -> None:
    """Tests of scripts do, with the original's arguments."""
    response = error_mapping.ErrorResponse(429, {"x-request-id": "req_1"})
    made = openai.RateLimitError("slow down", response=response, body={"code": "c"})
    assert (str(made), made.status_code, made.request_id, made.code) == ("slow down", 429, "req_1", "c")
    assert str(openai.APITimeoutError(request=None)) == "Request timed out."
    assert str(openai.APIConnectionError(request=None)) == "Connection error."
    assert openai.APIError("m", None, body=None).body is None
    assert of_2023.RateLimitError("m", http_status=429).http_status == 429
    assert of_2023.InvalidRequestError("m", "param", code="c").param == "param"
    assert litellm.RateLimitError("m", "openai", "gpt").status_code == 429
    assert anthropic.APIStatusError("m", response=error_mapping.ErrorResponse(418), body={"error": {"type": "t"}}).type == "t"


def test_a_status_is_the_class_that_is_declared_for_it() -> None:
    """Each tree has its own table; a class that a script derives is in none, and is caught by its base."""

    class Mine(openai.RateLimitError):
        """A script's own."""

    assert of_openai.APIStatusError.by_status[429] is openai.RateLimitError
    assert of_anthropic.APIStatusError.by_status[429] is anthropic.RateLimitError
    assert of_litellm.LitellmError.by_status[429] is litellm.RateLimitError
    assert of_2023.LegacyError.by_status[429] is of_2023.RateLimitError
    assert (litellm.Timeout.status_code, of_litellm.LitellmError.by_status[504]) == (408, litellm.Timeout)
    assert error_mapping.ShimError not in of_openai.APIStatusError.by_status.values()
    assert not issubclass(anthropic.RateLimitError, openai.OpenAIError)
    with pytest.raises(openai.RateLimitError):
        raise Mine("slow down", response=error_mapping.ErrorResponse(429))


@EACH_SHIM
def test_the_tree_is_the_originals(map_error: Any) -> None:
    """Every class is documented, and below the root."""
    root = of_anthropic.AnthropicError if map_error is of_anthropic else of_openai.OpenAIError
    classes = [kind for kind in vars(map_error).values() if inspect.isclass(kind) and kind.__module__ == map_error.__name__]
    for kind in classes:
        assert kind.__doc__, kind
        assert issubclass(kind, root) or kind is litellm.BudgetExceededError, kind
    assert issubclass(openai.RateLimitError, openai.APIStatusError)
    assert issubclass(openai.APITimeoutError, openai.APIConnectionError)
    assert issubclass(litellm.RateLimitError, openai.RateLimitError)
    assert issubclass(litellm.Timeout, openai.APITimeoutError)
    assert issubclass(anthropic.OverloadedError, anthropic.InternalServerError)
