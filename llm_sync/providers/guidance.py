"""What a person can do about an error: one sentence or two, naming the setting, the variable or the page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from llm_sync import errors
from llm_sync.models import fields
from llm_sync.providers.error_mapping import ErrorClass, Fault

# A parameter as providers name it -> the setting of ours that sends it.
_SETTINGS = {
    **fields.own_names(),
    "max_completion_tokens": "max_tokens",
    "random_seed": "seed",
    "output_format": "response_schema",
}
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|not support|cannot both be specified|unknown (?:parameter|name)|"
    r"unrecognized|extra inputs|deprecated",
    re.I,
)
_QUOTED = re.compile(r"[`'\"]([A-Za-z][\w.\[\]]*)[`'\"]|\bparameter:? (\w+)|^([\w.]+): Extra inputs", re.I)
_RESPONSES = re.compile(r"v1/responses|responses api", re.I)
_NO_CHAT = re.compile(r"not a chat model", re.I)
_LIMITS = re.compile(r"\d[\d,]{2,}")


@dataclass(frozen=True)
class Place:
    """What guidance may name about a provider: its entry, dialect, URL, where its key comes from and its web pages."""

    provider: str
    dialect: str
    base_url: str
    key_source: str | None
    keys_page: str | None = None
    billing_page: str | None = None


def guidance_for(kind: ErrorClass, fault: Fault, place: Place, retry_after: float | None) -> str:
    """The next step for an error of class ``kind``."""
    if issubclass(kind, errors.AuthenticationError):
        return _authentication(place)
    if issubclass(kind, errors.PermissionDeniedError):
        return f"Check what the key ({place.key_source or 'none is configured'}) may use: model, region, project, moderation."
    if issubclass(kind, errors.QuotaExceededError):
        where = f" at {place.billing_page}" if place.billing_page else ""
        return f"Add credit or raise the limit{where}, or wait for the quota's next period; retrying does not help."
    if issubclass(kind, errors.RateLimitError):
        wait = f"Wait {retry_after:.0f} s" if retry_after else "Wait"
        return f"{wait}, and set requests_per_minute or a lower concurrency for provider {place.provider!r}."
    if issubclass(kind, errors.ModelNotFoundError):
        return _model(fault, place)
    if issubclass(kind, errors.ContextLengthExceededError):
        numbers = " and ".join(dict.fromkeys(_LIMITS.findall(fault.message)))
        told = f" (limit and length, as the provider gives them: {numbers} tokens)" if numbers else ""
        return f"Shorten the prompt, lower max_tokens or use a model with a longer context{told}."
    if issubclass(kind, errors.ContentBlockedError):
        return "Change the prompt or the provider's content settings; the same request is blocked again."
    if issubclass(kind, errors.RequestTimeoutError):
        return "The provider gave up waiting: ask for less (max_tokens), or try again."
    if fault.status == 501:
        return f"Check base_url of provider {place.provider!r} ({place.base_url}): another kind of server answers there."
    if fault.unroutable:
        return "Ask for another model, or relax what provider_specific asks of the upstream: the same request fails again."
    if issubclass(kind, errors.ProviderUnavailableError):
        return "The provider is in trouble: try again later, or raise max_retries and deadline."
    return _request(fault, place)


def guidance_for_no_listing(place: Place) -> str:
    """The next step where no models are listed at the place they should be."""
    return _missing_version(place) or (
        f"Check base_url of provider {place.provider!r} ({place.base_url}): either it is wrong, or the server lists no models."
    )


def _authentication(place: Place) -> str:
    made = f" Keys are made at {place.keys_page}." if place.keys_page else ""
    if place.key_source is None:
        return f"No key is configured: set api_key for provider {place.provider!r}.{made}"
    return f"Check the key in {place.key_source}: {urlsplit(place.base_url).hostname} does not take it.{made}"


def _other_api(fault: Fault, place: Place) -> str | None:
    if _RESPONSES.search(fault.message):
        other = "openai" if place.dialect == "openai-responses" else "openai-responses"
        return f"The model is served by another API: use a provider of type {other} for it."
    if _NO_CHAT.search(fault.message):
        return "The model is served by another API, which llm-sync does not speak: choose a chat model."
    return None


def _model(fault: Fault, place: Place) -> str:
    elsewhere = _other_api(fault, place) or _missing_version(place)
    return elsewhere or f"Check the name against 'llm-sync models'; the key must have access to it (provider {place.provider!r})."


def _request(fault: Fault, place: Place) -> str:
    elsewhere = _other_api(fault, place)
    if elsewhere:
        return elsewhere
    if _UNSUPPORTED.search(fault.message) or fault.has("unsupported_parameter", "unsupported_value", "unknown_parameter"):
        setting = _setting(fault)
        if setting == "max_tokens" and place.dialect == "openai":
            return f"Set max_tokens_field (max_tokens or max_completion_tokens) for provider {place.provider!r}, or leave it out."
        if setting:
            return f"Leave {setting} out for this model: remove it from the call and from the configuration's defaults."
    if fault.status == 404 or "unexpected endpoint" in fault.message.lower():
        return _missing_version(place) or f"Check base_url of provider {place.provider!r} ({place.base_url})."
    return "Change the request as the message says; the same request fails again."


def _setting(fault: Fault) -> str | None:
    names = [fault.param or "", *("".join(found) for found in _QUOTED.findall(fault.message))]
    for name in names:
        setting = _SETTINGS.get(name.lower()) or _SETTINGS.get(name.lower().split(".")[-1])
        if setting:
            return setting
    return next((name for name in names if name), None)


def _missing_version(place: Place) -> str | None:
    url = place.base_url.rstrip("/")
    path = urlsplit(url).path
    if place.dialect in ("openai", "openai-responses") and path == "":
        return f"base_url {url} has no path: most servers of this dialect answer under /v1 ({url}/v1)."
    if place.dialect == "gemini" and path == "":
        return f"base_url {url} has no path: Gemini answers under /v1beta ({url}/v1beta)."
    if place.dialect == "anthropic" and path.endswith("/v1"):
        return f"base_url {url} ends in /v1: Anthropic's is the bare host."
    return None
