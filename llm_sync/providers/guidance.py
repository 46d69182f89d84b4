"""What the user can do about an error: one or two sentences that name the setting, variable or page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from llm_sync import errors
from llm_sync.models import fields
from llm_sync.providers.error_mapping import ApiError, ErrorClass, is_oversize, is_wrong_path

# A provider's name of a parameter -> our setting that sends it.
_SETTINGS = {
    **fields.own_names(),
    "max_completion_tokens": "max_tokens",
    "random_seed": "seed",
    "output_format": "response_schema",
    "maxtokens": "max_tokens",
}
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|not support|cannot both be specified|unknown (?:parameter|name)|"
    r"unrecognized|extra inputs|deprecated",
    re.I,
)
_QUOTED = re.compile(r"[`'\"]([A-Za-z][\w.\[\]]*)[`'\"]|\bparameter:? (\w+)|^([\w.]+): Extra inputs", re.I)
_INDISPENSABLE = re.compile(r"(?:model|messages|input|contents|prompt)s?\b", re.I)  # no request goes without them
_RESPONSES = re.compile(r"v1/responses|responses api", re.I)
_NO_CHAT = re.compile(r"not a chat model", re.I)
_STRUCTURED = re.compile(r"response_?format|json_?schema|output_config|structured[ _]outputs?|response_?mime", re.I)
_NO_SUCH_FORM = re.compile(
    r"unavailable|unsupported|not supported?|does(?: not|n'?t) support|unknown parameter|extra inputs|"
    r"(?:must|should) be (?:one of |either )?['\"\[]|not one of the allowed|unknown variant|不支持",
    re.I,
)
_LIMITS = re.compile(r"\d[\d,]{2,}")


@dataclass(frozen=True)
class Target:
    """What guidance can say about a provider: its name, dialect, URL, where its key comes from, its web pages."""

    provider: str
    dialect: str
    base_url: str
    key_source: str | None
    keys_page: str | None = None
    billing_page: str | None = None


def guidance_for(kind: ErrorClass, error: ApiError, target: Target, retry_after: float | None) -> str:
    """The next step for an error of class ``kind``."""
    if issubclass(kind, errors.AuthenticationError):
        if error.has("InvalidSignatureException", "RequestTimeTooSkewed"):
            return "Check this machine's clock, as a signature is valid for five minutes, and then the secret access key."
        return _authentication(target)
    if issubclass(kind, errors.PermissionDeniedError):
        return f"Check what the key ({target.key_source or 'none is configured'}) may use: model, region, project, moderation."
    if issubclass(kind, errors.QuotaExceededError):
        where = f" at {target.billing_page}" if target.billing_page else ""
        return f"Add credit or raise the limit{where}: until then, or until the quota's next period, requests fail."
    if issubclass(kind, errors.RateLimitError):
        if is_oversize(error):
            return "This one request is larger than the limit per minute: shorten it, lower max_tokens, or have the limit raised."
        wait = f"Wait {retry_after:.0f} s" if retry_after else "Wait"
        return f"{wait}, and set requests_per_minute or a lower concurrency for provider {target.provider!r}."
    if issubclass(kind, errors.ModelNotFoundError):
        return _model(error, target)
    if issubclass(kind, errors.ContextLengthExceededError):
        numbers = " and ".join(dict.fromkeys(_LIMITS.findall(error.message)))
        limits = f" (limit and length, as the provider gives them: {numbers} tokens)" if numbers else ""
        return f"Shorten the prompt, lower max_tokens or use a model with a longer context{limits}."
    if issubclass(kind, errors.ContentBlockedError):
        return "Change the prompt or the provider's content settings; the same request is blocked again."
    if issubclass(kind, errors.RequestTimeoutError):
        return "The provider gave up waiting: ask for less (max_tokens), or try again."
    if error.status == 501:
        return f"Check base_url of provider {target.provider!r} ({target.base_url}): another kind of server answers there."
    if error.unroutable:
        return "Ask for another model, or relax what provider_specific asks of the upstream: the same request fails again."
    if error.has("resource_unavailable", "capacity_exceeded"):
        return "The service tier has no capacity now, and nothing is billed: ask later, or without service_tier."
    if issubclass(kind, errors.ProviderUnavailableError) and error.status in range(400, 500):
        return "It may pass: ask again. If it stays, look into the server, its model and its memory."
    if issubclass(kind, errors.ProviderUnavailableError):
        return "The provider is in trouble: try again later, or raise max_retries and deadline."
    return _request(error, target)


def guidance_for_no_listing(target: Target) -> str:
    """The next step if the endpoint lists no models."""
    return _missing_version(target) or (
        f"Check base_url of provider {target.provider!r} ({target.base_url}): either it is wrong, or the server lists no models."
    )


def _authentication(target: Target) -> str:
    made = f" Keys are made at {target.keys_page}." if target.keys_page else ""
    if target.key_source is None:
        return f"No key is configured: set api_key for provider {target.provider!r}.{made}"
    where = " A key of Bedrock is valid in the region that made it only." if target.dialect == "bedrock" else ""
    return f"Check the key in {target.key_source}: {urlsplit(target.base_url).hostname} rejected it.{where}{made}"


def _other_api(error: ApiError, target: Target) -> str | None:
    if _RESPONSES.search(error.message):
        other = "openai" if target.dialect == "openai-responses" else "openai-responses"
        return f"The model is served by another API: use a provider of type {other} for it."
    if _NO_CHAT.search(error.message):
        return "The model is served by another API, which llm-sync does not speak: choose a chat model."
    return None


def _model(error: ApiError, target: Target) -> str:
    elsewhere = _other_api(error, target) or _missing_version(target)
    return (
        elsewhere or f"Check the name against 'llm-sync models'; the key must have access to it (provider {target.provider!r})."
    )


def _request(error: ApiError, target: Target) -> str:
    elsewhere = _other_api(error, target)
    if elsewhere:
        return elsewhere
    if _STRUCTURED.search(f"{error.param} {error.message}") and _NO_SUCH_FORM.search(error.message):
        return (
            "Leave response_schema out for this model, "
            f"or set structured_output (json_object, tool or prompt) for provider {target.provider!r}."
        )
    if _UNSUPPORTED.search(error.message) or error.has("unsupported_parameter", "unsupported_value", "unknown_parameter"):
        setting = _setting(error)
        if setting == "max_tokens" and target.dialect == "openai":
            return (
                f"Set max_tokens_field (max_tokens or max_completion_tokens) for provider {target.provider!r}, or leave it out."
            )
        if setting:
            return f"Leave {setting} out for this model: remove it from the call and from the configuration's defaults."
    if is_wrong_path(error):
        return _missing_version(target) or f"Check base_url of provider {target.provider!r} ({target.base_url})."
    return "Change the request as the message says; the same request fails again."


def _setting(error: ApiError) -> str | None:
    names = [error.param or "", *("".join(groups) for groups in _QUOTED.findall(error.message))]
    for name in names:
        setting = _SETTINGS.get(name.lower()) or _SETTINGS.get(name.lower().split(".")[-1])
        if setting:
            return setting
    first = next((name for name in names if name), None)
    return None if first is None or _INDISPENSABLE.match(first) else first


def _missing_version(target: Target) -> str | None:
    url = target.base_url.rstrip("/")
    path = urlsplit(url).path
    if target.dialect in ("openai", "openai-responses") and path == "":
        return f"base_url {url} has no path: most servers of this dialect answer under /v1 ({url}/v1)."
    if target.dialect == "gemini" and path == "":
        return f"base_url {url} has no path: Gemini answers under /v1beta ({url}/v1beta)."
    if target.dialect == "anthropic" and path.endswith("/v1"):
        return f"base_url {url} ends in /v1: Anthropic's is the bare host."
    return None
