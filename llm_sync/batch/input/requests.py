"""Makes requests of lines: the route, the values of the line and of the run, and what was adjusted."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from shlex import quote
from typing import Any, NamedTuple

from llm_sync.batch.input.formats import OPENAI_KEYS, REQUEST_FIELDS, bare, is_openai
from llm_sync.batch.input.kept_fields import KeptFields
from llm_sync.client.request_defaults import refuse_streaming, without_switches
from llm_sync.client.request_files import RequestFiles
from llm_sync.config.models import LLMConfig
from llm_sync.config.routes import is_route, resolve_route
from llm_sync.config.routing import route
from llm_sync.errors import InvalidRequestError
from llm_sync.models import Adjustment, ModelRequest, grammar, request_hash
from llm_sync.models.route import Route
from llm_sync.openai_shape import (
    chat_request,
    check_parameters,
    read_conversation,
    responses_request,
    speaks_chat,
    speaks_responses,
)
from llm_sync.streaming import PARAMETERS

_FIELDS = tuple(field.name for field in dataclasses.fields(ModelRequest))
_CHAT, _RESPONSES = "/v1/chat/completions", "/v1/responses"
_CONTENT = json.JSONEncoder(separators=(",", ":"))
_NOT_SENT = ("id", "custom_id", "model")
_HOW_FAST = (
    "service_tier",
    "completion_window",
)  # settings that change when an answer comes and what it costs, and not the answer


class BatchRequest(NamedTuple):
    """The request of one line to one model. ``changed``: adjustments made so far; ``custom_id``: of an OpenAI batch request;
    ``asked``: its body, if it is to the Responses API; ``routed``: the name of the route that the line names, whose first model
    ``route`` is.
    """

    request: ModelRequest
    route: Route
    changed: tuple[Adjustment, ...] = ()
    custom_id: str | None = None
    asked: Mapping[str, Any] | None = None
    routed: str | None = None


class RequestBuilder:
    """Makes requests of lines. ``fields``: values for lines without their own. ``files`` reads the files they name. ``strict``
    and ``strict_streaming``: the client's. ``kept``: further fields that lines may have.

    Any thread may use it.
    """

    def __init__(
        self,
        config: LLMConfig,
        fields: Mapping[str, Any],
        files: RequestFiles | None = None,
        *,
        strict: bool = False,
        strict_streaming: bool = False,
        kept: KeptFields | None = None,
        strict_route: bool = False,
    ) -> None:
        unknown = fields.keys() - set(_FIELDS) | fields.keys() & {"prompt", "messages", "model", "id"}
        if unknown:
            raise TypeError(f"a batch has no request field {min(unknown)!r}")
        self._config = config
        self._fields = {name: value for name, value in fields.items() if value is not None}
        self._files = files or RequestFiles(None)
        self._strict = strict
        self._strict_streaming = strict_streaming
        self._strict_route = strict_route
        self._warned: set[str] = set()  # a switch in every line is warned of once
        self._kept = kept or KeptFields()

    def build(self, line: Mapping[str, Any], model: str | None) -> BatchRequest:
        """The request of a line to ``model``; if that is None, to the line's own model, or to the configuration's.

        Raises InvalidRequestError, ModelNotFoundError, StreamingNotSupportedError.
        """
        if is_openai(line):
            return self._openai(line, model)
        if not line.keys().isdisjoint(PARAMETERS):
            line = refuse_streaming(line)
        for name in line:
            if name not in _FIELDS and not self._kept.allows(name, _FIELDS):
                raise _unknown_field(name)
        given = {name: value for name, value in line.items() if value is not None and name in _FIELDS}
        named = given.get("model") if model is None else model
        target = self._target(named)
        changed: tuple[Adjustment, ...] = ()
        if "messages" in given:
            given["messages"], changed = read_conversation(given["messages"], strict=self._strict)
        request = ModelRequest(**{**given, "model": f"{target.provider}/{target.model}"})
        completed = self._completed(self._files.load(request))
        return self._without_switches(BatchRequest(completed, target, changed, routed=self.route_name(named)))

    def _openai(self, line: Mapping[str, Any], model: str | None) -> BatchRequest:
        custom_id, body = line["custom_id"], line["body"]
        if not isinstance(custom_id, str):
            raise InvalidRequestError(f"custom_id is {grammar.type_name(custom_id)}", guidance="Give a string.")
        if not isinstance(body, Mapping):
            raise InvalidRequestError(f"the body is {grammar.type_name(body)}", guidance="Give an object.")
        if line["method"] != "POST" or line["url"] not in (_CHAT, _RESPONSES):
            raise InvalidRequestError(
                f"the line asks for {line['method']} {line['url']}",
                guidance=f"Only POST {_CHAT} and POST {_RESPONSES} can be sent to any provider.",
            )
        named = body.get("model") if model is None else model
        target, routed = self._target(named), self.route_name(named)
        types = [self._config.providers[provider].type for provider in self._providers(target, routed)]
        if line["url"] == _RESPONSES:
            return self._to_responses(custom_id, body, target, types, routed)
        native = all(speaks_chat(kind) for kind in types)
        name = f"{target.provider}/{target.model}"
        chat = chat_request(body, native=native, strict=self._strict, model=name, request_id=custom_id)
        if chat.choices > 1:
            raise InvalidRequestError(
                f"n={chat.choices} asks for several answers", guidance="Repeat the line instead, each with its own custom_id."
            )
        request = self._completed(self._files.load(chat.request))
        return self._without_switches(BatchRequest(request, target, chat.adjustments, custom_id, routed=routed))

    def _to_responses(
        self, custom_id: str, body: Mapping[str, Any], target: Route, types: Sequence[str], routed: str | None
    ) -> BatchRequest:
        native, name = all(speaks_responses(kind) for kind in types), f"{target.provider}/{target.model}"
        check_parameters(body, native=native)
        chat = all(speaks_chat(kind) for kind in types)
        parsed = responses_request(body, native=native, chat=chat, strict=self._strict, model=name, request_id=custom_id)
        request = self._completed(self._files.load(parsed.request))
        return self._without_switches(BatchRequest(request, target, parsed.adjustments, custom_id, body, routed))

    def _without_switches(self, batch_request: BatchRequest) -> BatchRequest:
        """Without streaming switches; a line is read twice, and a warning for each time would hide the others."""
        request, stripped = without_switches(
            batch_request.request, batch_request.route.provider, strict=self._strict_streaming, warned=self._warned
        )
        return batch_request._replace(request=request, changed=(*batch_request.changed, *stripped))

    def _target(self, model: Any) -> Route:
        if model is not None and not isinstance(model, str):
            raise InvalidRequestError(f"model is {grammar.type_name(model)}", guidance="Give a string.")
        return route(self._config, model)

    def route_name(self, model: str | None) -> str | None:
        """The name of the route that ``model`` (None: the default one) stands for; None for a single model."""
        if self._strict_route or not is_route(self._config, model):
            return None
        return model if model is not None and model.strip() else self._config.default_model

    def _providers(self, target: Route, routed: str | None) -> tuple[str, ...]:
        return (target.provider,) if routed is None else resolve_route(self._config, routed).providers()

    def _completed(self, request: ModelRequest) -> ModelRequest:
        """The request with the run's values where the line has none."""
        has_system = any(message.role == "system" for message in request.messages or ())
        values: dict[str, Any] = {}
        for name, value in self._fields.items():
            own = getattr(request, name)
            if name == "provider_specific":
                values[name] = {**value, **own}
            elif own in (None, ()) and not (name == "system_prompt" and has_system):
                values[name] = value
        return dataclasses.replace(request, **values) if values else request

    def hash(self, batch_request: BatchRequest) -> str:
        """The hash of the model and the turns as sent, including the configuration's system prompt."""
        target = batch_request.route
        request = batch_request.request
        turns = [("user", request.prompt)] if request.messages is None else [(m.role, m.content) for m in request.messages]
        system = batch_request.request.system_prompt
        if system is None and not any(role == "system" for role, _ in turns):
            system = self._config.providers[target.provider].entry(target.model).defaults.system_prompt
        return request_hash(target.model, [("system", system), *turns])

    def settings(self, target: Route, line_format: Mapping[str, Any]) -> dict[str, Any]:
        """What an answer depends on beside its line: the effective values for a model, and the format's settings."""
        provider = self._config.providers[target.provider]
        values = dict(vars(provider.entry(target.model).defaults))
        specific = {**values["provider_specific"], **self._fields.get("provider_specific", {})}
        values.update(self._fields, provider_specific=specific, type=provider.type, **line_format)
        if provider.simulated:
            values["simulated"] = True  # simulated and real answers must never be mixed
        return {name: value for name, value in values.items() if value not in (None, {}, (), []) and name not in _HOW_FAST}


def _unknown_field(name: str) -> InvalidRequestError:
    near = difflib.get_close_matches(name, _FIELDS, n=1)
    known = f"Did you mean {near[0]}?" if near else f"Fields of a request are: {', '.join(_FIELDS)}."
    keep = f"To get it back on the record, unsent, add --keep {quote(name)} (keep=[{name!r}]) or --keep-all (keep_all=True)."
    return InvalidRequestError(f"the field {name!r} is unknown", guidance=f"{known} {keep}")


def line_digest(content: bytes) -> bytes:
    """The 8-byte hash of a line without its line end."""
    return blake2b(bare(content), digest_size=8).digest()


def line_hash(content: bytes) -> str:
    """The same as 16 hexadecimal digits, as in records."""
    return line_digest(content).hex()


def content_hash(line: Mapping[str, Any]) -> str:
    """The hash of what is sent of a line's fields: of all but its id, its model, which its route has, and fields that are kept.

    The order of the fields, of a request and of each of its messages, makes no difference; within a schema it may.
    """
    return blake2b(content_text(line).encode("ascii"), digest_size=8).hexdigest()


def content_text(line: Mapping[str, Any]) -> str:
    """What ``content_hash`` is made of, as JSON."""
    openai = is_openai(line)
    fields = OPENAI_KEYS if openai else REQUEST_FIELDS
    content = {name: value for name, value in line.items() if name in fields and name not in _NOT_SENT}
    body = content.get("body")
    if openai and isinstance(body, Mapping):
        content["body"] = _sorted_fields({name: value for name, value in body.items() if name != "model"})
    return _CONTENT.encode(_sorted_fields(content))


def _sorted_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are set, in the order of their names; those of messages, too."""
    in_order = {name: fields[name] for name in sorted(fields) if fields[name] is not None}
    messages = in_order.get("messages")
    if isinstance(messages, list):
        in_order["messages"] = [dict(sorted(each.items())) if isinstance(each, dict) else each for each in messages]
    return in_order
