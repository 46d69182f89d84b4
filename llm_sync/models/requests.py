"""ModelRequest, and the hash that identifies the texts of a request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from itertools import groupby
from operator import itemgetter
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import field_checks, fields, grammar
from llm_sync.models.frozen import Frozen, dataclass
from llm_sync.models.messages import Message, detached_message, read_messages
from llm_sync.models.tool_results import in_call_order
from llm_sync.runtime.import_lock import import_lock

_checked_values = itemgetter(*fields.CHECKED)


@dataclass(frozen=True, repr=False, eq=False)
class ModelRequest(Frozen):
    """A request to one model.

    Exactly one of ``prompt`` and ``messages`` is given. ``images`` and ``documents`` (paths, bytes, URLs) go only with a prompt,
    and before it; ``documents`` are PDFs, texts, images and recordings. None means "not given": the configuration's default is
    sent, or nothing. Ranges and meanings of the settings are in docs/configuration.md: ``max_tokens`` counts tokens,
    ``stop_sequences`` is a string or a list of strings. ``messages`` are Message objects or dicts of their fields
    (``help(Message)``); when they are sent, tool results have to match their calls. ``response_schema`` is a JSON Schema (needs
    ``pip install 'llm-sync[schema]'``); the parsed answer is in the response's ``metadata["parsed"]``. ``cache_system`` marks
    the system prompt for the provider's prompt cache; ``cache_ttl`` ("5m" or "1h") holds for every such mark without a time.
    ``service_tier`` ("flex", "priority" or "default") asks for another speed and price where the provider has that;
    ``completion_window`` ("soonest", "2h" or "8h") says until when an answer asked for with ``via="background"`` is wanted.
    ``tools`` are mappings with ``name``, ``description`` and ``parameters`` (JSON Schema), or OpenAI's
    ``{"type": "function", …}``; ``tool_choice`` is "auto", "none", "required" or the name of a tool. ``provider_specific`` is
    merged into the payload last. ``id`` is copied to the response.

    Raises TypeError for an unknown field and InvalidRequestError for an invalid value, before anything is sent.
    """

    prompt: str | None = None
    model: str | None = None
    messages: Sequence[Message] | None = None
    system_prompt: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    stop_sequences: Sequence[str] | None = None
    seed: int | None = None
    response_schema: Mapping[str, Any] | None = None
    images: Sequence[Any] = ()
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    provider_specific: Mapping[str, Any] = field(default_factory=dict)
    id: str | int | None = None
    documents: Sequence[Any] = ()
    cache_system: bool | None = None
    cache_ttl: str | None = None
    service_tier: str | None = None
    completion_window: str | None = None

    def __post_init__(self) -> None:
        if (self.prompt is None) == (self.messages is None):
            raise InvalidRequestError(
                "a request needs exactly one of prompt and messages",
                guidance="Give prompt= for one question, messages= for a conversation.",
            )
        if self.prompt is not None:
            field_checks.check_text("prompt", self.prompt)
            if not self.prompt.strip() and not self.images and not self.documents:
                raise InvalidRequestError("the prompt is empty", guidance="Give it at least one visible character.")
        else:
            _set(self, "messages", read_messages(self.messages))
            if self.images or self.documents:
                name, form = ("images", "content, images=[…]") if self.images else ("documents", "parts=[…]")
                raise InvalidRequestError(
                    f"{name} go only with a prompt", guidance=f"Put them on the messages: Message(role, {form})."
                )
        if self.provider_specific is None:
            _set(self, "provider_specific", {})
        values = vars(self)
        for name, value in zip(fields.CHECKED, _checked_values(values), strict=True):
            if value is not None:
                values[name] = field_checks.check_field(fields.CHECKED[name], value)
        for name in ("images", "documents"):
            if getattr(self, name) != ():
                _set(self, name, field_checks.images(name, getattr(self, name)))
        if self.tools != ():
            _set(self, "tools", tuple(field_checks.mapping("tools", tool) for tool in field_checks.listed("tools", self.tools)))
        if self.tool_choice is not None and not isinstance(self.tool_choice, (str, Mapping)):
            raise InvalidRequestError(
                f"tool_choice is {grammar.type_name(self.tool_choice)}", guidance="Give a string or a mapping."
            )
        if self.id is not None and not isinstance(self.id, (str, int)):
            _set(self, "id", field_checks.whole_number(self.id))
        if self.id is not None and (isinstance(self.id, bool) or not isinstance(self.id, (str, int))):
            raise InvalidRequestError(f"id is {grammar.type_name(self.id)}", guidance="Give a string or a whole number.")

    def detached(self, **changes: Any) -> ModelRequest:
        """A copy with ``changes`` that shares no mutable part with the caller's objects; mappings become dicts.

        Nothing is checked again: ``changes`` must be checked already, as the fields of the request are. Raises
        InvalidRequestError for a part that JSON cannot represent.
        """
        fresh: ModelRequest = object.__new__(type(self))
        values = {**self.__dict__, **changes}
        _set(fresh, "__dict__", values)
        for name in ("response_schema", "tool_choice", "provider_specific"):
            if values[name] is not None:
                values[name] = field_checks.plain(name, values[name])
        if values["tools"]:
            values["tools"] = tuple(field_checks.plain("tools", tool) for tool in values["tools"])
        if values["messages"] and any(message.tool_calls or message.state for message in values["messages"]):
            values["messages"] = tuple(detached_message(message) for message in values["messages"])
        return fresh

    def conversation(self) -> tuple[Message, ...]:
        """The messages, or the prompt as one message; without the system prompt. Results are in the order of their calls.

        Raises InvalidRequestError for a result without a call, a call without a result, and two results of one call.
        """
        if self.messages is not None:
            return in_call_order(tuple(self.messages))
        if self.documents:
            return (self._prompt_with_files(),)
        return (Message("user", self.prompt, images=self.images),)

    def _prompt_with_files(self) -> Message:
        with import_lock:  # few requests have documents
            from llm_sync.models.documents import load_file
            from llm_sync.models.parts import Part

        files = [*(load_file(source) for source in self.documents), *(Part("image", source=each) for each in self.images)]
        return Message("user", parts=[*files, *([self.prompt] if self.prompt else [])])


def request_hash(model: str, turns: Iterable[tuple[str, str | None]]) -> str:
    """32 hexadecimal digits that identify the texts of a request, the same in every dialect.

    ``model``: its bare name, without the provider. ``turns``: (role, text) in order, including system texts. Differences
    between the dialects do not count: system texts are taken together and come first, consecutive turns of one role count
    as one, and turns without text are ignored. Images, tools and settings are ignored, too.
    """
    from hashlib import sha256  # loads OpenSSL, which most programs do not need here

    texts = [(role, text) for role, text in turns if text]
    ordered = [turn for turn in texts if turn[0] == "system"] + [turn for turn in texts if turn[0] != "system"]
    joined = [[role, "\n\n".join(text for _, text in group)] for role, group in groupby(ordered, key=itemgetter(0))]
    return sha256(json.dumps([model, joined]).encode()).hexdigest()[:32]  # ASCII: lone surrogates are escaped


def _set(instance: object, name: str, value: object) -> None:
    object.__setattr__(instance, name, value)
