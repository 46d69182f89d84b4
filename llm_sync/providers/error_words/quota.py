"""The money, budget or quota is used up, and waiting some minutes does not refill it: QuotaExceededError."""

from llm_sync.errors import QuotaExceededError
from llm_sync.providers.error_words.entry import GOOD, Meaning, Phrases, Words

_REFUSED = (GOOD, (400, 500))  # "insufficient balance" under a 502 or 503 may be about load

QUOTA = Meaning(
    QuotaExceededError,
    words=(
        Words("insufficient_quota billing_error credit_balance_exhausted", "OpenAI"),
        Words("billing_hard_limit_reached billing_not_active", "OpenAI"),
        Words(
            "organization_spend_limit_exceeded project_spend_limit_exceeded organization_usage_limit_exceeded "
            "usage_limit_reached usage_limit_exceeded usage_not_included",
            "OpenAI, Codex",
        ),
        Words("enforced_spend_limit_reached", "Anthropic"),
        Words("insufficient_balance not_enough_balance balance_not_enough", "Novita, many"),
        Words("insufficient_credits insufficient_funds", "Novita, many"),
        Words("billing_disabled", "Google"),
        Words("payment_required weight_exceeds_budget", "OpenRouter", dialects=("openai",)),
        Words("credit_limit creditserror freeusagelimiterror monthlylimiterror", "Together, OpenCode"),
        Words("arrearage prepaidbilloverdue postpaidbilloverdue budgetlimitexceeded allocationquota", "Alibaba DashScope"),
        Words("accountoverdueerror setlimitexceeded quotaexceeded inferencelimitexceeded", "Volcengine Ark"),
        Words("operationdenied.serviceoverdue operationdenied.accountoverdue", "Volcengine Ark"),
        Words("1113 1304 1308 1309 1310", "Zhipu, z.ai"),
        Words("base_resp:1008 base_resp:1028 base_resp:1030 base_resp:2056", "MiniMax"),
        Words("error_code:17 error_code:19 error_code:336503 account_overdue coin_quota_exceeded", "Baidu Qianfan"),
        Words("code:30001 code:30011", "SiliconFlow"),
        Words("code:60400", "iFlow"),
        Words("token_quota_reached", "watsonx"),
        Words("exceeded_current_quota_error", "Moonshot"),
        Words(
            "failedoperation.resourcepackexhausted failedoperation.freeresourcepackexhausted resourceinsufficient "
            "failedoperation.servicestop failedoperation.servicestoparrears",
            "Tencent Hunyuan",
        ),
        Words("budget_exceeded exceededbudget budgetexceedederror exceeded_budget", "LiteLLM proxy"),
        Words("insufficient_user_quota insufficient_token_quota pre_consume_token_quota_failed", "one-api, new-api"),
        Words("servicequotaexceededexception", "AWS Bedrock"),
        Words("quota_exceeded quota_exhausted", "GitHub Copilot and others", vague=True),
    ),
    phrases=(
        Phrases(
            (
                r"insufficient(?:_| )(?:account |user |wallet |paid |token )?(?:balance|credits?|funds?|quota)\b",
                r"\b(?:balance|credits?|funds) (?:is|are|has been)? ?(?:insufficient|not enough|too low|negative)",
                r"\b(?:balance|credits?|funds) (?:is|are|have been|has been)? ?(?:depleted|exhausted)",
                r"not enough (?:balance|credits?|quota|funds)|(?:quota|balance) is not enough",
                r"(?:quota|free tier|free trial|allowance|resource pack)\b.{0,40}\b(?:exhausted|depleted|used up|expired)",
                r"(?:out|run out|ran out) of (?:credits?|funds|quota|balance)",
                r"used all (?:available|its|your) credits",
                r"\b(?:no|any|0) credits\b|requires more credits|purchase (?:more )?credits",
                r"free allocated quota exceeded",
                r"exceeded your current quota.{0,200}platform\.openai\.com",  # Google's rate limits begin alike
            ),
            "DeepSeek, Anthropic, SiliconFlow, xAI, OpenRouter, DashScope, Google and many more",
            _REFUSED,
        ),
        Phrases(
            (
                r"overdue (?:balance|payment|bill)|\bbill is overdue|\barrears?\b|account is in good standing",
                r"(?:outstanding|unpaid|past) (?:invoice|balance|bill)",
                r"spend(?:ing)?[- ](?:limit|cap)\b|billing hard limit|credit limit (?:exceeded|reached)",
                r"exceeded ?budget|crossed (?:spend|budget)|out of call volume quota",
                r"budget (?:limit )?(?:has been |is )?(?:exceeded|exhausted|spent)",
                r"exceed(?:s|ed)? (?:the |your |its )?(?:monthly |daily )?budget|over budget",
                r"payment required|(?:no|valid|enter a|without a) payment method",
                r"billing (?:is )?(?:not active|not enabled|disabled)|enable billing",
                r"reached (?:its|your|the|kimi) (?:[\w-]+ ){0,3}(?:usage|spending) limits?",
                r"exceeded (?:your|the|its) (?:monthly|weekly|daily) (?:included )?(?:credits|quota|usage|allowance)",
                r"key limit exceeded",
                r"extra usage is required",  # Anthropic: long contexts on a plan without them
                r"limit: 0\b",  # Google: a quota of zero never passes
            ),
            "DashScope, Ark, Fireworks, LiteLLM, OpenAI, Google, xAI, Hugging Face, Anthropic",
            _REFUSED,
        ),
        Phrases((r"please add (?:more )?credits",), "gateways", (GOOD, (402, 403))),
        Phrases((r"exceeded your current quota",), "OpenAI, of an answer that failed in the background", (GOOD,)),
        Phrases(
            (
                r"usage limit (?:reached|exceeded|has been reached)",
                r"(?:hit|reached) your (?:\w+ )?usage limit|usage limit for this",
            ),
            "z.ai, Kimi, MiniMax, Codex",
            _REFUSED,
            unless=r"per[- ](?:minute|second)|/min",
        ),
        Phrases(
            (
                r"(?:\bper[- ]|/ ?)day\b|\b(?:TPD|RPD)\b|perday|\bper 86400s|by_?day\b|ModelByDay",
                r"\bdaily (?:\w+ )?(?:\w+ )?(?:limit|quota|cap|allocation)\b|(?:\bper[- ]|/ ?)month\b",
                r"monthly (?:\w+ )?(?:limit|quota)",
            ),
            "limits of a day: Groq, Moonshot, GitHub Models, OpenRouter, Bedrock, Cerebras, SiliconFlow",
            (GOOD, (403, 403), (413, 413), (429, 429)),
        ),
        Phrases(
            (
                r"欠费|余额(?:不足|已|为)|余额.{0,6}不够|(?:额度|配额|资源包|套餐|免费额度).{0,10}(?:不足|用尽|用完|耗尽|到期|不够)|请.{0,4}充值",
                r"使用上限|(?:每日|每天|今日|当日|每月|每周).{0,12}(?:上限|限额|额度|限制)",
            ),
            "in Chinese: Zhipu, DashScope, Ark, one-api",
            _REFUSED,
        ),
    ),
)
