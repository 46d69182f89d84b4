"""Prompt and answer do not fit the model's context window: ContextLengthExceededError."""

from llm_sync.errors import ContextLengthExceededError
from llm_sync.providers.error_words.entry import GOOD, Meaning, Phrases, Words

_PROMPT = r"\b(?:input|prompt|messages?|conversation)"
_EXCEEDS = r"(?:exceed(?:s|ed)?|(?:long|larg|great)er than|too (?:long|large|big))"
_NO_PACE = (GOOD, (400, 428), (430, 599))  # a 429 about tokens means the rate

CONTEXT = Meaning(
    ContextLengthExceededError,
    words=(
        Words("context_length_exceeded context_window_exceeded", "OpenAI"),
        Words("model_context_window_exceeded contextwindowexceedederror", "OpenAI"),
        Words("exceed_context_size_error", "llama.cpp"),
        Words("too_many_prompt_tokens", "Perplexity"),
        Words("model_max_prompt_tokens_exceeded max_prompt_tokens_exceeded", "GitHub Copilot"),
        Words("tokens_limit_reached", "GitHub Models"),
        Words("max_tokens_exceeded token_limit_exceeded", "OpenRouter", _NO_PACE),
        Words("tokens_too_long characters_too_long error_code:336007 error_code:336103", "Baidu Qianfan"),
        Words("outofcontexterror", "Volcengine Ark"),
        Words("1261", "Zhipu, z.ai"),
        Words("prompt_too_long prompt_is_too_long input_too_long context_length prompt_tokens_too_long", "gateways", _NO_PACE),
    ),
    phrases=(
        Phrases(
            (
                r"context size has been exceeded|(?:maximum|max) context (?:length|window|size)",
                r"exceeds? the available context size",
                r"exceed(?:s|ed)? (?:(?:the|this|your|its) )?(?:model'?s? )?(?:maximum )?context (?:window|length|limit|size)",
                r"context (?:window|length|size|limit) (?:is )?exceed(?:s|ed)?|contextwindowexceeded",
                r"context_length_exceeded",
                r"context length is only \d",
                r"(?:greater|longer|larger) than the (?:model'?s? )?(?:maximum )?(?:context|model|input) length",
                r"loaded with context length|n_keep.{0,30}n_ctx|exceed context window",
                r"(?:prompt|input) (?:is )?too long|prompt exceeds max length",
                r"(?:prompt|input) tokens? (?:length )?(?:is )?too long",
                r"input tokens exceed|input token count(?: \(?\d+\)?)? exceeds|input token count is \d+ but",
                r"token count of \d+ exceeds the limit of \d|exceed(?:s|ed)? (?:the )?model token limit",
                r"exceed max message tokens",
                r"maximum prompt length is \d|maximum (?:input|sequence|model) length|max_model_len",
                r"max_seq_len|range of input length",
                r"reduce the length of the (?:messages|prompt|input)|max_new_tokens`? must be <=",
                r"`?inputs`? must have less than \d+ tokens",
                r"exceed(?:s|ed)? the maximum number of (?:input )?tokens|max input characters is",
            ),
            "OpenAI, Anthropic, Google, xAI, Groq, Kimi, MiniMax, Copilot, vLLM, SGLang, TGI, llama.cpp, LM Studio, DashScope",
        ),
        Phrases(
            (
                r"too many (?:input |prompt )?tokens|(?:input |prompt )?tokens? limit exceeded",
                r"maximum (?:allowed )?(?:input )?tokens",
                r"exceed(?:s|ed)? (?:the |its )?(?:maximum )?(?:allowed )?(?:input |prompt )?token limit",
                r"max size: \d+ tokens|increase the physical batch size",
                rf"{_PROMPT}\b.{{0,40}}\b{_EXCEEDS}\b.{{0,60}}\b(?:tokens?|context|kv size|model(?:'?s)? limit)\b",
                r"(?:input|prompt) (?:token )?length \(?\d+(?: tokens)?\)? (?:exceeds|is (?:greater|longer))",
                r"(?:input|prompt) tokens \d+ cannot exceed|total length of (?:the )?(?:input|prompt|messages) exceeds",
                r"(?:prompt|input).{0,40}超长|(?:超出|超过).{0,12}(?:上下文|最大长度|长度限制|token)|上下文.{0,8}(?:超|过长)",
                r"输入.{0,6}(?:过长|超长)",
            ),
            "Cohere, GitHub Models, watsonx, llama.cpp, gateways; in Chinese: Zhipu, DashScope, Ark",
            (GOOD, (400, 400), (413, 413), (422, 422), (500, 500)),
            unless=r"per[- ](?:minute|second|day|hour)|\b(?:TPM|TPD)\b",
        ),
    ),
)
