"""The form in which an endpoint is asked for JSON of a schema: its own (json_schema), or the best one that it takes.

Whatever the form, the answer is held against the ``response_schema`` afterwards.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from llm_sync.models import Message, ModelRequest, PreparedRequest
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.answer import Answer
from llm_sync.providers.dialect import Dialect
from llm_sync.providers.payload import merge

JSON_SCHEMA, JSON_OBJECT, TOOL, PROMPT = "json_schema", "json_object", "tool", "prompt"
"""Values of the provider option ``structured_output``."""

TOOL_NAME = "answer"
_TOOL_FIELDS = {"tools", "tool_choice", "toolConfig", "tool_config", "functions", "function_call"}
_IN_A_TURN = ("openai-responses",)  # its JSON mode wants the word "JSON" in the input; instructions do not count
_INSTRUCTIONS = "Answer with JSON only: no other text, no code fence. The JSON must fit this JSON Schema:\n"


def payload_for(dialect: Dialect, request: ModelRequest, adjustments: Adjustments) -> dict[str, Any]:
    """The payload of a request with a ``response_schema``, as ``Dialect.prepare_request`` makes it. Raises as that does."""
    asked = dialect.config.structured_output or dialect.structured_form(request.model or "")
    form = _possible(asked, dialect, request)
    if form == JSON_SCHEMA:
        return dialect.prepare_request(request, adjustments)
    schema = request.response_schema
    why = "structured_output says so" if dialect.config.structured_output else "the endpoint does not take json_schema"
    if form != asked:
        why = f"{asked} is not possible for this request"
    adjustments.note("response_schema", JSON_SCHEMA, form, f"{why}; the answer is checked all the same")
    if form == TOOL:
        tool = {"name": TOOL_NAME, "description": "Gives the answer.", "parameters": schema}
        return dialect.prepare_request(request.detached(response_schema=None, tools=(tool,), tool_choice=TOOL_NAME), adjustments)
    in_turn = dialect.type in _IN_A_TURN
    instructed = _with_asking_turn(request) if in_turn else _with_system_prompt(request)
    payload = dialect.prepare_request(instructed, adjustments)
    if form == JSON_OBJECT:
        merge(payload, dialect.json_object, adjustments, frozenset())
    return payload


def _possible(form: str, dialect: Dialect, request: ModelRequest) -> str:
    """The form, or PROMPT where it cannot be used: tools and JSON modes give objects only, and a request's own tools stand
    against another one that must be called."""
    kind = (request.response_schema or {}).get("type")
    if form == TOOL and (kind != "object" or request.tools or _TOOL_FIELDS & request.provider_specific.keys()):
        return PROMPT
    if form == JSON_OBJECT and (kind not in (None, "object") or not dialect.json_object):
        return PROMPT
    return form


def _instructions(request: ModelRequest) -> str:
    return _INSTRUCTIONS + json.dumps(request.response_schema, ensure_ascii=False)


def _with_asking_turn(request: ModelRequest) -> ModelRequest:
    """The request with the schema in words at the end of the prompt, or in a user's message at the end of the conversation."""
    text = _instructions(request)
    if request.prompt is not None:
        return request.detached(response_schema=None, prompt=f"{request.prompt}\n\n{text}")
    return request.detached(response_schema=None, messages=(*(request.messages or ()), Message("user", text)))


def _with_system_prompt(request: ModelRequest) -> ModelRequest:
    """The request with the schema in words: in its system prompt, or in its first system message."""
    text = _instructions(request)
    messages = list(request.messages or ())
    system = next((number for number, message in enumerate(messages) if message.role == "system"), None)
    if request.system_prompt is None and system is not None:
        messages[system] = _extended(messages[system], text)
        return request.detached(response_schema=None, messages=tuple(messages))
    prompt = f"{request.system_prompt}\n\n{text}" if request.system_prompt else text
    return request.detached(response_schema=None, system_prompt=prompt)


def _extended(message: Message, text: str) -> Message:
    if message.parts:
        last = message.parts[-1]  # a text, as in every system message
        return message.with_parts([*message.parts[:-1], dataclasses.replace(last, text=f"{last.text}\n\n{text}")])
    return dataclasses.replace(message, content=f"{message.content}\n\n{text}")


def from_tool(answer: Answer, prepared: PreparedRequest) -> Answer:
    """The answer whose text the tool was called with; any other answer, and to a request of another form, as it is."""
    if not any(made.parameter == "response_schema" and made.sent == TOOL for made in prepared.adjustments):
        return answer
    call = next((call for call in answer.tool_calls if call.name == TOOL_NAME), None)
    if call is None:
        return answer
    finish = "length" if answer.finish_reason == "length" else "stop"
    return dataclasses.replace(answer, text=call.raw_arguments, tool_calls=(), finish_reason=finish, state=None)
