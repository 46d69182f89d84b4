"""``completion`` and ``batch_completion``."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_sync.compat.litellm import parameters, providers
from llm_sync.compat.litellm.exceptions import UnsupportedParamsError, map_error
from llm_sync.compat.litellm.response_objects import ModelResponse
from llm_sync.compat.openai.calls import chat_body, read_chat
from llm_sync.compat.shim import notices
from llm_sync.compat.shim import sending as shim_sending
from llm_sync.compat.shim.calls import CallContext, extended, seconds
from llm_sync.compat.shim.error_mapping import ShimError, translate_errors
from llm_sync.compat.shim.parameters import Table, shown
from llm_sync.compat.shim.settings import Settings, configuration
from llm_sync.compat.shim.targets import Target, follows_configuration, resolve_target
from llm_sync.errors import InvalidRequestError
from llm_sync.models import Adjustment, ModelRequest, grammar
from llm_sync.openai_shape import PARAMETERS

_OWN = {"api_key", "api_base", "base_url", "api_version", "organization", "custom_llm_provider", "drop_params", "headers"}
_LIMITS = ("max_retries", "num_retries", "request_timeout")
_HINTS = frozenset(parameters.HINTS.split())


class _Call(NamedTuple):
    """The parsed arguments of one call. ``given``: a chat body; ``further``: fields that chat completions do not have."""

    target: Target
    timeout: float | None
    max_retries: int | None
    given: dict[str, Any]
    further: dict[str, Any]
    drop: bool
    not_sent: list[Adjustment]


def complete(arguments: Mapping[str, Any], module: Any) -> ModelResponse:
    """The answer to a call of ``completion``; ``module`` holds litellm's settings."""
    if arguments.get("fallbacks"):
        with translate_errors(map_error):
            from llm_sync.compat.litellm.fallbacks import complete_any

            return complete_any(arguments, lambda call: complete(call, module))  # type: ignore[no-any-return]
    with translate_errors(map_error):
        call = _read(parameters.COMPLETION, arguments, module)
        mock = call.further.pop("mock_response", None)
        if mock is not None:
            return _mocked(mock, call)
        request, choices, made, legacy = _request(call, call.given)
        if choices == 1:
            outcomes = [shim_sending.send(call.target, request, timeout=call.timeout, max_retries=call.max_retries)]
        else:
            outcomes = shim_sending.send_all(
                call.target, request, times=choices, timeout=call.timeout, max_retries=call.max_retries
            )
        return _answer(outcomes, made, legacy)


def complete_all(arguments: Mapping[str, Any], module: Any) -> list[Any]:
    """The answers to a call of ``batch_completion``, in order; a failed one has its exception in its place."""
    with translate_errors(map_error):
        call = _read(parameters.BATCH, arguments, module)
        mock = call.further.pop("mock_response", None)
        conversations = call.given.pop("messages", None)
        if not isinstance(conversations, (list, tuple)):
            raise InvalidRequestError(f"messages is {shown(conversations)}", guidance="Give a list of conversations.")
        if mock is not None:
            return [_mocked(mock, call) for _ in conversations]
        with shim_sending.Sending(call.target, timeout=call.timeout, max_retries=call.max_retries) as sending:
            sent: list[Any] = []
            for conversation in conversations:
                try:
                    with translate_errors(map_error):
                        request, choices, made, legacy = _request(call, {**call.given, "messages": conversation})
                        sent.append((sending.send(request, choices), made, legacy))
                except ShimError as error:  # noqa: PERF203  (one invalid conversation must not stop the others)
                    sent.append(error)
            return [each if isinstance(each, ShimError) else _collected(sending, *each) for each in sent]


def _mocked(mock: Any, call: _Call) -> ModelResponse:
    """The answer of ``mock_response``: the text that the script gives; nothing is sent."""
    if isinstance(mock, BaseException):
        raise mock
    if not isinstance(mock, str):
        raise InvalidRequestError(f"mock_response is {shown(mock)}", guidance="Give a text, or an exception of litellm.")
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": mock}}
    body = {"id": "chatcmpl-mock", "object": "chat.completion", "created": int(time.time()), "choices": [choice]}
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return ModelResponse.read({**body, "model": call.target.model, "usage": usage})


def _collected(sending: shim_sending.Sending, futures: list[Any], made: list[Adjustment], legacy: bool) -> Any:
    try:
        with translate_errors(map_error):
            return _answer(sending.collect(futures), made, legacy)
    except ShimError as error:
        return error


def _answer(outcomes: list[shim_sending.Outcome], made: list[Adjustment], legacy: bool) -> ModelResponse:
    return shim_sending.finished(ModelResponse.read(chat_body(outcomes, legacy)), made, outcomes)


def _read(table: Table, arguments: Mapping[str, Any], module: Any) -> _Call:
    if (
        module.callbacks
        or module.success_callback
        or module.failure_callback
        or module.input_callback
        or module.cache is not None
    ):
        _warn_of_unused_settings(module)
    extra = arguments.get("extra_headers")
    if extra:
        arguments = {name: value for name, value in arguments.items() if name != "extra_headers"}
    reading, context = _DEFAULT_CONTEXT.read(table, arguments)
    given = reading.given
    own = {name: given.pop(name) for name in given.keys() & _OWN}
    retries, timeout, model = module.num_retries, module.request_timeout, given.pop("model", None)
    if not given.keys().isdisjoint(_LIMITS):
        retries = given.pop("max_retries", retries)
        retries = given.pop("num_retries", retries)
        timeout = given.pop("request_timeout", timeout)
    timeout = seconds(timeout) if context.timeout is None else context.timeout
    headers = None
    if module.headers or extra or "headers" in own:
        headers = _headers(module.headers, own.get("headers"), extra)
    settings = _settings(model, own, module)
    if not follows_configuration(settings):
        _, model = providers.named(model, own.get("custom_llm_provider"))
        settings = extended(settings, headers, None) if headers else settings
    else:
        if own.get("custom_llm_provider"):
            model = f"{own['custom_llm_provider']}/{model}"
        if headers:
            reading.not_sent["extra_headers"] = (sorted(headers), "the configuration decides which headers are sent")
    further = {} if given.keys() <= PARAMETERS else {name: given.pop(name) for name in list(given) if name not in PARAMETERS}
    not_sent = shim_sending.not_sent(table.call, reading) if reading.not_sent else []
    drop = bool(own.get("drop_params") or module.drop_params)
    return _Call(resolve_target(settings, model), timeout, retries, given, further, drop, not_sent)


def _settings(model: Any, own: Mapping[str, Any], module: Any) -> Settings:
    """The endpoint of a call, by its model's prefix; under a configuration only if the call names an address or a key."""
    custom = own.get("custom_llm_provider")
    if configuration().file is None:
        return providers.settings_for(providers.named(model, custom)[0], own, module)
    given = _overruled(own, module)
    address = own.get("api_base") or own.get("base_url") or module.api_base
    key = own.get("api_key") or module.api_key or module.openai_key or module.anthropic_key
    if not address and not (key and providers.is_known(model, custom)):
        return Settings("litellm", "openai", given=given)
    settings = providers.settings_for(providers.named(model, custom)[0], own, module)
    return dataclasses.replace(settings, given=given, own_address=bool(address), own_key=bool(key))


def _request(call: _Call, body: Mapping[str, Any]) -> tuple[ModelRequest, int, list[Adjustment], bool]:
    """The request of one conversation, how many times to send it, the adjustments so far, and whether it used ``functions``."""
    native = call.target.chat
    if isinstance(body.get("response_format"), type):
        from llm_sync.compat.openai.structured import chat_arguments

        body = chat_arguments(body)[0]
    unknown = [] if native or body.keys().isdisjoint(_HINTS) else sorted(_HINTS & body.keys())
    if unknown and not call.drop:
        kind = call.target.type
        raise UnsupportedParamsError(
            f"{kind} does not support parameters: {unknown}. To drop these, set `litellm.drop_params=True`",
            llm_provider=kind,
            model=call.target.model,
        )
    request, choices, adjustments, legacy = read_chat(body, call.target, strict=call.target.strict and not call.drop)
    changes: dict[str, Any] = {}
    if call.further:
        changes["provider_specific"] = {**request.provider_specific, **call.further}
    if native and request.response_schema is not None:
        changes["response_schema"] = None  # the provider gets the schema in its own parameter
    made = [*call.not_sent, *adjustments]
    if choices > 1:
        made.append(Adjustment("n", choices, f"{choices} requests", "every provider is asked for one answer at a time"))
    return dataclasses.replace(request, **changes) if changes else request, choices, made, legacy


def _overruled(own: Mapping[str, Any], module: Any) -> tuple[str, ...]:
    """The settings of the script that a configuration overrules, as the notice names them."""
    options = tuple(f"{name}=" for name in ("api_key", "api_base", "base_url", "api_version") if own.get(name))
    return options + tuple(
        f"litellm.{name}" for name in ("api_key", "openai_key", "anthropic_key", "api_base") if getattr(module, name)
    )


def _headers(*given: Any) -> dict[str, Any]:
    """The headers of the module, the call and ``extra_headers``; the last one wins."""
    for headers in given:
        if headers and not isinstance(headers, Mapping):
            raise InvalidRequestError(f"the headers are {grammar.type_name(headers)}", guidance="Give a dict of names and texts.")
    return {name: value for headers in given if headers for name, value in headers.items()}


_DEFAULT_CONTEXT = CallContext(
    Settings("litellm", "openai"), None, None, map_error
)  # replaced as soon as the model's name gives the provider


def _warn_of_unused_settings(module: Any) -> None:
    """Print a notice for module settings that have no effect here."""
    for name in ("success_callback", "failure_callback", "callbacks", "input_callback"):
        if getattr(module, name):
            notices.notify_once(f"litellm.{name} is not called: llm-sync has listeners (LLMClient.add_listener) and logs")
    if module.cache is not None:
        notices.notify_once("litellm.cache is not used: every call is asked")
