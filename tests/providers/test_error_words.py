"""Errors as providers, gateways and local servers send them, and what they mean: what a word decides and what it must not."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models import ModelRequest
from llm_sync.providers.error_mapping import error_class, read_api_error
from llm_sync.providers.error_words.entry import normalized
from llm_sync.providers.error_words.lookup import MEANINGS
from llm_sync.providers.retry_after import retry_hint

QUOTA, CONTEXT, BLOCKED = errors.QuotaExceededError, errors.ContextLengthExceededError, errors.ContentBlockedError
MODEL, KEY, DENIED = errors.ModelNotFoundError, errors.AuthenticationError, errors.PermissionDeniedError
RATE, DOWN, TIMEOUT, WRONG = (
    errors.RateLimitError,
    errors.ProviderUnavailableError,
    errors.RequestTimeoutError,
    errors.InvalidRequestError,
)
Case = tuple[int, Any, type[Exception]]


def err(message: str, **rest: Any) -> dict[str, Any]:
    """An error object as OpenAI has it."""
    return {"error": {"message": message, **rest}}


SPENT: list[Case] = [
    (400, err("Access denied, please make sure your account is in good standing.", code="Arrearage", type="Arrearage"), QUOTA),
    (403, err("The request failed because your account has an overdue balance.", code="AccountOverdueError"), QUOTA),
    (429, err("Your account has exhausted its free trial quota for the model.", code="QuotaExceeded"), QUOTA),
    (429, err("You have reached the set inference limit.", code="SetLimitExceeded", type="TooManyRequests"), QUOTA),
    (429, err("Budget has been exceeded! Current cost: 10.51, Max budget: 10.00", type="budget_exceeded", code="429"), QUOTA),
    (400, err("ExceededBudget: User over budget", type="budget_exceeded", code="400"), QUOTA),
    (403, {"code": 403, "reason": "NOT_ENOUGH_BALANCE", "message": "not enough balance", "metadata": {}}, QUOTA),
    (403, {"code": 30011, "message": "The selected model requires paid balance. Your paid balance is insufficient."}, QUOTA),
    (403, {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None}, QUOTA),
    (429, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, QUOTA),
    (200, {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, QUOTA),
    (200, {"choices": None, "base_resp": {"status_code": 2056, "status_msg": "usage limit exceeded"}}, QUOTA),
    (429, err("余额不足或无可用资源包,请充值。", code="1113"), QUOTA),
    (429, err("已达到 5 小时的使用上限。您的限额将在 2999-12-21 15:00:05 重置。", code="1308"), QUOTA),
    (
        429,
        err("[1308][Usage limit reached for 5 hour. Your limit will reset at 2999-01-01 00:00:00][x]", type="rate_limit_error"),
        QUOTA,
    ),
    (403, err("user quota is not enough", type="one_api_error", code="insufficient_user_quota"), QUOTA),
    (403, err("用户额度不足, 剩余额度: 0.00", type="new_api_error"), QUOTA),
    (403, {"code": "INSUFFICIENT_BALANCE", "message": "Insufficient account balance"}, QUOTA),
    (402, err("Insufficient Balance", type="unknown_error", code="invalid_request_error"), QUOTA),
    (402, err("Credit limit exceeded. Please navigate to billing to add credit.", type="credit_limit"), QUOTA),
    (
        412,
        {"error": {"object": "error", "message": "Account x is suspended, possibly due to reaching the monthly spending limit"}},
        QUOTA,
    ),
    (
        403,
        {"code": "The caller does not have permission", "error": "Your newly created team doesn't have any credits yet."},
        QUOTA,
    ),
    (429, {"code": "Some resource has been exhausted", "error": "Your team x has either used all available credits"}, QUOTA),
    (403, {"code": "x", "error": "You have run out of credits or need a Grok subscription."}, QUOTA),
    (429, err("Your account org-1 is suspended, please check your plan.", type="exceeded_current_quota_error"), QUOTA),
    (403, err("You've reached your usage limit for this billing cycle.", type="permission_error"), QUOTA),
    (403, err("The free tier of the model has been exhausted.", code="AllocationQuota.FreeTierOnly"), QUOTA),
    (429, err("Free allocated quota exceeded.", code="insufficient_quota"), QUOTA),
    (200, {"Response": {"Error": {"Code": "FailedOperation.ResourcePackExhausted", "Message": "x"}, "RequestId": "r"}}, QUOTA),
    (429, {"error_code": 17, "error_msg": "Open api daily request limit reached"}, QUOTA),
    (
        429,
        err("You exceeded your current quota. Read https://platform.openai.com/docs/guides/error-codes/api-errors.", code="429"),
        QUOTA,
    ),
    (
        429,
        err("You exceeded your current quota. * Quota exceeded for metric: x, limit: 0, model: y", status="RESOURCE_EXHAUSTED"),
        QUOTA,
    ),
    (401, {"type": "error", "error": {"type": "CreditsError", "message": "No payment method. Add one."}}, QUOTA),
    (400, {"__type": "ServiceQuotaExceededException", "message": "limit"}, QUOTA),
    (403, err("Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys", code=403), QUOTA),
    (429, err("You have exhausted your capacity.", details=[{"reason": "QUOTA_EXHAUSTED"}], status="RESOURCE_EXHAUSTED"), QUOTA),
    (412, {"status": "failure", "message": "Portkey Error: Budget limit exceeded"}, QUOTA),
    (403, err("This model requires a paid plan. Please add credits to your account"), QUOTA),
    # limits of a day
    (429, {"message": "You are using a Trial key, which is limited to 1000 API calls / month."}, QUOTA),
    (
        429,
        err(
            "Rate limit reached for model on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619.",
            code="rate_limit_exceeded",
        ),
        QUOTA,
    ),
    (
        429,
        err("Rate limit of 50 per 86400s exceeded for UserByModelByDay. Please wait 5631 seconds", code="RateLimitReached"),
        QUOTA,
    ),
    (
        429,
        err(
            "Tokens per day limit exceeded - too many tokens processed.",
            type="too_many_tokens_error",
            code="token_quota_exceeded",
        ),
        QUOTA,
    ),
    (429, {"message": "Too many tokens per day, please wait before trying again."}, QUOTA),
    (429, err("The prepaid bill is overdue.", code="429"), QUOTA),
    (403, {"statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in 11:15:00."}, QUOTA),
    (429, err("ExceededBudget: Crossed spend within team. Budget: 10", type="throttling_error", code="429"), QUOTA),
    (403, {"errors": [{"code": "token_quota_reached", "message": "x"}], "trace": "t"}, QUOTA),
]
TOO_LONG: list[Case] = [
    (
        400,
        {"message": "too many tokens: size limit exceeded by 19296 tokens. The limit for this model is 132000 tokens."},
        CONTEXT,
    ),
    (400, err("prompt token count of 248111 exceeds the limit of 128000", code="model_max_prompt_tokens_exceeded"), CONTEXT),
    (413, err("Request body too large for gpt-4o model. Max size: 8000 tokens.", code="tokens_limit_reached"), CONTEXT),
    (
        400,
        err("You passed 98305 input tokens. However, the model's context length is only 131072 tokens", type="BadRequestError"),
        CONTEXT,
    ),
    (
        400,
        err("The input (50000 tokens) is longer than the model's context length (32768 tokens).", type="BadRequestError"),
        CONTEXT,
    ),
    (400, err("Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)"), CONTEXT),
    (400, err("Input token length too long", type="invalid_request_error"), CONTEXT),
    (400, err("invalid params, context window exceeds limit (2013)"), CONTEXT),
    (
        200,
        {"choices": None, "base_resp": {"status_code": 2013, "status_msg": "invalid params, context window exceeds limit"}},
        CONTEXT,
    ),
    (400, err("Range of input length should be [1, 30720]", code="InvalidParameter"), CONTEXT),
    (400, err("Prompt tokens too long", code="tokens_too_long", type="invalid_request_error"), CONTEXT),
    (400, err("Prompt 超长", code="1261"), CONTEXT),
    (
        400,
        {"detail": "The maximum context length of x is 32768. However, answering your request will take 39732 tokens."},
        CONTEXT,
    ),
    (413, {"type": "error", "error": {"type": "invalid_request_error", "message": "Prompt is too long"}}, CONTEXT),
    (400, err("litellm.ContextWindowExceededError: litellm.BadRequestError: x", code="400"), CONTEXT),
    (400, {"error": "Cannot truncate prompt with n_keep (5000) >= n_ctx (4096)"}, CONTEXT),
    (500, {"error": {"code": 500, "message": "the request exceeds the available context size", "type": "server_error"}}, CONTEXT),
    # no context, though tokens are spoken of
    (429, err("Too many tokens, please wait before trying again."), RATE),
    (429, err("Tokens per minute limit exceeded - too many tokens processed.", code="token_quota_exceeded"), RATE),
    (429, {"code": 429, "reason": "TOKEN_LIMIT_EXCEEDED", "message": "Token limit exceeded. Please try again later."}, RATE),
    (400, err("max_tokens is too large: 5000. This model supports at most 4096 completion tokens"), WRONG),
    (400, err("max_tokens must be at least 1, got -186."), WRONG),
    (
        400,
        {"message": "Input length (32764 tokens) exceeds the maximum allowed length (32762 tokens). Use a shorter input."},
        CONTEXT,
    ),
    (400, err("messages too long: 200000 > 131072 tokens"), CONTEXT),
    (400, err("total message token length exceed model limit"), CONTEXT),
    (400, {"errors": [{"message": "the number of input tokens 9000 cannot exceed the total tokens limit 8192"}]}, CONTEXT),
    (500, err("Input prompt is too big compared to KV size. Please try increasing KV size.", type="server_error"), CONTEXT),
    (500, err("input is too large to process. increase the physical batch size", type="server_error"), CONTEXT),
    (400, err("messages.1.content.0.image.source.base64: image exceeds 5 MB maximum: 6000000 bytes > 5242880 bytes"), WRONG),
    (400, err("Invalid 'tools[0].function.description': string too long. Expected a string with maximum length 1024"), WRONG),
]
BANNED: list[Case] = [
    (400, err("x", code="InputTextSensitiveContentDetected", type="BadRequest"), BLOCKED),
    (400, err("x", code="SensitiveContentDetected.Violence"), BLOCKED),
    (400, err("Input data may contain inappropriate content.", code="data_inspection_failed"), BLOCKED),
    (
        400,
        {"code": "DataInspectionFailed", "message": "Output data may contain inappropriate content.", "request_id": "r"},
        BLOCKED,
    ),
    (400, err("系统检测到输入或生成内容可能包含不安全或敏感内容", code="1301"), BLOCKED),
    (400, err("The request was rejected because it was considered high risk", type="content_filter"), BLOCKED),
    (200, {"choices": None, "base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}, BLOCKED),
    (500, err("敏感词检测失败: x", code="sensitive_words_detected"), BLOCKED),
    (403, {"code": "x", "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"}, BLOCKED),
    (446, err("The guardrail checks defined in the config failed.", type="hooks_failed"), BLOCKED),
    (400, err("Your request was rejected as a result of our safety system.", code=None), BLOCKED),
    # neighbours
    (400, err("Parameter names are case-sensitive words", type="invalid_request_error"), WRONG),
    (400, err("content_filter is not a valid parameter"), WRONG),
    (403, err("您的账号违规，已被限制"), DENIED),
    (400, err("Content Exists Risk", type="invalid_request_error", code="invalid_request_error"), BLOCKED),
    (451, err("The content is blocked by censorship", type="censorship_blocked"), BLOCKED),
]
NO_MODEL: list[Case] = [
    (400, {"code": 20012, "message": "Model does not exist. Please check it carefully.", "data": None}, MODEL),
    (400, err("Model is not supported for this request.", param="model", code="model_not_supported"), MODEL),
    (400, {"code": "1500", "message": "Invalid model: x", "object": "error", "type": "invalid_model"}, MODEL),
    (400, err("Invalid model 'x'. Permitted models can be found in the documentation.", type="invalid_model", code=400), MODEL),
    (400, err("Invalid request: model not found", type="new_api_error"), MODEL),
    (503, err("当前分组 default 下对于模型 gpt-4 无可用渠道 (request id: 1)", type="one_api_error"), MODEL),
    (503, err("No available channel for model x under group default", code="model_not_found", type="new_api_error"), MODEL),
    (400, err("Model Not Exist", type="invalid_request_error", code="invalid_request_error"), MODEL),
    (404, err('model "llama9" not found, try pulling it first', type="api_error"), MODEL),
    (404, {"error": "model 'llama9' not found"}, MODEL),
    (404, err("Not found the model kimi-x or Permission denied", type="resource_not_found_error"), MODEL),
    (
        404,
        err("The model or endpoint x does not exist or you do not have access to it.", code="InvalidEndpointOrModel.NotFound"),
        MODEL,
    ),
    (404, {"error": "Model not found, inaccessible, and/or not deployed"}, MODEL),
    (404, {"message": "model 'xlarge' not found, make sure the correct model ID was used"}, MODEL),
    (400, {"message": "The provided model identifier is invalid."}, MODEL),
    (400, {"success": False, "errors": [{"code": 5007, "message": "AiError: No such model @cf/x or task"}]}, MODEL),
    (
        400,
        err("/chat/completions: Invalid model name passed in model=x. Call `/v1/models` to view available models", code="400"),
        MODEL,
    ),
    (400, err("模型不存在，请检查模型代码。", code="1211"), MODEL),
    (400, err("Unknown model: x", code="unknown_model"), MODEL),
    (404, {"code": 404, "reason": "MODEL_NOT_FOUND", "message": "model not found", "metadata": {}}, MODEL),
    (404, err("Unable to access model x. Please visit the list of supported models", code="model_not_available"), MODEL),
    (503, err("The model is unavailable. Try again later."), DOWN),
    (400, {"message": "Invocation of model ID x with on-demand throughput isn't supported."}, MODEL),
    # something else that is not there
    (404, err("Previous response with id 'resp_1' not found.", code="previous_response_not_found"), WRONG),
    (404, err("Item with id 'rs_1' not found.", type="invalid_request_error"), WRONG),
    # a request that mentions a model in passing
    (400, err("Unsupported value: 'temperature' does not support 0.5 with this model.", type="invalid_request_error"), WRONG),
    (400, err("'tools' is not supported by the model x", type="invalid_request_error"), WRONG),
    (400, err("registry.ollama.ai/library/gemma:2b does not support tools", type="api_error"), WRONG),
    (400, err("No models loaded. Please load a model", type="invalid_request_error", param="model"), WRONG),
    (400, err("Structured output for this model is not supported", type="invalid_request_error"), WRONG),
    (400, err("Invalid model parameter: top_k", type="invalid_request_error"), WRONG),
    (400, err("The quota field of the model settings must be a number", type="invalid_request_error"), WRONG),
]
KEYS: list[Case] = [
    (400, 'event: error\ndata: {"error": {"message": "m", "code": "invalid_api_key"}}\n\n', KEY),
    (400, {"error": '{"error": {"message": "m", "code": "invalid_api_key"}}'}, KEY),
    (200, {"code": 1001, "msg": "token expired or invalid", "data": None}, KEY),
    (200, {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail: no API secret key"}}, KEY),
    (200, {"error_code": 110, "error_msg": "Access token invalid or no longer valid"}, KEY),
    (401, {"detail": "Invalid API Key"}, KEY),
    (401, {"error": "Unauthorized"}, KEY),
    (401, {"fault": {"faultstring": "Invalid ApiKey", "detail": {"errorcode": "oauth.v2.InvalidApiKey"}}}, KEY),
    (403, {"message": "Authentication failed: Please make sure your API Key is valid."}, KEY),
    (403, {"code": 403, "reason": "INVALID_API_KEY", "message": "x"}, KEY),
    (400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xx."}, KEY),
    (400, err("Authentication Error - Expired Key. Key Expiry time x", type="expired_key", code="400"), KEY),
    (401, err("无效的令牌", type="new_api_error"), KEY),
    (403, err("Your API key was reported as leaked. Please use another API key.", status="PERMISSION_DENIED"), KEY),
    (403, {"message": "The security token included in the request is expired"}, KEY),
    # neighbours
    (401, err("key not allowed to access model. This key can only access models=['a']", type="key_model_access_denied"), DENIED),
    (403, err("Permission denied: Consumer 'api_key:x' has been suspended.", status="PERMISSION_DENIED"), DENIED),
    (400, err("This organization has been disabled.", type="invalid_request_error"), DENIED),
    (400, err("Unexpected token < in JSON at position 0"), WRONG),
    (400, err("invalid token count in logit_bias"), WRONG),
    (400, [{"error": {"code": 400, "message": "Missing or invalid Authorization header.", "status": "INVALID_ARGUMENT"}}], KEY),
    (400, err("Authentication Error - Expired Key. Key Expiry time x"), KEY),
]
PACE: list[Case] = [
    (200, {"error_code": 336501, "error_msg": "Rpm rate limit reached", "id": "as-1"}, RATE),
    (200, {"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, RATE),
    (429, {"message": "Request was rejected due to rate limiting. Details: TPM limit reached.", "data": None}, RATE),
    (429, err("Requests rate limit exceeded, please try again later.", code="limit_requests"), RATE),
    (429, {"code": "Throttling.AllocationQuota", "message": "Allocated quota exceeded, please increase your quota limit."}, RATE),
    (429, err("当前API请求过多，请稍后重试。", code="1305"), RATE),
    (429, err("您的账户已达到速率限制，请您控制请求频率", code="1302"), RATE),
    (429, err("The RPM limit of the endpoint has been exceeded.", code="RateLimitExceeded.EndpointRPMExceeded"), RATE),
    (
        429,
        err(
            "This request would exceed your organization's rate limit of 80,000 input tokens per minute.", type="rate_limit_error"
        ),
        RATE,
    ),
    (429, err("No deployments available for selected model, Try again in 30 seconds.", code="429"), RATE),
    (
        429,
        err("Rate limit reached on tokens per min (TPM). Need more tokens? Upgrade at https://console.groq.com/settings/billing"),
        RATE,
    ),
    (
        429,
        err("Rate limit reached. You can increase it by adding a payment method to your account", code="rate_limit_exceeded"),
        RATE,
    ),
    (
        429,
        [{"error": {"code": 429, "message": "Resource has been exhausted (e.g. check quota).", "status": "RESOURCE_EXHAUSTED"}}],
        RATE,
    ),
]
PASSING: list[Case] = [
    (400, {"error": "Model unloaded."}, DOWN),
    (400, {"error": "The model has crashed without additional information. (Exit code: 11)"}, DOWN),
    (400, err('Failed to load model "x". Error: Operation canceled.'), DOWN),
    (400, err("Failed to generate JSON. Please adjust your prompt.", code="json_validate_failed", failed_generation="{"), DOWN),
    (200, {"detail": "Model is loading"}, DOWN),
    (200, {"success": False, "message": "Model service overloaded"}, DOWN),
    (503, {"error": "Model x is currently loading", "estimated_time": 20.0}, DOWN),
    (429, {"error": "Model is overloaded", "error_type": "overloaded"}, DOWN),
    (429, err("The engine is currently overloaded, please try again later", type="engine_overloaded_error"), DOWN),
    (429, err("The service may be temporarily overloaded, please try again later", code="1305"), DOWN),
    (503, {"code": 50505, "message": "Model service overloaded. Please try again later.", "data": None}, DOWN),
    (200, {"choices": None, "base_resp": {"status_code": 1000, "status_msg": "unknown error"}}, DOWN),
    (200, {"choices": None, "base_resp": {"status_code": 1001, "status_msg": "request timeout"}}, TIMEOUT),
    (500, {"errorMessage": "Task timed out"}, DOWN),
    (500, err("The server had an error while processing your request.", type="server_error"), DOWN),
    (424, {"__type": "com.amazon.coral.service#ModelErrorException", "message": "x"}, DOWN),
    (424, {"error": "Request failed during generation: Server error: CUDA out of memory", "error_type": "generation"}, DOWN),
    (499, err("The operation was cancelled.", status="CANCELLED", code=499), DOWN),
    (503, err("ResourceExhausted: Worker local total request limit reached (48/48)", type="Service Unavailable"), DOWN),
    (200, {"Response": {"Error": {"Code": "FailedOperation.EngineRequestTimeout", "Message": "x"}, "RequestId": "r"}}, TIMEOUT),
]
NEVER: list[Case] = [
    (500, err("image input is not supported - hint: you may need to provide the mmproj", type="server_error", code=500), WRONG),
    (500, err("tools param requires --jinja flag", type="server_error", code=500), WRONG),
    (500, err("Unsupported param: tools", type="server_error", code=500), WRONG),
    (500, {"detail": [{"loc": ["body", "messages"], "msg": "field required", "type": "value_error.missing"}]}, WRONG),
    (502, {"detail": [{"loc": ["body", "top_k"], "msg": "not an int", "type": "int_parsing"}]}, WRONG),
    (500, err("2 validation errors for ChatCompletionRequest\nmessages\n  Input should be a valid list"), WRONG),
    (500, err("x", code="unsupported_parameter"), WRONG),
    (429, err("Extra usage is required for long context requests.", type="rate_limit_error"), QUOTA),
    (500, err('response_format type must be one of "text" or "json_object", but got: json_schema', type="server_error"), WRONG),
    (500, err('litellm.APIError: x - {"error": {"message": "your plan does not include it (2061)"}}'), DENIED),
    (200, {"Response": {"Error": {"Code": "UnauthorizedOperation", "Message": "x"}, "RequestId": "r"}}, DENIED),
    (400, err("Organization has been restricted.", code="organization_restricted"), DENIED),
    (403, err("The model is not available in your region."), DENIED),
]
GROUPS = {
    "spent": SPENT, "too long": TOO_LONG, "banned": BANNED, "no model": NO_MODEL, "keys": KEYS, "pace": PACE, "passing": PASSING,
    "never": NEVER,
}  # fmt: skip


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{name}-{n}") for name, cases in GROUPS.items() for n, case in enumerate(cases)]
)
def test_meaning(provider: Any, reply: Any, case: Case) -> None:
    """The class is that of the meaning, whatever status and shape it came in; the class decides whether it is tried again."""
    status, body, expected = case
    with pytest.raises(errors.LLMConnectorError) as caught:
        provider("openai", reply(body, status)).generate_response(ModelRequest("x", "m"))
    assert type(caught.value) is expected, caught.value
    assert caught.value.retryable is expected.retryable
    assert "without a message" not in caught.value.message


@pytest.mark.parametrize("kind", ["anthropic", "gemini", "openrouter", "openai-responses"])
@pytest.mark.parametrize(
    "case",
    [
        (500, {"type": "error", "error": {"type": "api_error", "message": "insufficient balance (1008)"}}, QUOTA),
        (
            400,
            {
                "type": "error",
                "error": {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"},
            },
            BLOCKED,
        ),
        (429, err("Your prepayment credits are depleted. Please go to AI Studio.", code=429, status="RESOURCE_EXHAUSTED"), QUOTA),
        (200, {"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, KEY),
        (200, {"code": 500, "msg": "404 NOT_FOUND", "success": False}, DOWN),
        (401, err("x"), KEY),
        (429, err("x"), RATE),
    ],
)
def test_meaning_in_other_dialects(provider: Any, reply: Any, kind: str, case: Case) -> None:
    """The tables are the same for every dialect, as gateways speak all of them."""
    status, body, expected = case
    with pytest.raises(errors.LLMConnectorError) as caught:
        provider(kind, reply(body, status)).generate_response(ModelRequest("x", "m"))
    assert type(caught.value) is expected, caught.value


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, WRONG), (401, KEY), (403, DENIED), (404, MODEL), (422, WRONG), (429, RATE), (500, DOWN), (529, DOWN), (200, DOWN)],
)
def test_a_status_beats_api_error(provider: Any, reply: Any, status: int, expected: type[Exception]) -> None:
    """Anthropic's api_error says less than any status."""
    body = {"type": "error", "error": {"type": "api_error", "message": "m"}}
    with pytest.raises(errors.LLMConnectorError) as caught:
        provider("anthropic", reply(body, status)).generate_response(ModelRequest("x", "m"))
    assert type(caught.value) is expected
    assert caught.value.retryable is expected.retryable


PATHS: list[tuple[int, Any, bool]] = [
    (404, {"detail": "Not Found"}, True),
    (404, "404 page not found", True),
    (404, "<html><title>404 Not Found</title></html>", True),
    (404, "", True),
    (404, err("Invalid URL (POST /v1/v1/chat/completions)", type="invalid_request_error"), True),
    (404, err("Unknown request URL: POST /x. Please check the URL for typos", code="unknown_url"), True),
    (404, {"timestamp": "t", "status": 404, "error": "Not Found", "path": "/v4/v1/chat/completions"}, True),
    (404, err("Resource not found", code="404"), True),
    (404, {"message": "no Route matched with those values"}, True),
    (404, {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}, True),
    (404, {"code": 5, "error": "url.not_found", "message": "x"}, True),
    (200, {"error": "Unexpected endpoint or method. (POST /chat/completions)"}, True),
    (404, "Cannot POST /chat/completions", True),
    (404, err("The model `x` does not exist", code="model_not_found"), False),
    (404, {"type": "error", "error": {"type": "not_found_error", "message": "model: x"}}, False),
    (404, {"status": 404, "title": "Not Found", "detail": "Function 'u': Not found for account 'a'"}, False),
    (404, err("No endpoints found for x", code=404), False),
    (404, err("x"), False),
]


@pytest.mark.parametrize(("status", "body", "path"), PATHS, ids=range(len(PATHS)))
def test_a_path_that_is_not_there(provider: Any, reply: Any, status: int, body: Any, path: bool) -> None:
    """A 404 of the path is a wrong base_url, and no missing model."""
    with pytest.raises(errors.ProviderError) as caught:
        provider("openai", reply(body, status)).generate_response(ModelRequest("x", "m"))
    assert type(caught.value) is (WRONG if path else MODEL)
    assert ("base_url" in caught.value.guidance) is path


OVERSIZE: list[tuple[int, str, bool]] = [
    (429, "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 45000.", True),
    (
        413,
        "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 7500, reduce your message size",
        True,
    ),
    (429, "Request too large for m. Limit 300, Requested 200.", False),
    (429, "Rate limit reached: Limit 30000, Used 14567, Requested 24754. Please try again in 18.642s.", False),
]


@pytest.mark.parametrize(("status", "message", "oversize"), OVERSIZE)
def test_a_request_larger_than_the_limit_per_minute(provider: Any, reply: Any, status: int, message: str, oversize: bool) -> None:
    """It never succeeds, so it is not tried again, and nobody is told to wait."""
    with pytest.raises(errors.RateLimitError) as caught:
        provider("openai", reply(err(message, code="rate_limit_exceeded"), status)).generate_response(ModelRequest("x", "m"))
    assert caught.value.retryable is not oversize
    assert ("wait" in caught.value.guidance.lower()) is not oversize


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({}, "{}"),
        ({"weird": [1, 2]}, '{"weird": [1, 2]}'),
        ({"error": {"message": ""}}, '{"error": {"message": ""}}'),
        ({"error": {"message": None, "hint": "x"}}, '"hint": "x"'),
        ({"weird": "w" * 1000}, "w" * 300),
    ],
)
def test_an_unknown_shape_shows_itself(provider: Any, reply: Any, body: Any, shown: str) -> None:
    """What nobody can read is shown, cut."""
    with pytest.raises(errors.ProviderError) as caught:
        provider("openai", reply(body, 500)).generate_response(ModelRequest("x", "m"))
    assert shown in caught.value.message
    assert len(caught.value.message) < 500


def test_a_daily_quota_is_known_through_a_gateway(provider: Any, reply: Any) -> None:
    """Google names it in the details, which OpenRouter passes on as text."""
    quota = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "RequestsPerDayPerProject"}]}
    raw = json.dumps({"error": {"code": 429, "message": "You exceeded your current quota", "details": [quota]}})
    body = err("Provider returned error", code=429, metadata={"raw": raw})
    with pytest.raises(QUOTA):
        provider("openrouter", reply(body, 429)).generate_response(ModelRequest("x", "m"))


def test_an_aws_error_is_named_by_its_header(provider: Any, reply: Any) -> None:
    """The body has the text alone."""
    answer = reply({"message": "slow"}, 400, x_amzn_errortype="ThrottlingException:http://internal.amazon.com/coral/")
    with pytest.raises(errors.RateLimitError):
        provider("openai", answer).generate_response(ModelRequest("x", "m"))


@pytest.mark.parametrize(
    "body",
    [
        {"id": None, "choices": None},
        {"code": 200, "msg": "success", "data": None},
        {"model": "m", "message": {"role": "assistant", "content": "hi"}, "done": True},
        {"id": "x", "status": "completed", "steps": []},
        {"object": "list", "data": [], "message": "ok"},
        {"message": "ok", "success": True},
    ],
)
def test_what_is_no_error_under_a_good_status(provider: Any, reply: Any, body: Any) -> None:
    """A body of another shape is told as such: it says of no failure."""
    with pytest.raises(errors.ResponseValidationError):
        provider("openai", reply(body)).generate_response(ModelRequest("x", "m"))


def test_an_answer_beside_words_of_success(provider: Any, reply: Any) -> None:
    """Fields of gateways that say that all is well do not hide an answer."""
    answer = {
        "choices": [{"message": {"content": "hi"}}],
        "base_resp": {"status_code": 0, "status_msg": ""},
        "msg": "ok",
        "code": 0,
    }
    assert provider("openai", reply(answer)).generate_response(ModelRequest("x", "m")).text == "hi"


def test_a_listing_beside_words_of_success(provider: Any, reply: Any) -> None:
    """Nor a listing."""
    listing = {"code": 200, "msg": "ok", "success": True, "data": [{"id": "a"}]}
    assert provider("openai", reply(listing)).list_models() == ["a"]


def test_every_word_is_in_the_spelling_of_the_tables() -> None:
    """Words are looked up in one spelling: an entry in another would never be found."""
    names = [name for meaning in MEANINGS for entry in meaning.words for name in entry.names.split()]
    assert [name for name in names if normalized(name) != name] == []
    assert all(entry.source for meaning in MEANINGS for entry in (*meaning.words, *meaning.phrases))


@pytest.mark.parametrize(
    "text",
    [
        "model is a ",
        "violate ",
        "model ",
        "1",
        "1s ",
        "quota ",
        "balance has been ",
        " ",
        "a/",
        '{"',
        '{"a":',
        "not found ",
        "敏",
    ],
)
def test_hostile_messages_take_no_time(text: str) -> None:
    """No message is much work, however long it is and whatever it repeats."""
    for status in (200, 400, 404, 429, 500):
        body = {"error": {"message": text * 4000, "code": text * 4000}}
        started = time.process_time()
        error_class(read_api_error(status, body), dialect="openai")
        retry_hint({}, body)
        assert time.process_time() - started < 0.5
