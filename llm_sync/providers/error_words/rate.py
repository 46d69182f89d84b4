"""Too fast; waiting helps: RateLimitError."""

from llm_sync.errors import RateLimitError
from llm_sync.providers.error_words.entry import GOOD, Meaning, Phrases, Words

RATE = Meaning(
    RateLimitError,
    words=(
        Words("slow_down", "OpenAI, formerly with a 503"),
        Words("openrouter_in_flight_budget", "OpenRouter: credit that requests in flight hold", dialects=("openai",)),
        Words("base_resp:1002 base_resp:1039 base_resp:1041 base_resp:2045", "MiniMax"),
        Words("error_code:4 error_code:18 error_code:336501 error_code:336502", "Baidu Qianfan", (GOOD,)),
        Words("failedoperation.engineserverlimitexceeded", "Tencent Hunyuan"),
        Words("code:40303", "iFlow"),
        Words("token_limit_exceeded", "Novita: tokens of a minute", ((429, 429),)),
        Words("rate_limit_exceeded rate_limit_error rate_limit_reached_error", "OpenAI, Anthropic", vague=True),
        Words("rate_limited ratelimiterror", "OpenAI, Anthropic", vague=True),
        Words("ratelimitreached ratelimitexceeded toomanyrequests", "Azure, Ark", vague=True),
        Words("too_many_requests too_many_requests_error", "Azure, Ark", vague=True),
        Words("throttling throttling_error throttlingexception", "DashScope, AWS", vague=True),
        Words("limit_requests limitrequests limit_burst_rate", "DashScope, AWS", vague=True),
        Words("rpm_rate_limit_exceeded tpm_rate_limit_exceeded", "Qianfan, Tencent", vague=True),
        Words("requestlimitexceeded limitexceeded", "Qianfan, Tencent", vague=True),
        Words("1302 1303 1305", "Zhipu, z.ai", vague=True),
    ),
    phrases=(
        Phrases(
            (
                r"rate[- ]?limit(?:ed|s)?\b|too many (?:concurrent )?requests",
                r"requests? per (?:minute|second)|tokens? per minute",
                r"\b(?:RPM|TPM|QPS)\b.{0,20}limit|(?:high|max\w*) concurrency|concurrency (?:limit|exceed)",
                r"throttl(?:ed|ing)",
                r"频率|频繁|并发|限流|速率限制|请求.{0,6}过(?:多|快)",
            ),
            "under statuses that do not mean a rate limit: MiniMax, Qianfan, gateways; in Chinese",
            (GOOD, (400, 400), (403, 403), (500, 500)),
        ),
    ),
)
