"""Gemini's ``contents``: checked as Google does, read as turns; calls and their responses stand in the right order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_sync.simulator.answers.tokens import count, image_text
from llm_sync.simulator.dialects import image_checks
from llm_sync.simulator.dialects.gemini.proto_json import Refuse, message

_PART = """
    text inline_data file_data function_call function_response executable_code code_execution_result thought thought_signature
    video_metadata tool_call tool_response part_metadata media_resolution audio_metadata audio_transcription
    document_metadata media_processing speech_metadata spreadsheet_metadata
    """
# the members of which a part has one
_ONE_OF_NAMES = """
    text inline_data file_data function_call function_response executable_code code_execution_result tool_call tool_response
    """
_ONE_OF = _ONE_OF_NAMES.split()
_STRUCTS = {
    "function_call": ("args", "id name args"),
    "function_response": ("response", "id name response parts scheduling will_continue"),
}
_NOT_PICTURES = ("application/pdf", "audio/", "video/", "text/", "application/json")


class _Parts(NamedTuple):
    """What one content holds: its text, its pictures, how many calls, how many responses to calls."""

    text: str
    images: int
    calls: int
    responses: int


def read_contents(request: Mapping[str, Any], refuse: Refuse) -> tuple[list[tuple[str, str]], int]:
    """The turns, the system instruction first, and their tokens."""
    contents = request.get("contents")
    if not contents:
        refuse("* GenerateContentRequest.contents: contents is not specified\n")
    if isinstance(contents, dict):
        contents = [contents]
    if not isinstance(contents, list):
        refuse("Invalid value at 'contents' (type.googleapis.com/google.ai.generativelanguage.v1beta.Content)")
    turns: list[tuple[str, str]] = []
    images = 0
    system = request.get("system_instruction")
    if system is not None:
        found = _read_parts(message(system, "role parts", "system_instruction", refuse), "system_instruction", refuse)
        images = found.images
        turns.append(("system", found.text))
    order = _Order(refuse)
    for index, entry in enumerate(contents):
        place = f"contents[{index}]"
        content = message(entry, "role parts", place, refuse)
        if content.get("role") not in (None, "", "user", "model", "function"):
            refuse("Please use a valid role: user, model.")
        found = _read_parts(content, place, refuse)
        images += found.images
        role = "assistant" if content.get("role") == "model" else "user"
        order.check(role, found)
        turns.append((role, found.text))
    return turns, sum(count(text) + 1 for _, text in turns) + 258 * images


class _Order:
    """Calls follow what the user said, responses, or other calls; responses follow calls, as many as there were."""

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse
        self._role = ""  # of the turn before
        self._open = 0  # calls without a response so far

    def check(self, role: str, found: _Parts) -> None:
        """The next turn."""
        if found.responses and not self._open:
            self._refuse("Please ensure that function response turn comes immediately after a function call turn.")
        if role == "user" and self._open != found.responses:
            self._refuse(
                "Please ensure that the number of function response parts is equal to the number of function call parts of "
                "the function call turn."
            )
        if found.calls and self._role != "user" and not self._open:
            self._refuse(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
            )
        self._role = role
        self._open = self._open + found.calls if role == "assistant" else 0


def _read_parts(content: Mapping[str, Any], place: str, refuse: Refuse) -> _Parts:
    parts = content.get("parts")
    parts = [parts] if isinstance(parts, dict) else parts
    if not isinstance(parts, list) or not parts:
        refuse(f"* GenerateContentRequest.{place}.parts: contents.parts must not be empty.\n")
    texts = []
    counts = {"inline_data": 0, "function_call": 0, "function_response": 0}
    for index, entry in enumerate(parts):
        where = f"{place}.parts[{index}]"
        part = message(entry, _PART, where, refuse)
        kinds = [name for name in _ONE_OF if part.get(name) is not None]
        if len(kinds) > 1:
            refuse(f"Invalid value at '{where}' (oneof), oneof field 'data' is already set. Cannot set '{kinds[1]}'")
        if not part.keys() - {"thought", "thought_signature"}:
            refuse(f"* GenerateContentRequest.{where}.data: the oneof field 'data' must have one value\n")
        kind = kinds[0] if kinds else ""
        if kind in counts:
            counts[kind] += 1
        if kind == "text":
            if not isinstance(part["text"], str):
                refuse(f"Invalid value at '{where}.text' (TYPE_STRING), {json.dumps(part['text'])[:80]}")
            texts.append(part["text"])
            continue
        if kind == "inline_data":
            _check_data(part[kind], f"{where}.inline_data", refuse)
        elif kind in _STRUCTS:
            name, known = _STRUCTS[kind]
            struct = message(part[kind], known, f"{where}.{kind}", refuse).get(name)
            if struct is not None and not isinstance(struct, dict):
                told = json.dumps(struct)[:80]
                refuse(f"Invalid value at '{where}.{kind}.{name}' (type.googleapis.com/google.protobuf.Struct), {told}")
        texts.append(image_text(json.dumps(entry)))
    return _Parts("\n".join(texts), counts["inline_data"], counts["function_call"], counts["function_response"])


def _check_data(value: Any, place: str, refuse: Refuse) -> None:
    data = message(value, "mime_type data display_name", place, refuse)
    kind, text = data.get("mime_type"), data.get("data")
    if not isinstance(kind, str) or not isinstance(text, str):
        refuse("Unsupported MIME type: ")
    content = image_checks.decoded(text, lenient=True)
    if content is None:
        refuse(f"Invalid value at '{place}.data' (TYPE_BYTES), Base64 decoding failed for {json.dumps(text)[:200]}")
    if kind.startswith("image/"):
        if kind.partition("/")[2] not in ("png", "jpeg", "jpg", "webp", "heic", "heif", "gif"):
            refuse(f"Unsupported MIME type: {kind}")
        if kind not in ("image/heic", "image/heif") and image_checks.media_type(content) is None:
            refuse("Provided image is not valid.")
    elif not kind.startswith(_NOT_PICTURES):
        refuse(f"Unsupported MIME type: {kind}")
