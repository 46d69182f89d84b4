"""The supported calls of openai: chat completions, completions (sent as chats), model listings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_sync.compat.openai.response_objects import ChatCompletion, Completion, Model, SyncPage
from llm_sync.compat.shim import sending
from llm_sync.compat.shim.calls import CallContext
from llm_sync.compat.shim.error_mapping import translate_errors
from llm_sync.compat.shim.model_listing import find_model, list_models
from llm_sync.compat.shim.parameters import Table, shown
from llm_sync.compat.shim.targets import Target, resolve_target
from llm_sync.errors import InvalidRequestError
from llm_sync.models import Adjustment, ModelRequest, ModelResponse
from llm_sync.models.fields import OPENAI, on_wire
from llm_sync.openai_shape import ChatRequest, chat_request, completion

Arguments = Mapping[str, Any]
_SETTINGS = frozenset(on_wire(OPENAI))
_SIMPLE_FIELDS = _SETTINGS | {"messages", "stop"}
# Fields that need parsing; all others go unchanged to providers that accept this shape.
_READ = frozenset(
    {"n", "max_completion_tokens", "response_format", "tools", "tool_choice", "functions", "function_call", "model"}
    | {"stream", "stream_options"}
)


def chat_completion(context: CallContext, table: Table, arguments: Arguments, kind: type[Any] = ChatCompletion) -> Any:
    """A chat completion of class ``kind``."""
    with translate_errors(context.map_error):
        reading, context = context.read(table, arguments)
        given = reading.given
        target = resolve_target(context.settings, given.pop("model", None))
        made = sending.not_sent(table.call, reading) if reading.not_sent else []
        body, outcomes = _asked(context, target, given, made)
        return sending.finished(kind.read(body), made, outcomes)


def _asked(
    context: CallContext, target: Target, given: Arguments, made: list[Adjustment]
) -> tuple[dict[str, Any], list[sending.Outcome]]:
    """Send one chat body; the chat-completion body and its outcomes. Adjustments are added to ``made``."""
    request, choices, adjustments, legacy = read_chat(given, target)
    made += adjustments
    if target.chat and request.response_schema is not None:
        request = dataclasses.replace(
            request, response_schema=None
        )  # the provider gets the schema in its own parameter; the script did not ask for our check
    if choices == 1:
        outcomes = [sending.send(target, request, timeout=context.timeout, max_retries=context.max_retries)]
    else:
        outcomes = sending.send_all(target, request, times=choices, timeout=context.timeout, max_retries=context.max_retries)
        made.append(Adjustment("n", choices, f"{choices} requests", "every provider is asked for one answer at a time"))
    return chat_body(outcomes, legacy), outcomes


def read_chat(given: Mapping[str, Any], target: Target, *, strict: bool | None = None) -> ChatRequest:
    """The request for a chat body at ``target``; ``strict`` replaces the target's own setting."""
    asked = given.get("messages")
    if isinstance(asked, Iterator):
        given = {**given, "messages": list(asked)}
    if (
        type(asked) is list
        and 0 < len(asked) < 3
        and (given.keys() <= _SIMPLE_FIELDS or (target.chat and given.keys().isdisjoint(_READ)))
    ):
        simple = _simple_request(given, asked, target.model)
        if simple is not None:
            return ChatRequest(simple, 1, (), False)
    is_strict = target.strict if strict is None else strict
    return chat_request(given, native=target.chat, strict=is_strict, model=target.model)


def _simple_request(given: Mapping[str, Any], asked: list[Any], model: str | None) -> ModelRequest | None:
    """Fast path for the most common bodies, one question with or without a system prompt; None for all others.

    Any other field goes to the provider unchanged: it accepts this shape itself.
    """
    question = _text(asked[-1], "user")
    system = _text(asked[0], "system") if len(asked) > 1 else None
    if question is None or (system is None and len(asked) > 1):
        return None
    if len(given) == 1 and system is None:
        return ModelRequest(question, model)
    settings = {name: value for name, value in given.items() if name in _SETTINGS}
    if "stop" in given:
        settings["stop_sequences"] = given["stop"] or None
    if not given.keys() <= _SIMPLE_FIELDS:
        settings["provider_specific"] = {name: value for name, value in given.items() if name not in _SIMPLE_FIELDS}
    return ModelRequest(question, model, system_prompt=system, **settings)


def _text(turn: Any, role: str) -> str | None:
    """The text of a turn that has only text; None for all other turns."""
    if type(turn) is not dict or len(turn) != 2 or turn.get("role") != role:
        return None
    text = turn.get("content")
    return text if type(text) is str and text and not text.isspace() else None


def chat_body(outcomes: Sequence[sending.Outcome], legacy: bool) -> dict[str, Any]:
    """The chat-completion body of the outcomes: the provider's own where there is one. Do not change it."""
    first = outcomes[0]
    if len(outcomes) == 1 and not legacy and isinstance(first, ModelResponse):
        raw = first.metadata.get("raw")
        own = isinstance(raw, dict) and raw.get("object") == "chat.completion"
        return raw if own else completion(first)  # type: ignore[return-value]
    made = completion(*outcomes, legacy=legacy)
    bodies = [body for outcome in outcomes if (body := _own_body(outcome)) is not None]
    if len(bodies) < len(outcomes) or (len(bodies) == 1 and not legacy):
        return made
    # Keep the provider's own choices, so that logprobs, finish reasons and other fields stay as they are.
    choices = [choice for body in bodies for choice in body["choices"]]
    if legacy:
        choices = [_legacy(choice) for choice in choices]
    usage = bodies[0].get("usage") if len(bodies) == 1 else made["usage"]
    return {**bodies[0], "choices": [{**choice, "index": index} for index, choice in enumerate(choices)], "usage": usage}


def _own_body(outcome: sending.Outcome) -> dict[str, Any] | None:
    """The provider's own chat-completion body; None if its response has another shape."""
    answer = outcome if isinstance(outcome, ModelResponse) else outcome.response
    raw = answer.metadata.get("raw") if answer is not None else None
    if not isinstance(raw, dict) or raw.get("object") != "chat.completion" or not isinstance(raw.get("choices"), list):
        return None
    return raw if all(isinstance(choice, dict) and isinstance(choice.get("message"), dict) for choice in raw["choices"]) else None


def _legacy(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice in the legacy shape: the first tool call goes to ``function_call``."""
    message = dict(choice["message"])
    calls = message.pop("tool_calls", None)
    if not calls:
        return {**choice, "message": message}
    finish = choice.get("finish_reason")
    message["function_call"] = calls[0].get("function")
    return {**choice, "message": message, "finish_reason": "function_call" if finish == "tool_calls" else finish}


def text_completion(context: CallContext, table: Table, arguments: Arguments, kind: type[Any] = Completion) -> Any:
    """A completion of a prompt, sent as a chat of one message."""
    with translate_errors(context.map_error):
        reading, context = context.read(table, arguments)
        given = reading.given
        prompts = texts_given("prompt", given.pop("prompt", None))
        target = resolve_target(context.settings, given.pop("model", None))
        made = sending.not_sent(table.call, reading)
        made.append(Adjustment("prompt", len(prompts), "chat messages", "completions are asked for as chats"))
        bodies, outcomes = [], []
        for prompt in prompts:
            body, collect = _asked(context, target, {**given, "messages": [{"role": "user", "content": prompt}]}, made)
            bodies.append(body)
            outcomes += collect
        return sending.finished(kind.read(_text_body(bodies)), made, outcomes)


def texts_given(name: str, value: Any) -> list[str]:
    """The texts of an argument that takes one or a list. Raises InvalidRequestError, for tokens too."""
    texts = [value] if isinstance(value, str) else list(value) if isinstance(value, (list, tuple)) else []
    if not texts or not all(isinstance(each, str) for each in texts):
        kind = "a list of tokens" if texts else shown(value)
        raise InvalidRequestError(f"{name} is {kind}", guidance="Give a text or a list of texts.")
    return texts


def _text_body(bodies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One completion body made from chat-completion bodies."""
    first = bodies[0]
    choices = [choice for body in bodies for choice in body["choices"]]
    usages = [body.get("usage") or {} for body in bodies]
    counts = {
        name: sum(usage.get(name) or 0 for usage in usages) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    return {
        "id": str(first.get("id") or "").replace("chatcmpl-", "cmpl-"),
        "object": "text_completion",
        "created": first.get("created"),
        "model": first.get("model"),
        "choices": [
            {
                "text": (choice.get("message") or {}).get("content") or "",
                "index": index,
                "logprobs": None,
                "finish_reason": choice.get("finish_reason"),
            }
            for index, choice in enumerate(choices)
        ],
        "usage": counts if all(usages) else None,
    }


def models(context: CallContext, table: Table, arguments: Arguments, kind: type[Any] = SyncPage) -> Any:
    """Every model of every provider, as a page."""
    with translate_errors(context.map_error):
        reading, context = context.read(table, arguments)
        models = list_models(context)
        page = kind.read({"object": "list", "data": [model(name, provider) for name, provider in models]})
        page.adjustments = tuple(sending.not_sent(table.call, reading))
        return page


def one_model(context: CallContext, table: Table, name: str, arguments: Arguments, kind: type[Any] = Model) -> Any:
    """The model of this name. Raises NotFoundError."""
    with translate_errors(context.map_error):
        reading, context = context.read(table, arguments)
        listed = kind.read(model(*find_model(context, name)))
        listed.adjustments = tuple(sending.not_sent(table.call, reading))
        return listed


def model(name: str, provider: str) -> dict[str, Any]:
    """One entry of a listing; only the name is known."""
    return {"id": name, "object": "model", "created": 0, "owned_by": provider}
