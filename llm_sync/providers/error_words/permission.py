"""The key is good, but may not do this: PermissionDeniedError."""

from llm_sync.errors import PermissionDeniedError
from llm_sync.providers.error_words.entry import CLIENT, GOOD, Meaning, Phrases, Words

PERMISSION = Meaning(
    PermissionDeniedError,
    words=(
        Words("unsupported_country_region_territory", "OpenAI"),
        Words("failed_precondition", "Google: a region, or billing that is off", dialects=("gemini",)),
        Words("key_model_access_denied team_model_access_denied", "LiteLLM proxy"),
        Words("user_model_access_denied org_model_access_denied", "LiteLLM proxy"),
        Words("accessdenied model.accessdenied access_denied", "DashScope, Ark, Novita, AWS", CLIENT),
        Words("access_deny accessdeniedexception", "DashScope, Ark, Novita, AWS", CLIENT),
        Words("invalidsubscription operationdenied.servicenotopen", "Volcengine Ark"),
        Words("1110 1111 1112 1121 1220 1311 1313", "Zhipu, z.ai: accounts that are locked, plans without the model"),
        Words("base_resp:2061", "MiniMax: plans without the model"),
        Words("commoditynotpurchased unauthorizedoperation", "DashScope, Tencent"),
        Words("organization_restricted", "Groq"),
        Words("error_code:6", "Baidu Qianfan", (GOOD,)),
        Words("permission_error permission_denied", "Anthropic, Google", CLIENT, vague=True),
        Words("permission_denied_error permissiondeniederror", "Anthropic, Google", CLIENT, vague=True),
    ),
    phrases=(
        Phrases(
            (
                r"(?:country|region|location|territory)\b.{0,40}not (?:supported|available|allowed)",
                r"not (?:supported|available) in your (?:country|region)",
                r"not allowed to (?:access|use) (?:(?:this|the|publisher) )*model",
                r"not authorized to (?:access|perform|invoke|use)",
                r"(?:don'?t|do not|does not) have (?:permission|access) to",
                r"(?:organization|account) (?:has been |is )?(?:disabled|suspended|deactivated|locked|banned|restricted)",
                r"long[- ]context beta is not yet available|real-name|实名认证|无权(?:访问|使用)|没有权限|权限不足",
            ),
            "Google, LiteLLM, AWS, Anthropic, SiliconFlow; in Chinese: one-api",
            (GOOD, (400, 401), (403, 403)),
        ),
    ),
)
