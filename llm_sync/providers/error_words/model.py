"""The provider does not serve this model, to this key or at all: ModelNotFoundError."""

from llm_sync.errors import ModelNotFoundError
from llm_sync.providers.error_words.entry import GOOD, Meaning, Phrases, Words

_REFUSED = (GOOD, (400, 401), (403, 404), (410, 410), (422, 422), (500, 500), (503, 503))
_NAME = r"(?:[`'\"<]?[\w./:@-]+[`'\">]?,? )?"  # of a model, between the noun and the verb

MODEL = Meaning(
    ModelNotFoundError,
    words=(
        Words("model_not_found model_not_exist model_not_exists no_such_model", "OpenAI, Groq, Hugging Face, new-api"),
        Words("model_decommissioned model_deprecated model_retired model_terms_required", "Groq"),
        Words("deploymentnotfound", "Azure"),
        Words("unknown_model unavailable_model", "GitHub Models"),
        Words("model_not_supported model_not_available_for_integrator", "GitHub Copilot, Hugging Face"),
        Words("invalid_model invalidmodel", "Mistral, Perplexity"),
        Words("model_not_available modelnotfound model.notfound unsupported_model unsupportedmodel", "Novita, DashScope, Ark"),
        Words("invalidendpointormodel modelnotopen invalidendpoint.notfound invalidparameter.modelnotfound", "Volcengine Ark"),
        Words("1211", "Zhipu, z.ai"),
        Words("code:20012", "SiliconFlow"),
        Words("resourcenotfoundexception", "AWS Bedrock", ((404, 404),)),
        Words("not_found_error", "Anthropic, vLLM", (GOOD, (404, 404)), vague=True),
        Words("not_found", "OpenRouter", (GOOD,), vague=True),
    ),
    phrases=(
        Phrases(
            (
                rf"\bmodels? {_NAME}(?:does not|doesn'?t|not) exists?\b",
                rf"\bmodels? {_NAME}(?:is |was |are )?not found\b",
                rf"\bmodel {_NAME}(?:cannot|could not|can't) be found",
                rf"model or endpoint {_NAME}does not exist|(?:not found|find) the model\b",
                rf"\bmodel {_NAME}(?:has been|is|was) (?:deprecated|decommissioned|retired|removed|no longer)",
                rf"\bmodel {_NAME}(?:has been|is|was) (?:discontinued|shut ?down)",
                rf"(?:^|[:.] ?)(?:the |this )?(?:requested |selected )?model {_NAME}is not supported\b",
                r"on-demand throughput|no such model|unknown model\b|unavailable model\b|model identifier is invalid",
                r"model not exist|not a valid model\b",
                r"invalid model(?: name| id| identifier)?(?:[:'\"` ]+(?!parameter|config|param|kwargs|output|response)\S|$)",
                r"models/\S+ is not found|publisher model \S+ (?:was )?not found",
                r"no (?:available )?channels? (?:available )?for model",
            ),
            "OpenAI, DeepSeek, Ollama, Kimi, Ark, Copilot, Fireworks, Bedrock, Google, Cloudflare, LiteLLM, new-api",
            _REFUSED,
        ),
        Phrases(
            (
                rf"\bmodels? {_NAME}(?:is |was |are )?(?:not available|unavailable)\b|unable to access model",
                r"llm provider not provided",
            ),
            "Together, GitHub Models, LiteLLM; a server that is down says so with a 5xx, too",
            (GOOD, (400, 400), (403, 404), (422, 422)),
            unless=r"\byour (?:country|region)|in (?:this|the) region",
        ),
        Phrases(
            (
                r"模型.{0,40}(?:不存在|未找到|找不到|已下线|已停用)|(?:不存在|找不到|无效|不支持)的模型|对于模型.{0,60}无可用渠道|无可用渠道",
            ),
            "in Chinese: Zhipu, DashScope, one-api",
            _REFUSED,
        ),
    ),
)
