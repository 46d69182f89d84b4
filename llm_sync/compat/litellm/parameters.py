"""How each parameter is handled, of litellm. docs/migrating.md shows these tables."""

from __future__ import annotations

from llm_sync.compat.openai.parameters import CONVERSATION
from llm_sync.compat.shim.parameters import SUPPORTED, Parameter, Table, adjusted, refused, supported, translated
from llm_sync.compat.shim.unsupported import STREAM

OTHER = "use the original package for it"
_ELSEWHERE = "to providers that speak OpenAI's shape; for others UnsupportedParamsError, or with `drop_params` left out"
_HEADERS = "where no configuration is found; else it is left out, with an entry in `adjustments`"
_ENDPOINT = "where no configuration is found; else the configuration is used, and a line on standard error says so"
_AUDIO = "use the original package for it: llm-sync gets text only"
_OWN = "it is litellm's own business"

HINTS = (
    "frequency_penalty logit_bias parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_retention "
    "reasoning_effort safety_identifier service_tier store top_logprobs user verbosity"
)
_ROWS = [
    *supported(
        "model", "`provider/name`, or the bare names of OpenAI's and Anthropic's models; with a configuration as it routes"
    ),
    *supported("temperature top_p max_tokens max_completion_tokens stop seed tools tool_choice"),
    *supported("n", "as so many requests, in order; `usage` is their sum"),
    *supported(
        "response_format",
        "a dict or a pydantic model; elsewhere than to OpenAI's shape `json_schema` only, and the answer is checked",
    ),
    *supported(HINTS, _ELSEWHERE),
    *supported("logprobs", "to providers that speak OpenAI's shape; refused for others", neutral=(None, False)),
    *supported("web_search_options", "to providers that speak OpenAI's shape; refused for others"),
    *supported("thinking", "as it is: to Anthropic's models"),
    *translated("functions function_call", "sent as `tools` and `tool_choice`; the answer has `function_call` again"),
    *supported("timeout request_timeout", "seconds for one attempt"),
    *supported("num_retries max_retries", "retries after the first attempt"),
    *supported("api_key api_base base_url api_version organization custom_llm_provider", _ENDPOINT),
    *supported("extra_headers headers", _HEADERS),
    *supported("extra_body", "as further fields of the request's body"),
    *supported("drop_params", "leaves out, with an entry in `adjustments`, what a provider does not know", neutral=(None, False)),
    *refused("stream", STREAM, neutral=(None, False)),
    *refused("stream_options", STREAM),
    *refused("audio", _AUDIO),
    *refused("modalities", _AUDIO, neutral=(None, ["text"])),
    *refused("model_list context_window_fallback_dict", "catch the exception and ask the other model"),
    *supported("mock_response", "a text is the answer, and nothing is sent; an exception is raised"),
    *refused("mock_tool_calls mock_timeout", "run the script under 'llm-sync simulate'"),
    *refused("deployment_id", "write azure/DEPLOYMENT as the model"),
    *refused("client shared_session", "llm-sync pools its own connections"),
    *refused("azure_ad_token", "give api_key, or api_key_command with auth in a configuration"),
    *refused("ssl_verify", "set REQUESTS_CA_BUNDLE, or ca_bundle in a configuration", neutral=(None, True)),
    *adjusted("metadata tags logger_fn verbose litellm_call_id id", _OWN),
    *adjusted("caching cache ttl", "every call is asked", neutral=(None, False)),
    *adjusted("input_cost_per_token output_cost_per_token", "prices go into a configuration"),
    *adjusted("enable_json_schema_validation include_server_side_tool_invocations", _OWN, neutral=(None, False)),
]
_OTHERS = Parameter("**kwargs", SUPPORTED, "as further fields of the request's body")
COMPLETION = Table(
    "completion",
    [
        *supported("messages", CONVERSATION),
        *supported(
            "fallbacks",
            "models, or dicts with `model` and further arguments, asked in turn after the failures that a route goes on after, a "
            "refused key, and a request that is too long",
            neutral=(None, []),
        ),
        *_ROWS,
    ],
    _OTHERS,
)
BATCH = Table(
    "batch_completion",
    [
        *supported("messages", "one conversation a request; answers in their order, exceptions in place"),
        *refused("fallbacks", "catch the exception and ask the other model"),
        *adjusted("max_workers", "the provider's concurrency decides (32 without a configuration)", neutral=(None, 100)),
        *_ROWS,
    ],
    _OTHERS,
)

TABLES = (COMPLETION, BATCH)
