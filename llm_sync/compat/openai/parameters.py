"""How each parameter is handled, of openai, both generations. docs/migrating.md shows these tables."""

from __future__ import annotations

from llm_sync.compat.shim.parameters import SUPPORTED, Parameter, Table, adjusted, refused, supported, translated
from llm_sync.compat.shim.unsupported import STREAM

_ELSEWHERE = "to providers that speak OpenAI's shape; left out for others, with an entry in `adjustments`"
_SHAPING = "to providers that speak OpenAI's shape; refused for others, whose answers cannot have it"
_HEADERS = "where no configuration is found; else it is left out, with an entry in `adjustments`"
AUDIO = "use the original package for it: llm-sync gets text only"
OTHER = "use the original package for it"
CONVERSATION = (
    "text, images, files and audio, refused where a provider takes none; with an entry in `adjustments`, empty system and "
    "assistant messages are not sent, and a system message alone is sent as the user's; file ids are refused"
)
_EXTRAS = [
    *supported("extra_headers extra_query", _HEADERS),
    *supported(
        "extra_body", "its fields count as parameters; unknown ones go to providers that speak OpenAI's shape, others refuse them"
    ),
    *supported("timeout", "seconds for one attempt; of an `httpx.Timeout`, its read time"),
]
_CALL = [*refused("stream", STREAM, neutral=(None, False)), *refused("stream_options", STREAM), *_EXTRAS]
_CHAT = [
    *supported("messages", CONVERSATION),
    *supported("model", "routed by the configuration where one is found"),
    *supported("temperature top_p seed stop max_completion_tokens max_tokens tools tool_choice"),
    *supported("n", "as so many requests, in order; `usage` is their sum"),
    *supported("response_format", "elsewhere than to OpenAI's shape `json_schema` only, and the answer is held against it"),
    *supported(
        "frequency_penalty logit_bias metadata parallel_tool_calls prediction presence_penalty prompt_cache_key "
        "prompt_cache_options prompt_cache_retention reasoning_effort safety_identifier service_tier store top_logprobs user "
        "verbosity",
        _ELSEWHERE,
    ),
    *supported("logprobs", _SHAPING, neutral=(None, False)),
    *supported("moderation web_search_options", _SHAPING),
    *translated("functions function_call", "sent as `tools` and `tool_choice`; the answer has `function_call` again"),
    *refused("audio", AUDIO),
    *refused("modalities", AUDIO, neutral=(None, ["text"])),
]
_PROMPT = [
    *supported("model", "routed by the configuration where one is found"),
    *supported("prompt", "as a chat with one user message; of a list, each text as a request of its own, in order"),
    *supported(
        "temperature top_p seed stop max_tokens", "without `max_tokens` nothing is sent, where the original's API cut at 16"
    ),
    *supported("n", "as so many requests, in order; `usage` is their sum"),
    *supported("frequency_penalty logit_bias presence_penalty user", _ELSEWHERE),
    *refused("best_of", "ask n times and choose", neutral=(None, 1)),
    *refused("echo", "put the prompt before the answer", neutral=(None, False)),
    *refused("logprobs", "use chat completions with logprobs"),
    *refused("suffix", "say in the prompt what comes after", neutral=(None, "")),
]
_EMBEDDINGS = [
    *supported("input", "a text or a list of texts, in as many requests as the provider's limits want; tokens are refused"),
    *supported("model", "routed by the configuration where one is found"),
    *supported("dimensions"),
    *supported("encoding_format", "`float`, or `base64` as the original returns it; how vectors come from a provider is its own"),
    *supported("user", _ELSEWHERE),
]

CHAT = Table("chat.completions.create", [*_CHAT, *_CALL])
COMPLETIONS = Table("completions.create", [*_PROMPT, *_CALL])
RESPONSES = Table(
    "responses.create",
    [
        *supported(
            "input",
            "texts, images, files, function calls and their outputs; other items are refused or, as `reasoning`, left out",
        ),
        *supported("model", "routed by the configuration where one is found"),
        *supported("instructions temperature top_p max_output_tokens tools tool_choice"),
        *supported("text", "`format` of type json_schema to every provider; the rest as below"),
        *supported(
            "metadata parallel_tool_calls prompt_cache_key prompt_cache_options prompt_cache_retention reasoning "
            "safety_identifier service_tier store top_logprobs user",
            _ELSEWHERE,
        ),
        *supported(
            "access_programs context_management image include max_tool_calls moderation truncation",
            "to providers of type openai-responses; left out for others, with an entry in `adjustments`",
        ),
        *refused("background", "llm-sync waits for the whole answer", neutral=(None, False)),
        *refused("background_options", "llm-sync waits for the whole answer"),
        *refused("conversation previous_response_id", "send the earlier turns in `input`: nothing is stored at the provider"),
        *refused("prompt", "write the prompt's text into `input`"),
        *_CALL,
    ],
)
EMBEDDINGS = Table("embeddings.create", [*_EMBEDDINGS, *_EXTRAS])
LISTING = Table(
    "models.list",
    [
        *supported("timeout", "seconds for one attempt"),
        *supported("extra_headers extra_query", _HEADERS),
        *adjusted("extra_body", "a listing has no body"),
    ],
)

PROXY = "set HTTPS_PROXY and REQUESTS_CA_BUNDLE, or proxy and ca_bundle in a configuration"
_KEYS = "give api_key, or api_key_command in a configuration"
_OPTIONS = [
    *supported("api_key", "text; else $OPENAI_API_KEY. A function is refused: use `api_key_command` in a configuration"),
    *supported("base_url", "else $OPENAI_BASE_URL"),
    *supported("timeout", "seconds for one attempt (600)"),
    *supported("max_retries", "after the first attempt (2)"),
    *supported("organization project", "as headers; else $OPENAI_ORG_ID and $OPENAI_PROJECT_ID"),
    *supported("default_headers default_query", _HEADERS),
    *refused("http_client", PROXY),
    *refused("admin_api_key workload_identity", _KEYS),
    *refused("provider data_residency", "give base_url"),
    *adjusted("webhook_secret websocket_base_url", "no supported call uses it"),
    *adjusted("_strict_response_validation _enforce_credentials", "answers and keys are checked", neutral=(None, False, True)),
]
CLIENT = Table("OpenAI", _OPTIONS)
WITH_OPTIONS = Table(
    "with_options",
    [*_OPTIONS, *supported("set_default_headers set_default_query", _HEADERS), *adjusted("_extra_kwargs", "it is the SDK's own")],
)
_AZURE = [
    *supported("azure_endpoint", "else $AZURE_OPENAI_ENDPOINT"),
    *supported("azure_deployment", "else the model's name"),
    *supported("api_version", "else $OPENAI_API_VERSION"),
    *refused("azure_ad_token azure_ad_token_provider", "give api_key, or api_key_command with auth in a configuration"),
]
AZURE = Table("AzureOpenAI", [*_OPTIONS, *_AZURE])
AZURE_WITH_OPTIONS = Table("AzureOpenAI.with_options", [*WITH_OPTIONS.values(), *_AZURE])

_LEGACY = [
    *supported("api_key api_base organization", "for this call; else `openai.api_key` …, else $OPENAI_API_KEY …"),
    *supported("api_type api_version engine deployment_id", "Azure: `engine` is the model's name"),
    *supported("request_timeout", "seconds for one attempt, also as (connect, read)"),
    *supported("headers", _HEADERS),
    *adjusted("request_id", "the provider gives the id"),
]
_OTHERS = Parameter("**params", SUPPORTED, "to providers that speak OpenAI's shape; refused for others")
LEGACY_CHAT = Table("ChatCompletion.create", [*_CHAT, *_CALL, *_LEGACY], _OTHERS)
LEGACY_COMPLETION = Table("Completion.create", [*_PROMPT, *_CALL, *_LEGACY], _OTHERS)
LEGACY_EMBEDDING = Table("Embedding.create", [*_EMBEDDINGS, *_EXTRAS, *_LEGACY], _OTHERS)
LEGACY_LISTING = Table("Model.list", _LEGACY)

TODAY = (CLIENT, AZURE, WITH_OPTIONS, AZURE_WITH_OPTIONS, CHAT, RESPONSES, COMPLETIONS, EMBEDDINGS, LISTING)
LEGACY = (LEGACY_CHAT, LEGACY_COMPLETION, LEGACY_EMBEDDING, LEGACY_LISTING)
TABLES = (*TODAY, *LEGACY)
