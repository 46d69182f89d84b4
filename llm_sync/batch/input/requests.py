"""From what a line says to the request that is sent: whose model, which values, and what was changed on the way."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from llm_sync.batch.input.formats import bare, is_openai
from llm_sync.config.models import LLMConfig
from llm_sync.config.routing import route
from llm_sync.errors import InvalidRequestError
from llm_sync.models import Adjustment, ModelRequest, request_hash
from llm_sync.models.images import Image, load_image
from llm_sync.models.route import Route
from llm_sync.openai_shape import chat_request, speaks_chat

_FIELDS = tuple(field.name for field in dataclasses.fields(ModelRequest))
_URL = "/v1/chat/completions"
SIMULATED = "simulated-"


class Question(NamedTuple):
    """One line for one model. ``changed``: what of it is sent otherwise than asked; ``custom_id``: OpenAI's id of the line."""

    request: ModelRequest
    route: Route
    changed: tuple[Adjustment, ...] = ()
    custom_id: str | None = None


class Questions:
    """Makes requests of lines. ``fields``: values for lines that say nothing themselves. ``strict`` as the client's.

    May be used by several threads.
    """

    def __init__(self, config: LLMConfig, fields: Mapping[str, Any], *, strict: bool = False) -> None:
        unknown = fields.keys() - set(_FIELDS) | fields.keys() & {"prompt", "messages", "model", "id"}
        if unknown:
            raise TypeError(f"a batch has no request field {min(unknown)!r}")
        self._config = config
        self._fields = {name: value for name, value in fields.items() if value is not None}
        self._strict = strict

    def ask(self, line: Mapping[str, Any], model: str | None) -> Question:
        """The request of a line, to ``model`` or, where that is None, to the line's own, or the configuration's.

        Raises InvalidRequestError, ModelNotFoundError.
        """
        if is_openai(line):
            return self._openai(line, model)
        for name in line:
            if name not in _FIELDS:
                near = difflib.get_close_matches(name, _FIELDS, n=1)
                raise InvalidRequestError(
                    f"the field {name!r} is unknown",
                    guidance=f"Did you mean {near[0]}?" if near else f"Fields are: {', '.join(_FIELDS)}.",
                )
        given = {name: value for name, value in line.items() if value is not None}
        place = self._place(given.get("model") if model is None else model)
        request = ModelRequest(**{**given, "model": f"{place.provider}/{place.model}"})
        return Question(self._completed(request), place)

    def _openai(self, line: Mapping[str, Any], model: str | None) -> Question:
        custom_id, body = line["custom_id"], line["body"]
        if not isinstance(custom_id, str):
            raise InvalidRequestError(f"custom_id is a {type(custom_id).__name__}", guidance="Give a string.")
        if not isinstance(body, Mapping):
            raise InvalidRequestError(f"the body is a {type(body).__name__}", guidance="Give an object.")
        if line["method"] != "POST" or line["url"] != _URL:
            raise InvalidRequestError(
                f"the line asks for {line['method']} {line['url']}", guidance=f"Only POST {_URL} can be sent to any provider."
            )
        place = self._place(body.get("model") if model is None else model)
        native = speaks_chat(self._config.providers[place.provider].type)
        name = f"{place.provider}/{place.model}"
        found = chat_request(body, native=native, strict=self._strict, model=name, request_id=custom_id)
        if found.choices > 1:
            raise InvalidRequestError(
                f"n={found.choices} asks for several answers", guidance="Write the line so many times, each with its custom_id."
            )
        return Question(self._completed(found.request), place, found.adjustments, custom_id)

    def _place(self, model: Any) -> Route:
        if model is not None and not isinstance(model, str):
            raise InvalidRequestError(f"model is a {type(model).__name__}", guidance="Give a string.")
        return route(self._config, model)

    def _completed(self, request: ModelRequest) -> ModelRequest:
        """With the batch's own values where the line has none."""
        told = any(message.role == "system" for message in request.messages or ())
        values: dict[str, Any] = {}
        for name, value in self._fields.items():
            own = getattr(request, name)
            if name == "provider_specific":
                values[name] = {**value, **own}
            elif own in (None, ()) and not (name == "system_prompt" and told):
                values[name] = value
        return dataclasses.replace(request, **values) if values else request

    def hash(self, question: Question) -> str:
        """The request hash: of the model and the turns as they are sent, the configuration's system prompt included."""
        place = question.route
        turns = [(turn.role, turn.content) for turn in question.request.conversation()]
        system = question.request.system_prompt
        if system is None and not any(role == "system" for role, _ in turns):
            system = self._config.providers[place.provider].entry(place.model).defaults.system_prompt
        return request_hash(place.model, [("system", system), *turns])

    def settings(self, place: Route, form: Mapping[str, Any]) -> dict[str, Any]:
        """What an answer depends on beside its line: the effective values for a model, and how lines become prompts."""
        provider = self._config.providers[place.provider]
        found = dict(vars(provider.entry(place.model).defaults))
        specific = {**found["provider_specific"], **self._fields.get("provider_specific", {})}
        found.update(self._fields, provider_specific=specific, type=provider.type, **form)
        if provider.simulated:
            found["simulated"] = True  # a rehearsal's answers are none of the run that follows, nor the other way round
        return {name: value for name, value in found.items() if value not in (None, {}, (), [])}


def line_digest(content: bytes) -> bytes:
    """8 bytes that tell one line from another: by its own, without its end."""
    return blake2b(bare(content), digest_size=8).digest()


def line_hash(content: bytes) -> str:
    """The same in hexadecimal digits, as records have it."""
    return line_digest(content).hex()


def settings_hash(settings: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that tell one set of settings from another, behind SIMULATED where a simulator answers."""
    text = json.dumps(settings, sort_keys=True, default=_told_apart)
    told = blake2b(text.encode("ascii"), digest_size=8).hexdigest()
    return f"{SIMULATED}{told}" if settings.get("simulated") else told


def _told_apart(value: Any) -> str:
    """What JSON has no form for: images, by their content."""
    return blake2b(load_image(value).data_url.encode()).hexdigest() if isinstance(value, (Image, bytes)) else repr(value)
