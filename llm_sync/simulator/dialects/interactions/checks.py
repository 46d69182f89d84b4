"""Checks of a request to Interactions: its members, contents, steps, tools and settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

from llm_sync.simulator.answers.generated import ParsedRequest
from llm_sync.simulator.dialects import image_checks
from llm_sync.simulator.dialects.json_schemas import iter_schemas, schema_error
from llm_sync.simulator.dialects.signatures import is_good

Refuse = Callable[..., NoReturn]

UNNAMED = "Request contains an invalid argument."  # what the API says of turns that it does not take back
_KEY_NAMES = """
    model agent input system_instruction generation_config tools response_format response_mime_type response_modalities
    previous_interaction_id store stream background service_tier labels safety_settings webhook_config agent_config environment
    """
_KEYS = frozenset(_KEY_NAMES.split())
_SETTING_NAMES = """
    max_output_tokens seed stop_sequences thinking_level thinking_summaries tool_choice speech_config image_config video_config
    temperature top_p
    """
_SETTINGS = frozenset(_SETTING_NAMES.split())
_CONTENTS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"type", "text", "annotations"}),
    **dict.fromkeys(("image", "document", "audio", "video"), frozenset({"type", "data", "uri", "mime_type", "resolution"})),
    "function_result": frozenset({"type", "call_id", "name", "result", "is_error"}),
}
_STEPS: Mapping[str, frozenset[str]] = {
    "user_input": frozenset({"type", "content"}),
    "model_output": frozenset({"type", "content", "error"}),
    "thought": frozenset({"type", "signature", "summary"}),
    "function_call": frozenset({"type", "id", "name", "arguments", "signature"}),
    "function_result": frozenset({"type", "call_id", "name", "result", "is_error", "signature"}),
}
_SERVED = re.compile(
    r"(google_search|code_execution|url_context|file_search|google_maps|mcp_server_tool|retrieval)_(call|result)"
)
_TOOL_NAMES = "google_search url_context code_execution file_search google_maps computer_use mcp_server retrieval"
_TOOLS = frozenset(_TOOL_NAMES.split())
_NO_SAMPLING = re.compile(r"gemini-([4-9]|\d\d)")
_LEVELS = ("minimal", "low", "medium", "high")
_TIERS = ("flex", "standard", "priority", "deferred")


def check_members(payload: Mapping[str, Any], refuse: Refuse) -> None:
    """The members of the body and their types."""
    _known(payload, _KEYS, "", refuse)
    if ("model" in payload) == ("agent" in payload):
        refuse("Exactly one of 'model' and 'agent' must be set.")
    for name, kind, words in (
        ("model", str, "a string"),
        ("agent", str, "a string"),
        ("system_instruction", str, "a string"),
        ("previous_interaction_id", str, "a string"),
        ("store", bool, "a boolean"),
        ("labels", dict, "an object"),
        ("generation_config", dict, "an object"),
        ("tools", list, "a list"),
        ("safety_settings", list, "a list"),
    ):
        if payload.get(name) is not None and not isinstance(payload[name], kind):
            refuse(f"Invalid value at '{name}': it must be {words}.")
    if payload.get("service_tier") is not None and payload["service_tier"] not in _TIERS:
        refuse(f"Invalid value at 'service_tier': use one of {', '.join(_TIERS)}.")


def check_settings(config: Mapping[str, Any], model: str, refuse: Refuse) -> None:
    """The generation config."""
    _known(config, _SETTINGS, "generation_config", refuse)
    for name in ("max_output_tokens", "seed"):
        value = config.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not -(2**31) <= value < 2**31):
            refuse(f"Invalid value at 'generation_config.{name}': it must be a whole number of 32 bits.")
    if config.get("max_output_tokens") is not None and config["max_output_tokens"] < 1:
        refuse("Invalid value at 'generation_config.max_output_tokens': it must be positive.")
    for name, most in (("temperature", 2), ("top_p", 1)):
        value = config.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
            refuse(f"Invalid value at 'generation_config.{name}': it must be a number from 0 to {most}.")
        if _NO_SAMPLING.match(model):
            refuse(f"'{name}' is not supported by model '{model}'.")
    stops = config.get("stop_sequences")
    if stops is not None and (not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops)):
        refuse("Invalid value at 'generation_config.stop_sequences': it must be a list of texts.")
    if config.get("thinking_level") is not None and config["thinking_level"] not in _LEVELS:
        refuse(f"Invalid value at 'generation_config.thinking_level': use one of {', '.join(_LEVELS)}.")
    if config.get("thinking_summaries") not in (None, "auto", "none"):
        refuse("Invalid value at 'generation_config.thinking_summaries': use auto or none.")


def check_input(given: Any, model: str, refuse: Refuse) -> int:
    """The input: a text, one content, contents, or steps. Returns the number of its files."""
    if isinstance(given, str):
        if not given:
            refuse("'input' must not be empty.")
        return 0
    items = [given] if isinstance(given, dict) else given
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        refuse("Invalid value at 'input': use a string, a content, or a list of contents or of steps.")
    kinds = [item.get("type") for item in items]
    if all(isinstance(kind, str) and kind in _CONTENTS and kind != "function_result" for kind in kinds):
        return sum(_check_content(item, f"input[{index}]", refuse) for index, item in enumerate(items))
    return _check_steps(items, model, refuse)


def _check_steps(steps: list[Mapping[str, Any]], model: str, refuse: Refuse) -> int:
    files, open_calls, seen = 0, dict[str, None](), set[str]()
    for index, step in enumerate(steps):
        place, kind = f"input[{index}]", step.get("type")
        if not isinstance(kind, str) or not (kind in _STEPS or _SERVED.fullmatch(kind)):
            refuse(f"Invalid value at '{place}.type': {kind!r} is no type of a step.")
        if kind in _STEPS:
            _known(step, _STEPS[kind], place, refuse)
        if kind in ("user_input", "model_output"):
            contents = step.get("content")
            if not isinstance(contents, list) or not all(isinstance(content, dict) for content in contents):
                refuse(f"Invalid value at '{place}.content': it must be a list of contents.")
            files += sum(_check_content(content, f"{place}.content", refuse) for content in contents)
        elif kind == "thought" and not is_good(step.get("signature"), model):
            refuse(UNNAMED)
        elif kind == "function_call":
            _check_call(step, place, refuse)
            if step["id"] in seen:
                refuse(UNNAMED)
            seen.add(step["id"])
            open_calls[step["id"]] = None
        answered = (
            [step]
            if kind == "function_result"
            else [
                content
                for content in step.get("content") or ()
                if isinstance(content, dict) and content.get("type") == "function_result"
            ]
        )
        for result in answered:
            if not isinstance(result.get("call_id"), str) or result["call_id"] not in open_calls:
                refuse(UNNAMED)
            del open_calls[result["call_id"]]
    if open_calls:
        refuse(UNNAMED)
    return files


def _check_call(step: Mapping[str, Any], place: str, refuse: Refuse) -> None:
    if (
        not isinstance(step.get("id"), str)
        or not isinstance(step.get("name"), str)
        or not isinstance(step.get("arguments"), dict)
    ):
        refuse(f"Invalid value at '{place}': a function_call has id, name and arguments (an object).")


def _check_content(content: Mapping[str, Any], place: str, refuse: Refuse) -> int:
    kind = content.get("type")
    if not isinstance(kind, str) or kind not in _CONTENTS:
        refuse(f"Invalid value at '{place}.type': {kind!r} is no type of a content.")
    _known(content, _CONTENTS[kind], place, refuse)
    if kind == "text" and not isinstance(content.get("text"), str):
        refuse(f"Invalid value at '{place}.text': it must be a string.")
    if kind in ("text", "function_result"):
        return 0
    data, uri = content.get("data"), content.get("uri")
    if (data is None) == (uri is None) or not isinstance(data if uri is None else uri, str):
        refuse(f"Invalid value at '{place}': exactly one of 'data' and 'uri' must be set.")
    if not isinstance(content.get("mime_type"), str):
        refuse(f"Invalid value at '{place}.mime_type': it must be a string.")
    if isinstance(data, str):
        decoded = image_checks.decode_base64(data, lenient=True)
        if not decoded:
            refuse(f"Invalid value at '{place}.data' (TYPE_BYTES), Base64 decoding failed.")
        if kind == "image" and image_checks.detect_media_type(decoded) is None:
            refuse("Unable to process input image. Please retry or report the problem.")
    return 1


def read_tools(payload: Mapping[str, Any], config: Mapping[str, Any], parsed: ParsedRequest, refuse: Refuse) -> None:
    """The functions that may be called, and whether one must be."""
    declared: list[tuple[str, Any]] = []
    for index, tool in enumerate(payload.get("tools") or ()):
        place, kind = f"tools[{index}]", tool.get("type") if isinstance(tool, dict) else None
        if isinstance(kind, str) and kind in _TOOLS:
            continue
        if kind != "function":
            refuse(f"Invalid value at '{place}.type': use function or one of {', '.join(sorted(_TOOLS))}.")
        _known(tool, {"type", "name", "description", "parameters"}, place, refuse)
        if not isinstance(tool.get("name"), str) or not re.fullmatch(r"[A-Za-z_][\w.:-]{0,63}", tool["name"]):
            refuse(f"Invalid value at '{place}.name': it is no name of a function.")
        schema = tool.get("parameters", {"type": "object"})
        if not isinstance(schema, dict) or any(schema_error(subschema) for _, subschema in iter_schemas(schema)):
            refuse(f"Invalid value at '{place}.parameters': it is no JSON Schema.")
        declared.append((tool["name"], schema))
    if len({name for name, _ in declared}) < len(declared):
        refuse("Duplicate function declaration found.")
    parsed.tools = declared
    choice = config.get("tool_choice")
    if isinstance(choice, dict):
        allowed: Any = choice.get("allowed_tools")
        names = allowed.get("tools") if isinstance(allowed, dict) else None
        known = isinstance(names, list) and allowed.get("mode") in ("auto", "any", "validated")
        if not known or choice.keys() != {"allowed_tools"}:
            refuse("Invalid value at 'generation_config.tool_choice': use {allowed_tools: {mode, tools}}.")
        parsed.tools = [tool for tool in declared if tool[0] in (names or ())]
        if len(parsed.tools) < len(names or ()):
            refuse("Invalid value at 'generation_config.tool_choice': a tool that it names is not in 'tools'.")
        choice = allowed["mode"]
    elif choice not in (None, "auto", "any", "none", "validated"):
        refuse("Invalid value at 'generation_config.tool_choice': use auto, any, none or validated.")
    if choice == "any" and not parsed.tools:
        refuse("Function calling mode 'any' needs functions.")
    parsed.must_call_tool = choice == "any"


def read_format(wanted: Any, parsed: ParsedRequest, refuse: Refuse) -> None:
    """The format of the answer: JSON of a schema, or any JSON."""
    if wanted is None:
        return
    for entry in wanted if isinstance(wanted, list) else [wanted]:
        if not isinstance(entry, dict) or entry.get("type") != "text":
            refuse("Invalid value at 'response_format': only text is simulated.")
        _known(entry, {"type", "mime_type", "schema"}, "response_format", refuse)
        schema = entry.get("schema")
        if schema is not None and entry.get("mime_type") != "application/json":
            refuse("Invalid value at 'response_format': a schema needs the mime_type application/json.")
        if schema is not None and (not isinstance(schema, dict) or any(schema_error(sub) for _, sub in iter_schemas(schema))):
            refuse("Invalid value at 'response_format.schema': it is no JSON Schema.")
        parsed.schema = schema
        parsed.json_mode = entry.get("mime_type") == "application/json"


def _known(mapping: Mapping[str, Any], names: Collection[str], place: str, refuse: Refuse) -> None:
    for name in mapping:
        if name not in names:
            where = f" at '{place}'" if place else ""
            refuse(f"Unknown parameter '{name}'{where}.")
