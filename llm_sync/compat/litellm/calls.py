"""``completion`` and ``batch_completion``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_sync.compat import litellm as module
from llm_sync.compat.litellm import parameters, providers
from llm_sync.compat.litellm.exceptions import UnsupportedParamsError, shim_error
from llm_sync.compat.litellm.response_objects import ModelResponse
from llm_sync.compat.openai.calls import chat_body, read_chat
from llm_sync.compat.shim import notices
from llm_sync.compat.shim import sending as shim_sending
from llm_sync.compat.shim.calls import Door, extended, seconds
from llm_sync.compat.shim.error_mapping import ShimError, translated
from llm_sync.compat.shim.parameters import Table, shown
from llm_sync.compat.shim.settings import Place, Settings, found_configuration, place
from llm_sync.errors import InvalidRequestError
from llm_sync.models import Adjustment, ModelRequest
from llm_sync.openai_shape import PARAMETERS

_OWN = {"api_key", "api_base", "base_url", "api_version", "organization", "custom_llm_provider", "drop_params", "headers"}
_LIMITS = ("max_retries", "num_retries", "request_timeout")
_HINTS = frozenset(parameters.HINTS.split())


class _Call(NamedTuple):
    """The arguments of one call, read. ``given``: a chat body; ``further``: fields that are no chat completion's."""

    where: Place
    timeout: float | None
    max_retries: int | None
    given: dict[str, Any]
    further: dict[str, Any]
    drop: bool
    left_out: list[Adjustment]


def complete(arguments: Mapping[str, Any]) -> ModelResponse:
    """The answer to the arguments of ``completion``."""
    with translated(shim_error):
        call = _read(parameters.COMPLETION, arguments)
        request, choices, made, legacy = _request(call, call.given)
        if choices == 1:
            outcomes = [shim_sending.ask_once(call.where, request, timeout=call.timeout, max_retries=call.max_retries)]
        else:
            outcomes = shim_sending.ask(call.where, request, times=choices, timeout=call.timeout, max_retries=call.max_retries)
        return _answer(outcomes, made, legacy)


def complete_all(arguments: Mapping[str, Any]) -> list[Any]:
    """The answers to the arguments of ``batch_completion``, in order, with exceptions in place."""
    with translated(shim_error):
        call = _read(parameters.BATCH, arguments)
        conversations = call.given.pop("messages", None)
        if not isinstance(conversations, (list, tuple)):
            raise InvalidRequestError(f"messages is {shown(conversations)}", guidance="Give a list of conversations.")
        with shim_sending.Sending(call.where, timeout=call.timeout, max_retries=call.max_retries) as sending:
            sent: list[Any] = []
            for conversation in conversations:
                try:
                    with translated(shim_error):
                        request, choices, made, legacy = _request(call, {**call.given, "messages": conversation})
                        sent.append((sending.send(request, choices), made, legacy))
                except ShimError as error:  # noqa: PERF203  (one that is wrong stops no other)
                    sent.append(error)
            return [each if isinstance(each, ShimError) else _collected(sending, *each) for each in sent]


def _collected(sending: shim_sending.Sending, futures: list[Any], made: list[Adjustment], legacy: bool) -> Any:
    try:
        with translated(shim_error):
            return _answer(sending.came(futures), made, legacy)
    except ShimError as error:
        return error


def _answer(outcomes: list[shim_sending.Outcome], made: list[Adjustment], legacy: bool) -> ModelResponse:
    return shim_sending.finished(ModelResponse.read(chat_body(outcomes, legacy)), made, outcomes)


def _read(table: Table, arguments: Mapping[str, Any]) -> _Call:
    if (
        module.callbacks
        or module.success_callback
        or module.failure_callback
        or module.input_callback
        or module.cache is not None
    ):
        _look_at()
    extra = arguments.get("extra_headers")
    if extra:
        arguments = {name: value for name, value in arguments.items() if name != "extra_headers"}
    reading, door = _DOOR.read(table, arguments)
    given = reading.given
    own = {name: given.pop(name) for name in given.keys() & _OWN}
    retries, timeout, model = module.num_retries, module.request_timeout, given.pop("model", None)
    if not given.keys().isdisjoint(_LIMITS):
        retries = given.pop("max_retries", retries)
        retries = given.pop("num_retries", retries)
        timeout = given.pop("request_timeout", timeout)
    timeout = seconds(timeout) if door.timeout is None else door.timeout
    headers = None
    if module.headers or extra or "headers" in own:
        headers = _headers(module.headers, own.get("headers"), extra)
    if found_configuration() is None:
        prefix, model = providers.named(model, own.get("custom_llm_provider"))
        settings = providers.settings_for(prefix, own, module)
        settings = extended(settings, headers, None) if headers else settings
    else:
        settings = Settings("litellm", "openai", given=_given(own))
        if own.get("custom_llm_provider"):
            model = f"{own['custom_llm_provider']}/{model}"
        if headers:
            reading.left_out["extra_headers"] = (sorted(headers), "the configuration that is found says what headers are sent")
    further = {} if given.keys() <= PARAMETERS else {name: given.pop(name) for name in list(given) if name not in PARAMETERS}
    left_out = shim_sending.left_out(table.call, reading) if reading.left_out else []
    drop = bool(own.get("drop_params") or module.drop_params)
    return _Call(place(settings, model), timeout, retries, given, further, drop, left_out)


def _request(call: _Call, body: Mapping[str, Any]) -> tuple[ModelRequest, int, list[Adjustment], bool]:
    """The request of one conversation, how often to ask it, what is adjusted so far, and whether it is of the old shape."""
    native = call.where.chat
    form = body.get("response_format")
    if isinstance(form, type):
        raise InvalidRequestError(
            "response_format is a class", guidance="Give its JSON Schema: {'type': 'json_schema', 'json_schema': {…}}."
        )
    unknown = [] if native or body.keys().isdisjoint(_HINTS) else sorted(_HINTS & body.keys())
    if unknown and not call.drop:
        kind = call.where.type
        raise UnsupportedParamsError(
            f"{kind} does not support parameters: {unknown}. To drop these, set `litellm.drop_params=True`",
            llm_provider=kind,
            model=call.where.model,
        )
    request, choices, told, legacy = read_chat(body, call.where, strict=call.where.strict and not call.drop)
    changes: dict[str, Any] = {}
    if call.further:
        changes["provider_specific"] = {**request.provider_specific, **call.further}
    if native and request.response_schema is not None:
        changes["response_schema"] = None  # the provider has it in its own words
    made = [*call.left_out, *told]
    if choices > 1:
        made.append(Adjustment("n", choices, f"{choices} requests", "every provider is asked for one answer at a time"))
    return dataclasses.replace(request, **changes) if changes else request, choices, made, legacy


def _given(own: Mapping[str, Any]) -> tuple[str, ...]:
    """What of the script's own a configuration overrules, as the notice writes it."""
    told = tuple(f"{name}=" for name in ("api_key", "api_base", "base_url", "api_version") if own.get(name))
    return told + tuple(
        f"litellm.{name}" for name in ("api_key", "openai_key", "anthropic_key", "api_base") if getattr(module, name)
    )


def _headers(*given: Any) -> dict[str, Any]:
    """The module's, the call's own, and its extra ones, which come last."""
    for headers in given:
        if headers and not isinstance(headers, Mapping):
            raise InvalidRequestError(f"the headers are a {type(headers).__name__}", guidance="Give a dict of names and texts.")
    return {name: value for headers in given if headers for name, value in headers.items()}


_DOOR = Door(Settings("litellm", "openai"), None, None, shim_error)  # until the model tells whose


def _look_at() -> None:
    """Tell what a script set on the module that has no effect here."""
    for name in ("success_callback", "failure_callback", "callbacks", "input_callback"):
        if getattr(module, name):
            notices.tell_once(f"litellm.{name} is not called: llm-sync has listeners (LLMClient.add_listener) and logs")
    if module.cache is not None:
        notices.tell_once("litellm.cache is not used: every call is asked")
