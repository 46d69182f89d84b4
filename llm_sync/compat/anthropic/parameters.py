"""How each parameter is handled, of anthropic. docs/migrating.md shows these tables."""

from __future__ import annotations

from llm_sync.compat.shim.parameters import Table, adjusted, refused, supported
from llm_sync.compat.shim.unsupported import STREAM

OTHER = "use the original package for it"
_ELSEWHERE = "to providers of type anthropic; left out for others, with an entry in `adjustments`"
_HEADERS = "where no configuration is found; else it is left out, with an entry in `adjustments`"

MESSAGES = Table(
    "messages.create",
    [
        *supported(
            "messages",
            "texts, images, documents, `tool_use` and `tool_result`; thinking and `cache_control` go where they are taken, else "
            "an entry in `adjustments` says so; file ids are refused",
        ),
        *supported("model", "routed by the configuration where one is found"),
        *supported("max_tokens temperature top_p stop_sequences"),
        *supported("system", "texts of a list are joined, unless one has `cache_control`"),
        *supported("tools tool_choice", "tools of Anthropic's own to providers of type anthropic; refused for others"),
        *supported("output_config", "a json_schema as `format` to every provider; the rest as below"),
        *supported(
            "cache_control container diagnostics inference_geo metadata service_tier speed top_k",
            _ELSEWHERE,
        ),
        *supported(
            "thinking",
            "to providers of type anthropic; left out for others, and of requests that hand results of tools back, with an entry "
            "in `adjustments`",
        ),
        *supported("user_profile_id workspace_id", f"as headers, {_HEADERS}"),
        *refused("stream", STREAM, neutral=(None, False)),
        *supported("extra_headers extra_query", _HEADERS),
        *supported("extra_body", _ELSEWHERE),
        *supported("timeout", "seconds for one attempt; of an `httpx.Timeout`, its read time"),
    ],
)
LISTING = Table(
    "models.list",
    [
        *adjusted("limit after_id before_id", "all models are listed at once"),
        *adjusted("lifecycle", "all models are listed, whatever their age"),
        *supported("workspace_id", f"as a header, {_HEADERS}"),
        *supported("timeout", "seconds for one attempt"),
        *supported("extra_headers extra_query", _HEADERS),
        *adjusted("extra_body", "a listing has no body"),
    ],
)
_PROXY = "set HTTPS_PROXY and REQUESTS_CA_BUNDLE, or proxy and ca_bundle in a configuration"
_OPTIONS = [
    *supported("api_key", "text; else $ANTHROPIC_API_KEY"),
    *supported("auth_token", "text; else $ANTHROPIC_AUTH_TOKEN, where there is no key"),
    *supported("base_url", "else $ANTHROPIC_BASE_URL"),
    *supported("timeout", "seconds for one attempt (600)"),
    *supported("max_retries", "after the first attempt (2)"),
    *supported("default_headers default_query", _HEADERS),
    *refused("http_client", _PROXY),
    *refused("credentials config profile", "give api_key, or api_key_command in a configuration"),
    *refused("middleware", "llm-sync has listeners: LLMClient.add_listener"),
    *adjusted("webhook_key open_telemetry", "no supported call uses it"),
    *adjusted("_strict_response_validation _token_cache", "llm-sync checks every answer", neutral=(None, False, True)),
]
CLIENT = Table("Anthropic", _OPTIONS)
WITH_OPTIONS = Table(
    "with_options",
    [
        *_OPTIONS,
        *supported("set_default_headers set_default_query", _HEADERS),
        *adjusted("_extra_kwargs", "it is the SDK's own"),
    ],
)

TABLES = (CLIENT, WITH_OPTIONS, MESSAGES, LISTING)
