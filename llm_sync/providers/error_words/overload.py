"""The server is overloaded, down, or not ready yet, and this passes: ProviderUnavailableError; and the same of time."""

from llm_sync.errors import ProviderUnavailableError, RequestTimeoutError
from llm_sync.providers.error_words.entry import GOOD, SERVER, Meaning, Phrases, Words

_BUSY = r"(?:engine|models?|servers?|services?|systems?|upstream|backend)\b(?: \S+)?"

OVERLOAD = Meaning(
    ProviderUnavailableError,
    words=(
        Words("overloaded_error overloaded server_is_overloaded model_overloaded", "Anthropic, OpenAI, TGI"),
        Words("engine_overloaded_error engine_overloaded", "Moonshot"),
        Words("serveroverloaded serviceoverloaded throttling.serviceoverloaded modelserviceunavailable", "Ark, DashScope"),
        Words("provider_overloaded provider_unavailable server", "OpenRouter", dialects=("openai",)),
        Words("unavailable", "Google", dialects=("gemini",)),
        Words("resource_unavailable capacity_exceeded", "OpenAI and Groq: no capacity for the tier flex now"),
        Words("conflict_error", "Anthropic", dialects=("anthropic",)),
        Words("json_validate_failed", "Groq: the model broke the JSON it was asked for; another attempt may not"),
        Words("modelnotreadyexception modelerrorexception serviceunavailableexception internalserverexception", "AWS Bedrock"),
        Words("1120 1230 1234 1312", "Zhipu, z.ai"),
        Words("base_resp:1000 base_resp:1013 base_resp:1024 base_resp:1033", "MiniMax"),
        Words("error_code:1 error_code:2 error_code:15 error_code:336000 error_code:336100", "Baidu Qianfan", (GOOD,)),
        Words("service_unavailable service_unavailable_error", "OpenAI, Novita, llama.cpp", vague=True),
        Words("service_not_available unavailable_error", "OpenAI, Novita, llama.cpp", vague=True),
        Words("server_error internal_server_error internal_error", "many", SERVER, vague=True),
        Words("internalservererror internalserviceerror", "many", SERVER, vague=True),
        Words("api_error internalerror", "Anthropic, DashScope: a status says more", SERVER, vague=True),
    ),
    phrases=(
        Phrases(
            (
                r"model (?:is |was )?unloaded|model has crashed|failed to load model|^\"?channel error",
                r"failed to (?:generate|validate) json",
            ),
            "LM Studio and Groq, with a 400",
            (GOOD, (400, 400)),
        ),
        Phrases(
            (
                r"(?:model|server)\b.{0,80} is (?:currently |still )?(?:loading|starting|warming)",
                r"^loading model|model is not ready",
            ),
            "llama.cpp, Hugging Face, gateways",
            (GOOD, (400, 400), (403, 404), (409, 429)),
        ),
        Phrases(
            (
                rf"{_BUSY} (?:is|are|may be|was) (?:\w+ ){0, 4}?(?:overloaded|busy|at capacity|unavailable|under heavy load)",
                r"\bis overloaded\b|\b(?:engine|model|server|service|system) overload",
                r"temporarily (?:overloaded|unavailable)|系统.{0,4}繁忙|服务.{0,4}繁忙|服务器繁忙",
                r"^resources? (?:is |are )?unavailable|no capacity (?:left|now|available)|flex .{0,40}\bcapacity",
                r"过载|负载.{0,4}(?:过高|饱和|较高)",
            ),
            "TGI, SiliconFlow, z.ai, new-api",
            (GOOD, (400, 400), (403, 403), (429, 429)),
            unless=r"rate[- ]?limit",
        ),
        Phrases(
            (r"internal (?:server )?error|服务.{0,4}异常|内部错误|稍后.{0,2}(?:再试|重试)",), "gateways, inside a 200", (GOOD,)
        ),
    ),
)

TIMEOUT = Meaning(
    RequestTimeoutError,
    words=(
        Words("timeout", "OpenRouter", dialects=("openai",)),
        Words("timeout_error", "Anthropic"),
        Words("deadline_exceeded", "Google", (GOOD, (408, 408), (500, 599))),
        Words("requesttimeout requesttimeouterror internalerror.timeout", "DashScope"),
        Words("failedoperation.enginerequesttimeout", "Tencent Hunyuan"),
        Words("modeltimeoutexception", "AWS Bedrock"),
        Words("base_resp:1001", "MiniMax"),
    ),
    phrases=(Phrases((r"\btimed out\b|\brequest timeout\b|请求超时",), "gateways, inside a 200", (GOOD,)),),
)
