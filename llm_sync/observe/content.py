"""Prompts and answers on the spans of OpenTelemetry: only where its own variable asks for them.

The attributes are those of its semantic conventions for generative AI, in JSON. Pictures, documents and recordings are named by
their kind only. Keys of the provider are replaced, as everywhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from llm_sync.errors import LLMConnectorError
from llm_sync.models import Message, ModelRequest, ModelResponse, PreparedRequest, ToolCall
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import Steps

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_ON_SPANS = ("true", "1", "span_only", "span_and_event")
_REASONS = {"tool_calls": "tool_call"}  # as the conventions call ours

Describe = Callable[[int, Mapping[str, str]], None]
Redact = Callable[[str, str], str]


class Next(Protocol):
    """The rest of a call, as a middleware gets it."""

    control: CallControl

    def __call__(self, request: PreparedRequest) -> ModelResponse:
        """Go on with ``request``, in the calling thread."""

    def steps(self, request: PreparedRequest) -> Steps[ModelResponse]:
        """The same in steps."""


def is_wanted() -> bool:
    """Whether the variable asks for content on spans."""
    return os.environ.get(VARIABLE, "").strip().lower() in _ON_SPANS


class ContentRecorder:
    """A middleware that adds prompt and answer to the span of each call. ``redact`` takes a provider's name and a text."""

    def __init__(self, describe: Describe, redact: Redact) -> None:
        self._describe = describe
        self._redact = redact

    def __call__(self, request: PreparedRequest, send: Next) -> ModelResponse:
        """Go on with ``request``, in the calling thread."""
        with self._recorded(request, send.control.key) as ended:
            return ended(send(request))

    def steps(self, request: PreparedRequest, send: Next) -> Steps[ModelResponse]:
        """The same in steps."""
        with self._recorded(request, send.control.key) as ended:
            return ended((yield from send.steps(request)))

    @contextmanager
    def _recorded(self, request: PreparedRequest, key: int) -> Iterator[Callable[[ModelResponse], ModelResponse]]:
        def ended(response: ModelResponse) -> ModelResponse:
            self._add(request.provider, key, _output(response))
            return response

        self._add(request.provider, key, _input(request.request))
        try:
            yield ended
        except LLMConnectorError as error:
            response = getattr(error, "response", None)
            if isinstance(response, ModelResponse):  # cut, or unusable: what there is of it
                ended(response)
            raise

    def _add(self, provider: str, key: int, values: Mapping[str, Any]) -> None:
        texts = {name: json.dumps(value, ensure_ascii=False, default=str) for name, value in values.items()}
        self._describe(key, {name: self._redact(provider, text) for name, text in texts.items()})


def _input(request: object) -> dict[str, Any]:
    if not isinstance(request, ModelRequest):
        return {}  # texts to embed are no messages
    if request.messages is None:
        files = [_file(kind) for kind, given in (("document", request.documents), ("image", request.images)) for _ in given]
        messages = [{"role": "user", "parts": [*files, *([_text(request.prompt)] if request.prompt else [])]}]
    else:
        messages = [{"role": turn.role, "parts": list(_parts(turn))} for turn in request.messages]
    values: dict[str, Any] = {"gen_ai.input.messages": messages}
    if request.system_prompt:
        values["gen_ai.system_instructions"] = [_text(request.system_prompt)]
    return values


def _output(response: ModelResponse) -> dict[str, Any]:
    thinking = response.metadata.get("thinking")
    parts = [{"type": "reasoning", "content": thinking}] if thinking else []
    parts += [_text(response.text)] if response.text else []
    parts += _calls(response.tool_calls)
    reason = _REASONS.get(response.finish_reason, response.finish_reason)
    return {"gen_ai.output.messages": [{"role": "assistant", "parts": parts, "finish_reason": reason}]}


def _parts(turn: Message) -> Iterator[dict[str, Any]]:
    if turn.role == "tool":
        yield {"type": "tool_call_response", "id": turn.tool_call_id, "response": turn.content}
        return
    for part in turn.parts:
        yield _text(part.text) if part.type == "text" else _file(part.type)
    if not turn.parts:
        yield from [_file("image") for _ in turn.images]
        yield from [_text(turn.content)] if turn.content else []
    yield from _calls(turn.tool_calls)


def _calls(calls: Iterable[ToolCall]) -> list[dict[str, Any]]:
    return [{"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments} for call in calls]


def _file(kind: str) -> dict[str, Any]:
    return {"type": "blob", "modality": kind}


def _text(text: str | None) -> dict[str, Any]:
    return {"type": "text", "content": text}
