"""Checks that calls go back as Gemini wants them: with their signatures, and each with the response to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_sync.simulator.dialects.gemini.proto_json import Refuse
from llm_sync.simulator.dialects.signatures import is_good

# What a call that no Gemini made may have for a signature, in base64 and as it is documented
_DUMMIES = ("skip_thought_signature_validator", "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=")


def check_tool_turns(payload: Mapping[str, Any], model: str, refuse: Refuse) -> None:
    """Checks ``contents`` that were read already, in either spelling."""
    contents = payload["contents"]
    contents = [contents] if isinstance(contents, dict) else contents
    calls: list[Mapping[str, Any]] = []
    for index, content in enumerate(contents):
        parts = _parts(content)
        responses = [part for _, part in _of_kind(parts, "functionResponse", "function_response")]
        if responses:
            _check_responses(calls, responses, refuse)
        called = _of_kind(parts, "functionCall", "function_call")
        earlier = calls if called and not responses else []  # of the turn before: calls may come one by one
        calls = [*earlier, *(call for _, call in called)]
        for position, (part, call) in enumerate(called):
            signature = part.get("thoughtSignature", part.get("thought_signature"))
            location = f"position {index + 1}"
            if signature is not None and signature not in _DUMMIES and not is_good(signature, model):
                refuse("Corrupted thought signature.")
            if signature is None and position == 0 and model.startswith("gemini-3"):
                refuse(
                    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
                    f"correctly. Additional data, function call `default_api:{call.get('name')}`, {location}."
                )


def _check_responses(calls: Sequence[Mapping[str, Any]], responses: Sequence[Mapping[str, Any]], refuse: Refuse) -> None:
    """A response belongs to the call of its id; without ids, to the call in its place, whose name it has."""
    for place, response in enumerate(responses):
        call = calls[place] if place < len(calls) else {}
        ids = {entry.get("id") for entry in calls}
        if response.get("id") is not None and response["id"] not in ids:
            refuse(f"The function response of id {response['id']} answers no function call.")
        if response.get("id") is None and response.get("name") != call.get("name"):
            refuse(f"The function response {place} is of {response.get('name')}, but the call there is of {call.get('name')}.")
    given = [response["id"] for response in responses if response.get("id") is not None]
    if len(given) != len(set(given)):
        refuse("Several function responses have the same id.")


def _parts(content: Any) -> list[Mapping[str, Any]]:
    parts = content.get("parts") if isinstance(content, dict) else None
    parts = [parts] if isinstance(parts, dict) else parts
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _of_kind(parts: Sequence[Mapping[str, Any]], *names: str) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    values = [(part, part.get(names[0], part.get(names[1]))) for part in parts]
    return [(part, value) for part, value in values if isinstance(value, dict)]
