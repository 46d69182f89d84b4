"""Checks that OpenAI makes: types, ranges, and parameters that a model does not support. Each calls ``refuse`` to raise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from llm_sync.simulator.dialects import image_checks

Refuse = Callable[..., NoReturn]  # refuse(message, param=…, code=…, status=…)

# OpenAI's own models; nothing is known of the models of other servers
OWN_MODELS = re.compile(r"gpt-|o\d|chatgpt|codex|computer-use|ft:")
_NO_FLEX = re.compile(r"gpt-6\.[2-9]|gpt-[7-9]")
_SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs")
_DEFAULTS = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "logprobs": False}
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# model name and the efforts that it supports; the first match wins ("none": only for models that can turn reasoning off)
_EFFORTS_OF = (
    (re.compile(r"gpt-5-pro"), ("high",)),
    (re.compile(r"gpt-5\.\d+-pro"), ("medium", "high", "xhigh")),
    (re.compile(r"gpt-5\.1(?!-codex-max)"), ("none", "low", "medium", "high")),
    (re.compile(r"gpt-5\.[6-9]"), ("none", "low", "medium", "high", "xhigh", "max")),
    (re.compile(r"gpt-5\."), ("none", "low", "medium", "high", "xhigh")),
    (re.compile(r"gpt-5"), ("minimal", "low", "medium", "high")),
    (re.compile(r"o\d"), ("low", "medium", "high")),
)
# model name, reasons by default, can turn reasoning off; the first match wins
_REASONING = (
    (re.compile(r"gpt-5\.[245]-pro|gpt-5\.[123]-chat|gpt-5\.1-codex"), True, False),
    (re.compile(r"gpt-5\.[56]"), True, True),
    (re.compile(r"gpt-5\.[1234]"), False, True),
    (re.compile(r"gpt-5-chat"), False, False),
    (re.compile(r"gpt-5|o\d"), True, False),
)


def reasons(model: str, effort: object) -> bool:
    """Whether the model reasons before it answers, with the requested effort (None: not set)."""
    by_default, may_stop = _reasoning_of(model)
    if effort == "none" and may_stop:
        return False
    return by_default or (may_stop and effort is not None)


def _reasoning_of(model: str) -> tuple[bool, bool]:
    return next(((on, off) for prefix, on, off in _REASONING if prefix.match(model)), (False, False))


def check_effort(model: str, effort: object, param: str, refuse: Refuse) -> None:
    """Checks the effort, and that the model supports it."""
    if effort is None:
        return
    if not any(_reasoning_of(model)) and OWN_MODELS.match(model):
        refuse(f"Unsupported parameter: '{param}' is not supported with this model.", param=param, code="unsupported_parameter")
    if effort not in _EFFORTS:
        refuse(f"Invalid value: {effort!r}. Supported values are: {quoted_list(_EFFORTS)}.", param=param, code="invalid_value")
    known = next((efforts for prefix, efforts in _EFFORTS_OF if prefix.match(model)), _EFFORTS)
    supported = [word for word in known if word != "none" or _reasoning_of(model)[1]]
    if effort not in supported and OWN_MODELS.match(model):
        refuse(
            f"Unsupported value: '{effort}' is not supported with the '{model}' model. "
            f"Supported values are: {quoted_list(supported)}.",
            param=param,
            code="unsupported_value",
        )


def check_sampling(payload: Mapping[str, Any], model: str, reasoning: bool, refuse: Refuse) -> None:
    """Checks the ranges of sampling parameters; reasoning models accept only the default values."""
    for name, low, high in (("temperature", 0, 2), ("top_p", 0, 1), ("presence_penalty", -2, 2), ("frequency_penalty", -2, 2)):
        check_decimal(payload, name, low, high, refuse)
    check_integer(payload, "top_logprobs", 0, 20, refuse)
    bias = payload.get("logit_bias")
    if isinstance(bias, dict) and not all(is_number(value) and -100 <= value <= 100 for value in bias.values()):
        refuse("Invalid 'logit_bias': each value is a number from -100 to 100.", param="logit_bias", code="invalid_value")
    if not reasoning:
        return
    for name in _SAMPLING:
        value = payload.get(name)
        if value is None or (value == _DEFAULTS.get(name) and not re.match(r"o\d", model)):
            continue
        if name == "temperature" and model.startswith("gpt-5"):
            refuse(
                f"Unsupported value: 'temperature' does not support {value} with this model. Only the default (1) is supported.",
                param=name,
                code="unsupported_value",
            )
        refuse(f"Unsupported parameter: '{name}' is not supported with this model.", param=name, code="unsupported_parameter")


def is_number(value: object) -> bool:
    """Whether it is a JSON number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_types(payload: Mapping[str, Any], types: Mapping[type, str], refuse: Refuse) -> None:
    """Checks the types of optional fields; ``types`` maps a type to field names."""
    for wanted, names in types.items():
        for name in names.split():
            value = payload.get(name)
            if value is None or (isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))):
                continue
            expected = {str: "a string", bool: "a boolean", list: "an array", dict: "an object"}[wanted]
            refuse(
                f"Invalid type for '{name}': expected {expected}, but got {json_type(value)} instead.",
                param=name,
                code="invalid_type",
            )


def check_tier(payload: Mapping[str, Any], model: str, tiers: Iterable[str | None], refuse: Refuse) -> None:
    """Checks the service tier; the newest models have no flex."""
    check_one_of(payload, "service_tier", tuple(tiers), refuse)
    if payload.get("service_tier") == "flex" and _NO_FLEX.match(model):
        refuse("Invalid service_tier argument", param="service_tier")


def check_metadata(payload: Mapping[str, Any], refuse: Refuse) -> None:
    """Checks the metadata: at most 16 pairs of texts."""
    metadata = payload.get("metadata") or {}
    if len(metadata) > 16:
        refuse(
            "Invalid 'metadata': too many properties. Expected an object with at most 16 properties.",
            param="metadata",
            code="object_above_max_properties",
        )
    for name, value in metadata.items():
        if not isinstance(value, str) or len(value) > 512:
            refuse(
                f"Invalid type for 'metadata.{name}': expected a string of at most 512 characters, but got {json_type(value)}.",
                param=f"metadata.{name}",
                code="invalid_type",
            )


def check_decimal(payload: Mapping[str, Any], name: str, low: float, high: float, refuse: Refuse) -> None:
    """Checks an optional number and its range."""
    value = payload.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        refuse(
            f"Invalid type for '{name}': expected a decimal, but got {json_type(value)} instead.",
            param=name,
            code="invalid_type",
        )
    if value < low:
        refuse(
            f"Invalid '{name}': decimal below minimum value. Expected a value >= {low}, but got {value} instead.",
            param=name,
            code="decimal_below_min_value",
        )
    if value > high:
        refuse(
            f"Invalid '{name}': decimal above maximum value. Expected a value <= {high}, but got {value} instead.",
            param=name,
            code="decimal_above_max_value",
        )


def check_integer(payload: Mapping[str, Any], name: str, low: int | None, high: int | None, refuse: Refuse) -> None:
    """Checks an optional integer and its range (None: no bound)."""
    value = payload.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        refuse(
            f"Invalid type for '{name}': expected an integer, but got {json_type(value)} instead.",
            param=name,
            code="invalid_type",
        )
    if low is not None and value < low:
        refuse(
            f"Invalid '{name}': integer below minimum value. Expected a value >= {low}, but got {value} instead.",
            param=name,
            code="integer_below_min_value",
        )
    if high is not None and value > high:
        refuse(
            f"Invalid '{name}': integer above maximum value. Expected a value <= {high}, but got {value} instead.",
            param=name,
            code="integer_above_max_value",
        )


def check_one_of(
    payload: Mapping[str, Any], name: str, values: tuple[str | None, ...], refuse: Refuse, param: str | None = None
) -> None:
    """Checks an optional field with a fixed set of values; ``param`` is its path, if it is not at the top level."""
    if payload.get(name) not in (None, *values):
        known = quoted_list(value for value in values if value)
        refuse(f"Invalid value: {payload[name]!r}. Supported values are: {known}.", param=param or name, code="invalid_value")


def check_format_name(name: object, param: str, refuse: Refuse) -> None:
    """Checks the name of a schema."""
    if name is None:
        refuse(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        refuse(f"Invalid '{param}': expected at most 64 letters, digits, '_' or '-'.", param=param, code="invalid_value")


def check_image_url(url: object, param: str, refuse: Refuse) -> None:
    """Checks an image URL: http(s), or a data URL with an image of a supported type."""
    if not isinstance(url, str) or not url.startswith(("https://", "http://", "data:")):
        refuse(f"Invalid '{param}': expected a URL or base64 data.", param=param, code="invalid_image_url")
    if re.match(r"https?://[^/?#]*\.invalid(?=[:/?#]|$)", url):  # reserved by RFC 2606: no such host exists
        refuse(f"Error while downloading {url}.", param="url", code="invalid_image_url")
    if not url.startswith("data:"):
        return
    head = re.match(r"data:image/(png|jpe?g|gif|webp);base64,(?=.)", url)
    content = image_checks.decode_base64(url[head.end() :]) if head else None
    if head and content is None:
        refuse("Invalid base64 image_url.", code="invalid_base64")
    if content is None or image_checks.detect_media_type(content) is None:
        refuse(
            "The image is of an unsupported format. Supported are png, jpeg, gif and webp.",
            param=param,
            code="invalid_image_format",
        )


def json_type(value: object) -> str:
    """The type of a JSON value, as OpenAI's messages name it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    names = {str: "a string", int: "an integer", float: "a decimal", list: "an array", dict: "an object"}
    return names.get(type(value), "something else")


def quoted_list(values: Iterable[str]) -> str:
    """The values as OpenAI's messages list them."""
    return ", ".join(f"'{value}'" for value in values)
