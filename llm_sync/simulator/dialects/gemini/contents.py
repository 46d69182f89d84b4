"""Checks Gemini's ``contents`` as Google does, the order of calls and responses included, and reads them as turns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_sync.simulator.answers.tokens import count_tokens, image_placeholder
from llm_sync.simulator.dialects import image_checks
from llm_sync.simulator.dialects.gemini.proto_json import Refuse, read_message

_PART = """
    text inline_data file_data function_call function_response executable_code code_execution_result thought thought_signature
    video_metadata tool_call tool_response part_metadata media_resolution audio_metadata audio_transcription
    document_metadata media_processing speech_metadata spreadsheet_metadata
    """
# the fields of which a part has exactly one
_ONE_OF_NAMES = """
    text inline_data file_data function_call function_response executable_code code_execution_result tool_call tool_response
    """
_ONE_OF = _ONE_OF_NAMES.split()
_STRUCTS = {
    "function_call": ("args", "id name args"),
    "function_response": ("response", "id name response parts scheduling will_continue"),
}
_OTHER_MEDIA = ("application/pdf", "audio/", "video/", "text/", "application/json")


class _Parts(NamedTuple):
    """One content: its text, and the number of its images, function calls and function responses."""

    text: str
    images: int
    calls: int
    responses: int


def read_contents(request: Mapping[str, Any], refuse: Refuse) -> tuple[list[tuple[str, str]], int]:
    """The turns, with the system instruction first, and their tokens."""
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
        read = _read_parts(read_message(system, "role parts", "system_instruction", refuse), "system_instruction", refuse)
        images = read.images
        turns.append(("system", read.text))
    order = _Order(refuse)
    for index, entry in enumerate(contents):
        location = f"contents[{index}]"
        content = read_message(entry, "role parts", location, refuse)
        if content.get("role") not in (None, "", "user", "model", "function"):
            refuse("Please use a valid role: user, model.")
        read = _read_parts(content, location, refuse)
        images += read.images
        role = "assistant" if content.get("role") == "model" else "user"
        order.check(role, read)
        turns.append((role, read.text))
    return turns, sum(count_tokens(text) + 1 for _, text in turns) + 258 * images


class _Order:
    """Checks the order: calls follow a user turn, responses or other calls; all calls get a response in the next turn."""

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse
        self._role = ""  # of the previous turn
        self._open = 0  # calls without a response so far

    def check(self, role: str, parts: _Parts) -> None:
        """Checks the next turn."""
        if parts.responses and not self._open:
            self._refuse("Please ensure that function response turn comes immediately after a function call turn.")
        if role == "user" and self._open != parts.responses:
            self._refuse(
                "Please ensure that the number of function response parts is equal to the number of function call parts of "
                "the function call turn."
            )
        if parts.calls and self._role != "user" and not self._open:
            self._refuse(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
            )
        self._role = role
        self._open = self._open + parts.calls if role == "assistant" else 0


def _read_parts(content: Mapping[str, Any], location: str, refuse: Refuse) -> _Parts:
    parts = content.get("parts")
    parts = [parts] if isinstance(parts, dict) else parts
    if not isinstance(parts, list) or not parts:
        refuse(f"* GenerateContentRequest.{location}.parts: contents.parts must not be empty.\n")
    texts = []
    counts = {"inline_data": 0, "function_call": 0, "function_response": 0}
    for index, entry in enumerate(parts):
        part_location = f"{location}.parts[{index}]"
        part = read_message(entry, _PART, part_location, refuse)
        kinds = [name for name in _ONE_OF if part.get(name) is not None]
        if len(kinds) > 1:
            refuse(f"Invalid value at '{part_location}' (oneof), oneof field 'data' is already set. Cannot set '{kinds[1]}'")
        if not part.keys() - {"thought", "thought_signature"}:
            refuse(f"* GenerateContentRequest.{part_location}.data: the oneof field 'data' must have one value\n")
        kind = kinds[0] if kinds else ""
        if kind in counts:
            counts[kind] += 1
        if kind == "text":
            if not isinstance(part["text"], str):
                refuse(f"Invalid value at '{part_location}.text' (TYPE_STRING), {json.dumps(part['text'])[:80]}")
            texts.append(part["text"])
            continue
        if kind == "inline_data":
            _check_data(part[kind], f"{part_location}.inline_data", refuse)
        elif kind in _STRUCTS:
            name, known = _STRUCTS[kind]
            struct = read_message(part[kind], known, f"{part_location}.{kind}", refuse).get(name)
            if struct is not None and not isinstance(struct, dict):
                excerpt = json.dumps(struct)[:80]
                refuse(
                    f"Invalid value at '{part_location}.{kind}.{name}' (type.googleapis.com/google.protobuf.Struct), {excerpt}"
                )
        texts.append(image_placeholder(json.dumps(entry)))
    return _Parts("\n".join(texts), counts["inline_data"], counts["function_call"], counts["function_response"])


def _check_data(value: Any, location: str, refuse: Refuse) -> None:
    data = read_message(value, "mime_type data display_name", location, refuse)
    kind, text = data.get("mime_type"), data.get("data")
    if not isinstance(kind, str) or not isinstance(text, str):
        refuse("Unsupported MIME type: ")
    content = image_checks.decode_base64(text, lenient=True)
    if content is None:
        refuse(f"Invalid value at '{location}.data' (TYPE_BYTES), Base64 decoding failed for {json.dumps(text)[:200]}")
    if kind.startswith("image/"):
        if kind.partition("/")[2] not in ("png", "jpeg", "jpg", "webp", "heic", "heif", "gif"):
            refuse(f"Unsupported MIME type: {kind}")
        if kind not in ("image/heic", "image/heif") and image_checks.detect_media_type(content) is None:
            refuse("Provided image is not valid.")
    elif not kind.startswith(_OTHER_MEDIA):
        refuse(f"Unsupported MIME type: {kind}")
