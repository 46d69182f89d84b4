"""The key is missing, impossible or refused: AuthenticationError."""

from llm_sync.errors import AuthenticationError
from llm_sync.providers.error_words.entry import CLIENT, GOOD, Meaning, Phrases, Words

KEY = Meaning(
    AuthenticationError,
    words=(
        Words("invalid_api_key incorrect_api_key", "OpenAI, Moonshot", CLIENT),
        Words("incorrect_api_key_error invalid_authentication_error", "OpenAI, Moonshot", CLIENT),
        Words("invalidapikey wrong_api_key missing_api_key no_api_key failed_to_auth", "DashScope, Cerebras, Novita", CLIENT),
        Words("api_key_invalid api_key_expired unauthenticated access_token_expired", "Google", CLIENT),
        Words("invalid_token token_expired expired_token invalid_iam_token expired_key", "gateways, Qianfan, LiteLLM", CLIENT),
        Words("authfailure", "Tencent", CLIENT),
        Words("expiredtokenexception unrecognizedclientexception invalidsignatureexception", "AWS", CLIENT),
        Words("oauth.v2.invalidapikey steps.oauth.v2.failedtoresolveapikey oauth.v2.invalidaccesstoken", "Apigee", CLIENT),
        Words("1000 1001 1002 1003 1004", "Zhipu, z.ai", (GOOD, (400, 401), (403, 403))),
        Words("base_resp:1004 base_resp:2049", "MiniMax"),
        Words("error_code:13 error_code:14 error_code:100 error_code:110 error_code:111", "Baidu Qianfan", (GOOD,)),
        Words("code:90402", "iFlow"),
        Words("authentication_error authentication authenticationerror", "Anthropic, Ark, many", CLIENT, vague=True),
        Words("auth_error unauthorized", "Anthropic, Ark, many", CLIENT, vague=True),
    ),
    phrases=(
        Phrases(
            (
                r"(?:incorrect|invalid|bad|wrong|unknown|expired) api[- _]?(?:secret )?key|invalid x-api-key",
                r"api[- _]?(?:secret )?key(?: \S{1,60})? (?:is |was )?(?:not valid|invalid|expired|incorrect|missing|required)",
                r"api[- _]?key(?: \S{1,60})? has (?:been (?:revoked|disabled|deleted)|expired)",
                r"\bno api[- _]?(?:secret )?key",
                r"(?:provide|pass|set) (?:a |an |your )?(?:valid )?api[- _]?key\b",
                r"didn'?t provide an api key",
                r"make sure your api key is valid",
                r"(?:missing|invalid)(?: or (?:missing|invalid))? authori[sz]ation|expired key\b|\bkey expiry\b",
                r"api key was reported as leaked|login fail|unregistered callers|missing authentication",
                r"does not match the signature you provided",
            ),
            "xAI, Google, Mistral, MiniMax, Bedrock, DashScope",
            (GOOD, (400, 400), (403, 403)),
        ),
        Phrases(
            (
                r"\b(?:invalid|expired) (?:access |auth(?:\w+)? |bearer |api )?(?:token|credentials?|signature)\b",
                r"\btoken (?:is )?(?:expired|invalid|revoked)|token has expired",
                r"(?:not|un)[- ]?authenticated|authentication (?:failed|required|error)",
                r"security token.{0,40}(?:expired|invalid)|\bunauthorized\b|invalid authentication",
                r"令牌.{0,6}(?:无效|过期|失败)|无效的令牌|密钥.{0,6}(?:无效|错误|过期|不存在)|(?:鉴权|认证|身份验证).{0,4}失败|未授权",
                r"(?:api ?key|token).{0,6}(?:无效|过期|失效|错误)",
            ),
            "gateways, and in Chinese: Zhipu, one-api",
            (GOOD, (403, 403)),
        ),
    ),
)
