"""The prompt or the answer is blocked for what it says: ContentBlockedError."""

from llm_sync.errors import ContentBlockedError
from llm_sync.providers.error_words.entry import GOOD, Meaning, Phrases, Words

_REFUSED = (GOOD, (400, 403), (422, 422), (446, 451), (498, 500))

POLICY = Meaning(
    ContentBlockedError,
    words=(
        Words("content_filter content_filter_error content_policy", "Azure, OpenAI"),
        Words("content_policy_violation responsibleaipolicyviolation", "Azure, OpenAI"),
        Words("invalid_prompt", "OpenAI", dialects=("openai",)),
        Words("bio_policy cyber_policy cyber_policy_violation image_content_policy_violation moderation_blocked", "OpenAI"),
        Words("refusal", "OpenRouter", dialects=("openai",)),
        Words("data_inspection_failed datainspectionfailed internalerror.algo.datainspectionfailed", "Alibaba DashScope"),
        Words("inputtextsensitivecontentdetected outputtextsensitivecontentdetected", "Volcengine Ark"),
        Words("sensitivecontentdetected", "Volcengine Ark"),
        Words("inputimagesensitivecontentdetected outputimagesensitivecontentdetected", "Volcengine Ark"),
        Words("inputvideosensitivecontentdetected outputvideosensitivecontentdetected", "Volcengine Ark"),
        Words("inputaudiosensitivecontentdetected outputaudiosensitivecontentdetected", "Volcengine Ark"),
        Words("inputtextriskdetection outputtextriskdetection contentsecuritydetectionerror", "Volcengine Ark"),
        Words("1301", "Zhipu, z.ai"),
        Words("base_resp:1026 base_resp:1027", "MiniMax"),
        Words("error_code:336104 unsafe_request content_unsafe", "Baidu Qianfan"),
        Words("sensitive_words_detected prompt_blocked content_blocked", "one-api, new-api"),
        Words("content_moderation content_moderation_failed", "one-api, new-api"),
        Words("contentpolicyviolationerror guardrail_violation", "LiteLLM proxy"),
        Words("censorship_blocked", "StepFun"),
        Words("hooks_failed", "Portkey", ((446, 446),)),
    ),
    phrases=(
        Phrases(
            (
                r"content (?:filter(?:ing)?|management|moderation) polic",
                r"blocked by (?:our |the |a |azure )?(?:\w+ )?(?:content|safety|moderation|guardrail)",
                r"may contain (?:inappropriate|sensitive|unsafe|harmful)|inappropriate content",
                r"unsafe or sensitive content",
                r"(?<!case-)(?<!case )\bsensitive (?:information|content|words?)\b|\bnew_sensitive\b",
                r"considered high risk",
                r"violat\w+ .{0,30}(?:usage|content|safety|guardrail|responsible ai) ?(?:polic|guidelines)",
                r"violat\w+ .{0,20}guidelines",
                r"flagged (?:as|by|for) .{0,40}(?:violat|cyber|safety|moderation|policy|unsafe|harm)",
                r"(?:prompt|input|content) was flagged",
                r"rejected (?:as a result of|by) (?:our|the) safety system|contentpolicyviolation",
                r"safety_check_type|content exists risk|blocked by censorship",
            ),
            "Anthropic, Azure, OpenAI, DashScope, DeepSeek, Kimi, MiniMax, StepFun, xAI, LiteLLM, Cohere",
            _REFUSED,
        ),
        Phrases(
            (
                r"敏感|不安全|内容安全|(?:内容|输入|输出|提示词).{0,8}(?:违规|违反)|审核.{0,4}(?:未通过|不通过|拦截|失败)|不当内容",
            ),
            "in Chinese: Zhipu, DashScope, Ark, one-api",
            _REFUSED,
            unless=r"账[号户]",  # an account that broke the rules
        ),
    ),
)
