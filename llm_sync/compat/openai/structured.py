"""``parse``: structured output read into the script's own pydantic model, for chat completions and the Responses API."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

from llm_sync.compat.openai.exceptions import ContentFilterFinishReasonError, LengthFinishReasonError
from llm_sync.compat.openai.response_objects import ChatCompletion, ChatCompletionMessage, Choice, Response
from llm_sync.compat.shim.parameters import is_not_given
from llm_sync.errors import InvalidRequestError
from llm_sync.models import grammar


class ParsedChatCompletionMessage(ChatCompletionMessage):
    """The message of a choice; ``parsed`` is the script's model, or None for a refusal, a tool call or without a model."""

    parsed: Any = None

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """As of every message, with ``parsed`` as plain values."""
        dumped = super().model_dump(**options)
        return dumped if self.parsed is None else {**dumped, "parsed": self.parsed.model_dump(mode="json")}


class ParsedChoice(Choice):
    """One choice of a parsed chat completion."""

    parts: ClassVar = {**Choice.parts, "message": ParsedChatCompletionMessage}


class ParsedChatCompletion(ChatCompletion):
    """A chat completion whose messages have ``parsed``."""

    parts: ClassVar = {**ChatCompletion.parts, "choices": ParsedChoice}


class ParsedResponse(Response):
    """A response of the Responses API; ``output_parsed`` is the script's model, or None."""

    output_parsed: Any = None


def chat_arguments(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """The arguments of ``create`` for those of ``parse``, and the model to parse into, if any."""
    model = _model(arguments.get("response_format"), "response_format")
    if model is None:
        return dict(arguments), None
    return {**arguments, "response_format": {"type": "json_schema", "json_schema": _named_schema(model)}}, model


def parsed_chat(completion: ParsedChatCompletion, model: Any) -> ParsedChatCompletion:
    """``completion`` with its texts parsed. Raises as the original: for a cut or a filtered answer, ValueError for a misfit."""
    for choice in completion.choices:
        if choice.finish_reason == "length":
            raise LengthFinishReasonError(completion=completion)
        if choice.finish_reason == "content_filter":
            raise ContentFilterFinishReasonError
        message = choice.message
        if model is not None and message.content and not message.refusal:
            message.parsed = model.model_validate_json(message.content)
    return completion


def response_arguments(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """The arguments of ``responses.create`` for those of ``responses.parse``, and the model to parse into, if any."""
    given = dict(arguments)
    model = _model(given.pop("text_format", None), "text_format")
    if model is None:
        return given, None
    text = given.get("text")
    text = {} if text is None or is_not_given(text) else dict(text)
    if "format" in text:
        raise TypeError("Cannot mix and match text.format with text_format")
    return {**given, "text": {**text, "format": {"type": "json_schema", **_named_schema(model)}}}, model


def parsed_response(response: ParsedResponse, model: Any) -> ParsedResponse:
    """``response`` with its text parsed; a refusal, a tool call and a cut answer have none. ValueError for a misfit."""
    if model is not None and response.output_text and response.status != "incomplete":
        response.output_parsed = model.model_validate_json(response.output_text)
    return response


def _model(given: Any, name: str) -> Any:
    """The class to parse into; None for what goes on as it is."""
    if given is None or is_not_given(given) or isinstance(given, Mapping):
        return None
    if isinstance(given, type) and hasattr(given, "model_json_schema") and hasattr(given, "model_validate_json"):
        return given
    given_type = grammar.with_article(given.__name__) if isinstance(given, type) else grammar.type_name(given)
    raise InvalidRequestError(
        f"{name} is {given_type}, which cannot be parsed into",
        guidance="Give a class derived from pydantic.BaseModel.",
    )


def _named_schema(model: Any) -> dict[str, Any]:
    schema = copy.deepcopy(model.model_json_schema())
    return {"name": model.__name__, "strict": True, "schema": _strict(schema, schema)}


def _strict(node: Any, root: Mapping[str, Any]) -> Any:
    """The schema as OpenAI's strict mode takes it: objects closed, every property required, no keys beside ``$ref``."""
    if isinstance(node, list):
        return [_strict(item, root) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node and len(node) > 1:
        name = str(node.pop("$ref")).rpartition("/")[2]
        return _strict({**copy.deepcopy(root.get("$defs", {}).get(name, {})), **node}, root)
    if isinstance(node.get("allOf"), list) and len(node["allOf"]) == 1:
        (only,) = node.pop("allOf")
        return _strict({**only, **node}, root)
    if node.get("default", ...) is None:
        del node["default"]
    if "oneOf" in node:
        node["anyOf"] = node.pop("oneOf")
        node.pop("discriminator", None)
    strict = {key: _strict_properties(value, root) if key in _MAPS else _strict(value, root) for key, value in node.items()}
    if strict.get("type") == "object":
        strict["additionalProperties"] = False
        strict["required"] = list(strict.get("properties", {}))
    return strict


_MAPS = ("properties", "$defs", "definitions")  # their keys are names, not keywords


def _strict_properties(value: Any, root: Mapping[str, Any]) -> Any:
    return {name: _strict(schema, root) for name, schema in value.items()} if isinstance(value, dict) else value
