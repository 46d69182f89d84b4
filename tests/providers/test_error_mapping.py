"""Errors as providers put them, read into one shape, and the classes they mean."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models import ModelRequest
from llm_sync.providers.error_mapping import is_retryable, read_api_error

MESSAGES: list[tuple[Any, str]] = [
    ({"error": {"message": "one"}}, "one"),
    ({"error": "two"}, "two"),
    ({"code": "The prose is the code", "error": "three"}, "three"),  # xAI
    ({"message": "four", "object": "error"}, "four"),  # old vLLM, Mistral
    ({"detail": "five"}, "five"),
    ({"detail": [{"loc": ["body", "messages", 0], "msg": "six", "type": "missing"}]}, "body.messages.0: six"),
    ({"detail": ["seven", {"msg": "eight"}]}, "seven; eight"),
    ([{"error": {"message": "nine"}}], "nine"),
    ("<html><title>ten</title><script>x()</script></html>", "ten"),
    ("error code: 502", "error code: 502"),
    ("a &lt;b&gt;", "a <b>"),
    ("", "an empty body"),
    (None, "an empty body"),
    ([], "[]"),
    (5, "5"),
    ({}, "HTTP status 500 with the body {}"),
    ({"error": {"message": ""}}, 'HTTP status 500 with the body {"error": {"message": ""}}'),
    ({"error": {"message": None, "code": "boom"}}, '{"message": null, "code": "boom"}'),
    (
        {"error": {"message": "Provider returned error", "metadata": {"raw": '{"error": {"message": "deep"}}'}}},
        "Provider returned error: deep",
    ),
    ({"error": {"message": "outer", "metadata": {"raw": {"error": {"message": "deep"}}}}}, "outer: deep"),
    ({"error": {"message": "outer", "metadata": {"raw": '[{"error": {"message": "deep"}}]'}}}, "outer: deep"),
    ({"error": {"message": "outer", "metadata": {"raw": "plain text"}}}, "outer: plain text"),
    ({"error": {"message": "outer", "metadata": {"raw": '"quoted"'}}}, 'outer: "quoted"'),
    ({"error": {"message": "outer", "metadata": {"raw": "[" * 100_000}}}, "outer: " + "[" * 393 + " …"),
    ({"error": {"message": "the deep", "metadata": {"raw": "deep"}}}, "the deep"),
    ({"error": {"message": "outer", "metadata": {"raw": 5}}}, "outer"),
    ({"error": {"message": "m" * 1000}}, "m" * 400 + " …"),
    ({"object": "error", "message": {"detail": [{"loc": ["body", "x"], "msg": "eleven"}]}}, "body.x: eleven"),  # Mistral
    ({"success": False, "errors": [{"code": 10000, "message": "twelve"}]}, "twelve"),  # Cloudflare
    ({"error": [{"message": "thirteen"}]}, "thirteen"),
    ({"error": {"error": {"message": "fourteen"}}}, "fourteen"),
    ({"Message": "fifteen"}, "fifteen"),
    ({"base_resp": {"status_code": 1008, "status_msg": "sixteen"}}, "sixteen"),
    ({"fault": {"faultstring": "seventeen", "detail": {"errorcode": "x"}}}, "seventeen"),
    ({"error": "invalid_grant", "error_description": "eighteen"}, "invalid_grant: eighteen"),
    ({"title": "Forbidden", "status": 403, "detail": "nineteen"}, "Forbidden: nineteen"),
    ({"title": "twenty"}, "twenty"),
    ({"errorMessage": "twenty-one"}, "twenty-one"),
    ({"code": 1, "msg": "twenty-two"}, "twenty-two"),
    ({"Response": {"Error": {"Code": "x", "Message": "twenty-three"}}}, "twenty-three"),
    ({"detail": {"error": {"message": "twenty-four"}}}, "twenty-four"),
    ({"error": {"code": "x"}, "message": "twenty-five"}, "twenty-five"),
    ({"reason": "TWENTY_SIX"}, "TWENTY_SIX"),
    ({"error": [[[[[["too deep"]]]]]]}, '[[[[[["too deep"]]]]]]'),
]


@pytest.mark.parametrize(("body", "message"), MESSAGES, ids=range(len(MESSAGES)))
def test_messages(body: Any, message: str) -> None:
    """The message is found wherever it stands, as one line that is not too long."""
    assert read_api_error(500, body).message == message


@pytest.mark.parametrize(
    ("code", "status"), [(429, 429), ("503", 503), (399, 200), (600, 200), (True, 200), ("rate", 200), ([], 200), (10**400, 200)]
)
def test_the_status_inside_a_200(code: Any, status: int) -> None:
    """A code that is a status counts as the status; with an error status, the status itself counts."""
    assert read_api_error(200, {"error": {"code": code, "message": "m"}}).status == status
    assert read_api_error(401, {"error": {"code": code, "message": "m"}}).status == 401


def test_hostile_pages_take_no_time() -> None:
    """A page of unclosed tags is no work."""
    for page in ("<script" * 3000, "<" * 20_000, "<style </style " * 1400, "<a " * 7000):
        started = time.process_time()
        read_api_error(502, page)
        assert time.process_time() - started < 0.1


OPENAI: list[tuple[int, Any, type[Exception], bool]] = [
    (401, {"code": "invalid_api_key", "type": "invalid_request_error"}, errors.AuthenticationError, False),
    (400, {"message": "Incorrect API key provided: xx"}, errors.AuthenticationError, False),
    (403, {"code": "unsupported_country_region_territory"}, errors.PermissionDeniedError, False),
    (404, {"code": "model_not_found"}, errors.ModelNotFoundError, False),
    (400, {"code": "model_not_found"}, errors.ModelNotFoundError, False),
    (400, {"code": "model_decommissioned"}, errors.ModelNotFoundError, False),
    (404, {"code": "DeploymentNotFound"}, errors.ModelNotFoundError, False),
    (400, {"code": "context_length_exceeded"}, errors.ContextLengthExceededError, False),
    (400, {"type": "exceed_context_size_error"}, errors.ContextLengthExceededError, False),
    (400, {"message": "This model's maximum context length is 8192 tokens"}, errors.ContextLengthExceededError, False),
    (500, {"type": "server_error", "message": "Context size has been exceeded."}, errors.ContextLengthExceededError, False),
    *(
        (400, {"message": message, "type": "invalid_request_error"}, errors.ContextLengthExceededError, False)
        for message in (
            "Please reduce the length of the messages or completion.",
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length",
            "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
            "Input is too long for requested model.",
            "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
            "The number of tokens to keep from the initial prompt is greater than the context length.",
        )
    ),
    (400, {"message": "max_tokens is too large: 5000. This model supports at most 4096"}, errors.InvalidRequestError, False),
    (400, {"code": "moderation_blocked"}, errors.ContentBlockedError, False),
    (400, {"message": "API key not valid. Please pass a valid API key."}, errors.AuthenticationError, False),
    (429, {"code": "billing_hard_limit_reached"}, errors.QuotaExceededError, False),
    (429, {"code": "1113", "message": "Insufficient balance or no resource package."}, errors.QuotaExceededError, False),
    (429, {"message": "Your team has used all available credits or reached its limit"}, errors.QuotaExceededError, False),
    (503, {"message": "Insufficient balance of replicas"}, errors.ProviderUnavailableError, True),
    (429, {"type": "exceeded_current_quota_error"}, errors.QuotaExceededError, False),
    (
        429,
        {"message": "Request too large for m. Limit 30,000, Requested 50,000.", "code": "rate_limit_exceeded"},
        errors.RateLimitError,
        False,
    ),
    (500, {"type": "invalid_request_error"}, errors.ProviderUnavailableError, True),
    (200, {"code": "image_content_policy_violation"}, errors.ContentBlockedError, False),
    (200, {"code": "invalid_base64_image"}, errors.InvalidRequestError, False),
    (200, {"code": "failed_to_download_image"}, errors.InvalidRequestError, False),
    (200, {"type": "invalid_request_error"}, errors.InvalidRequestError, False),
    (200, {"code": "never_heard_of"}, errors.ProviderError, False),
    (400, {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}, errors.ContentBlockedError, False),
    (400, {"code": "content_policy_violation"}, errors.ContentBlockedError, False),
    (400, {"code": "invalid_prompt"}, errors.ContentBlockedError, False),
    (429, {"code": "rate_limit_exceeded", "type": "tokens"}, errors.RateLimitError, True),
    (429, {"type": "requests"}, errors.RateLimitError, True),
    (429, {"code": "insufficient_quota", "type": "insufficient_quota"}, errors.QuotaExceededError, False),
    (429, {"code": "credit_balance_exhausted", "type": "insufficient_quota"}, errors.QuotaExceededError, False),
    (429, {"code": "project_spend_limit_exceeded"}, errors.QuotaExceededError, False),
    (
        429,
        {"message": "Request too large for m. Limit 100, Requested 200.", "code": "rate_limit_exceeded"},
        errors.RateLimitError,
        False,
    ),
    (
        429,
        {"message": "Request too large for m. Limit 300, Requested 200.", "code": "rate_limit_exceeded"},
        errors.RateLimitError,
        True,
    ),
    (503, {"code": "slow_down"}, errors.RateLimitError, True),
    (503, {"code": 503, "message": "Loading model", "type": "unavailable_error"}, errors.ProviderUnavailableError, True),
    (400, {"code": "unsupported_parameter"}, errors.InvalidRequestError, False),
    (500, {"error_type": "unknown_error"}, errors.ProviderUnavailableError, True),
    (502, {"error_type": "invalid_response"}, errors.ProviderUnavailableError, True),
    (503, {"error_type": "missing_upstream"}, errors.ProviderUnavailableError, True),
    (429, {"error_type": "image_limit"}, errors.RateLimitError, True),
    (401, {"error_type": "missing_api_key"}, errors.AuthenticationError, False),
    (403, {"error_type": "invalid_scope"}, errors.PermissionDeniedError, False),
    (200, {"type": "unknown_error"}, errors.ProviderError, False),
]
OPENROUTER: list[tuple[int, Any, type[Exception], bool]] = [
    (403, {"metadata": {"reasons": ["violence"], "flagged_input": "x"}}, errors.ContentBlockedError, False),
    (403, {"metadata": {"patterns": ["x"]}}, errors.ContentBlockedError, False),
    (403, {"resets_at": "2026-01-01"}, errors.QuotaExceededError, False),
    (403, {"metadata": {"limit_source": "api_key", "resets_at": "2026-01-01"}}, errors.QuotaExceededError, False),
    (403, {"message": "Key limit exceeded (monthly limit)."}, errors.QuotaExceededError, False),
    (503, {"message": "No available model provider meets your routing requirements"}, errors.ProviderUnavailableError, False),
    (502, {"code": 502, "metadata": {"error_type": "invalid_request"}}, errors.InvalidRequestError, False),
    (200, {"code": 400, "metadata": {"error_type": "not_found"}}, errors.ModelNotFoundError, False),
    (200, {"error_type": "string_too_long"}, errors.InvalidRequestError, False),
    (402, {"message": "more credits"}, errors.QuotaExceededError, False),
    (
        402,
        {"metadata": {"error_type": "payment_required", "limit_source": "openrouter_in_flight_budget"}},
        errors.RateLimitError,
        True,
    ),
    (429, {"message": "Rate limit exceeded: free-models-per-min."}, errors.RateLimitError, True),
    (429, {"message": "Rate limit exceeded: free-models-per-day."}, errors.QuotaExceededError, False),
    (429, {"availability": {"retryable": False}}, errors.RateLimitError, False),
    (503, {"availability": {"retryable": False}}, errors.ProviderUnavailableError, False),
    (501, {"availability": {"retryable": True}}, errors.ProviderUnavailableError, True),
    (400, {"message": "x is not a valid model ID"}, errors.ModelNotFoundError, False),
    (400, {"metadata": {"error_type": "context_length_exceeded"}}, errors.ContextLengthExceededError, False),
    (400, {"metadata": {"raw": '{"error": {"code": "context_length_exceeded"}}'}}, errors.ContextLengthExceededError, False),
    (400, {"metadata": {"error_type": "refusal"}}, errors.ContentBlockedError, False),
]
ANTHROPIC: list[tuple[int, Any, type[Exception], bool]] = [
    (401, {"type": "authentication_error"}, errors.AuthenticationError, False),
    (402, {"type": "billing_error"}, errors.QuotaExceededError, False),
    (
        400,
        {"type": "invalid_request_error", "message": "Your credit balance is too low to access"},
        errors.QuotaExceededError,
        False,
    ),
    (400, {"message": "You have reached your specified workspace API usage limits."}, errors.QuotaExceededError, False),
    (400, {"message": "prompt is too long: 205429 tokens > 200000 maximum"}, errors.ContextLengthExceededError, False),
    (403, {"type": "permission_error"}, errors.PermissionDeniedError, False),
    (404, {"type": "not_found_error", "message": "model: x"}, errors.ModelNotFoundError, False),
    (413, {"type": "request_too_large"}, errors.InvalidRequestError, False),
    (429, {"type": "rate_limit_error"}, errors.RateLimitError, True),
    (
        429,
        {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}},
        errors.QuotaExceededError,
        False,
    ),
    (500, {"type": "api_error"}, errors.ProviderUnavailableError, True),
    (504, {"type": "timeout_error"}, errors.RequestTimeoutError, True),
    (529, {"type": "overloaded_error"}, errors.ProviderUnavailableError, True),
    (400, {"type": "overloaded_error"}, errors.ProviderUnavailableError, True),
]


def _quota(name: str) -> dict[str, Any]:
    violations = [{"quotaId": f"GenerateRequests{name}PerProjectPerModel-FreeTier"}]
    return {
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}],
    }


GEMINI: list[tuple[int, Any, type[Exception], bool]] = [
    (400, {"status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}, errors.AuthenticationError, False),
    (401, {"status": "UNAUTHENTICATED"}, errors.AuthenticationError, False),
    (403, {"status": "PERMISSION_DENIED"}, errors.PermissionDeniedError, False),
    (403, {"message": "Method doesn't allow unregistered callers"}, errors.AuthenticationError, False),
    (400, {"status": "FAILED_PRECONDITION", "message": "User location is not supported"}, errors.PermissionDeniedError, False),
    (
        400,
        {"message": "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."},
        errors.ContextLengthExceededError,
        False,
    ),
    (402, {"status": "RESOURCE_EXHAUSTED"}, errors.QuotaExceededError, False),
    (404, {"status": "NOT_FOUND"}, errors.ModelNotFoundError, False),
    (429, _quota("PerMinute"), errors.RateLimitError, True),
    (429, _quota("PerDay"), errors.QuotaExceededError, False),
    (429, {"message": "Your project has exceeded its monthly spending cap."}, errors.QuotaExceededError, False),
    (429, {"message": "You exceeded your current quota, please check your plan."}, errors.RateLimitError, True),
    (400, {"status": "INVALID_ARGUMENT", "message": "API key expired. Please renew it."}, errors.AuthenticationError, False),
    (
        400,
        {"message": "the input token count is 40000 but model only supports up to 32768"},
        errors.ContextLengthExceededError,
        False,
    ),
    (503, {"status": "UNAVAILABLE"}, errors.ProviderUnavailableError, True),
    (504, {"status": "DEADLINE_EXCEEDED"}, errors.RequestTimeoutError, True),
    (400, {"status": "INVALID_ARGUMENT"}, errors.InvalidRequestError, False),
]
CASES = [
    *(("openai", *case) for case in OPENAI),
    *(("openai", *case) for case in GEMINI if case[0] == 429),  # Google's door for OpenAI's clients
    *(("openai-responses", *case) for case in OPENAI),
    *(("openrouter", *case) for case in (*OPENAI, *OPENROUTER)),
    *(("anthropic", *case) for case in ANTHROPIC),
    *(("gemini", *case) for case in GEMINI),
]


@pytest.mark.parametrize(("kind", "status", "error", "expected", "retryable"), CASES)
def test_classes(
    provider: Any, reply: Any, kind: str, status: int, error: Any, expected: type[Exception], retryable: bool
) -> None:
    """Code, type and message of each provider's errors, and whether another attempt may help."""
    made = provider(kind, reply({"error": {"message": "m", **error}}, status))
    with pytest.raises(errors.LLMConnectorError) as caught:
        made.generate_response(ModelRequest("x", "m"))
    assert type(caught.value) is expected
    assert caught.value.retryable is retryable
    assert caught.value.guidance


@pytest.mark.parametrize(
    ("status", "told", "retryable"),
    [
        (503, "false", False),
        (503, "true", True),
        (501, "true", True),
        (400, "true", False),
        (401, "true", False),
        (503, "maybe", True),
    ],
)
def test_x_should_retry(provider: Any, reply: Any, status: int, told: str, retryable: bool) -> None:
    """The header beats the status, but makes no wrong request right."""
    made = provider("anthropic", reply({"error": {"message": "m"}}, status, x_should_retry=told))
    with pytest.raises(errors.LLMConnectorError) as caught:
        made.generate_response(ModelRequest("x", "m"))
    assert caught.value.retryable is retryable


def test_a_transient_402(provider: Any, reply: Any) -> None:
    """OpenRouter's 402 with Retry-After is held credit: it is waited for."""
    made = provider("openrouter", reply({"error": {"message": "m", "code": 402}}, 402, retry_after="10"))
    with pytest.raises(errors.RateLimitError) as caught:
        made.generate_response(ModelRequest("x", "m"))
    assert (caught.value.retryable, caught.value.retry_after) == (True, 10)


def test_a_402_that_waiting_does_not_cure(provider: Any, reply: Any) -> None:
    """A request that costs more than the whole budget stays refused, whatever Retry-After says."""
    body = {"error": {"message": "m", "code": 402, "metadata": {"limit_source": "weight_exceeds_budget"}}}
    with pytest.raises(errors.QuotaExceededError):
        provider("openrouter", reply(body, 402, retry_after="10")).generate_response(ModelRequest("x", "m"))


def test_no_upstream_is_said_to_be_in_trouble(provider: Any, reply: Any) -> None:
    """A request that no upstream may serve is not advised to wait."""
    body = {"error": {"message": "There is no available model provider that meets your routing requirements", "code": 503}}
    with pytest.raises(errors.ProviderUnavailableError, match="provider_specific"):
        provider("openrouter", reply(body, 503)).generate_response(ModelRequest("x", "m"))


@pytest.mark.parametrize("kind", ["openai", "openai-responses", "anthropic", "gemini", "openrouter"])
def test_an_error_in_a_list_under_a_good_status(provider: Any, reply: Any, kind: str) -> None:
    """Google's doors put errors into a list; it is no answer of another shape."""
    body = [{"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}]
    with pytest.raises(errors.ProviderUnavailableError, match="overloaded"):
        provider(kind, reply(body)).generate_response(ModelRequest("x", "m"))


def test_a_flat_error_under_a_good_status(provider: Any, reply: Any) -> None:
    """Old vLLM's form says by its object what it is."""
    body = {"object": "error", "message": "max_tokens is wrong", "type": "BadRequestError", "code": 400}
    with pytest.raises(errors.InvalidRequestError, match="max_tokens is wrong"):
        provider("openai", reply(body)).generate_response(ModelRequest("x", "m"))


STRANGE: list[Any] = [
    {"error": {"code": [], "type": {}, "details": [[], 5, {"reason": []}], "metadata": [], "innererror": 5, "param": {}}},
    {"error": {"metadata": {"raw": {}, "error_type": 5, "reasons": 5}, "availability": 5}},
    {"error": [1, 2]},
    {"error": True},
    {"detail": [None, [], {"loc": 5, "msg": None}]},
    [[]],
    {"error": {"details": [{"violations": 5}, {"violations": [5]}]}},
]


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini", "openrouter"])
def test_strange_shapes(provider: Any, reply: Any, kind: str) -> None:
    """No error body is too strange to be read."""
    for body in STRANGE:
        for status in (200, 400, 402, 403, 429):
            with pytest.raises(errors.LLMConnectorError) as caught:
                provider(kind, reply(json.dumps(body), status)).generate_response(ModelRequest("x", "m"))
            assert caught.value.message


def test_a_class_that_is_never_retried() -> None:
    """No header makes an authentication error worth another attempt."""
    assert is_retryable(errors.AuthenticationError, read_api_error(401, {}), "true") is False
