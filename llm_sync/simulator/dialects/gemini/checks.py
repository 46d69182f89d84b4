"""Checks and reads a generateContent request: its configuration, output format, tools, thinking and safety settings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.generated import ParsedRequest
from llm_sync.simulator.dialects.gemini.proto_json import Refuse, check_schema, read_message, read_number, read_whole
from llm_sync.simulator.dialects.model_catalogue import model_limits

REQUEST_NAMES = """
    model contents system_instruction generation_config tools tool_config safety_settings cached_content labels service_tier store
    """
_CONFIG = """
    temperature top_p top_k max_output_tokens stop_sequences seed candidate_count presence_penalty frequency_penalty
    response_mime_type response_schema response_json_schema response_format response_modalities thinking_config logprobs
    response_logprobs speech_config media_resolution enable_enhanced_civic_answers image_config
    """
_TOOL = """
    function_declarations google_search google_search_retrieval code_execution url_context computer_use google_maps file_search
    mcp_servers
    """
_TOOL_CONFIG = "function_calling_config retrieval_config include_server_side_tool_invocations"
_FUNCTION = "name description parameters parameters_json_schema response response_json_schema behavior"
_NOT_TEXT = re.compile(r"(text-)?embedding|gemini-embedding|imagen|veo|lyria|aqa|.*-live-|.*native-audio|gemini-live")
_NO_JSON = re.compile(r"-image|-tts")
# model name, smallest and largest thinking budget; -1 leaves it to the model, 0 turns thinking off where that is possible
_BUDGETS = (
    (re.compile(r"gemini-2\.5-pro"), 128, 32_768),
    (re.compile(r"gemini-2\.5-flash-lite"), 512, 24_576),
    (re.compile(r"gemini-2\.5-flash"), 1, 24_576),
)
_HARMS = "HARASSMENT HATE_SPEECH SEXUALLY_EXPLICIT DANGEROUS_CONTENT CIVIC_INTEGRITY"
_THRESHOLDS = "HARM_BLOCK_THRESHOLD_UNSPECIFIED BLOCK_LOW_AND_ABOVE BLOCK_MEDIUM_AND_ABOVE BLOCK_ONLY_HIGH BLOCK_NONE OFF"


def generates(model: str) -> bool:
    """Whether a model of this name supports generateContent."""
    return bool(model) and not _NOT_TEXT.match(model)


def methods(model: str) -> list[str]:
    """The methods that the listing names for a model."""
    if generates(model):
        return ["generateContent", "countTokens"]
    return ["embedContent"] if "embedding" in model else ["predict"] if "imagen" in model else ["bidiGenerateContent"]


def thinks(model: str, settings: Mapping[str, Any]) -> bool:
    """Whether the model thinks (and bills it) before the answer."""
    if not re.match(r"gemini-(2\.5|[3-9]|flash|pro)", model) or "image" in model or "tts" in model:
        return False
    return settings.get("thinking_budget") != 0 and ("lite" not in model or bool(settings))


def read_request(payload: Mapping[str, Any], model: str, refuse: Refuse) -> dict[str, Any]:
    """The request with names in snake_case; checks its generation config and safety settings."""
    request = read_message(payload, REQUEST_NAMES, "", refuse)
    config = request["generation_config"] = read_message(
        request.get("generation_config") or {}, _CONFIG, "generation_config", refuse
    )
    if config.get("thinking_config") is not None:
        allowed = "thinking_budget thinking_level include_thoughts"
        config["thinking_config"] = read_message(config["thinking_config"], allowed, "generation_config.thinking_config", refuse)
        _check_thinking(config["thinking_config"], model, refuse)
    read_number(config, "temperature", 0, 2, refuse)
    read_number(config, "top_p", 0, 1, refuse)
    for name in ("presence_penalty", "frequency_penalty"):
        read_number(config, name, -2, 2, refuse)
    _check_safety(request.get("safety_settings"), refuse)
    for name in ("top_k", "max_output_tokens", "seed", "candidate_count"):
        read_whole(config, name, refuse)
    limits, wanted = model_limits("gemini", model), config.get("max_output_tokens")
    if wanted is not None and (wanted < 1 or (limits and wanted > limits.output)):
        refuse(
            f"Unable to submit request because it has a maxOutputTokens value of {wanted} but the supported range is "
            f"from 1 (inclusive) to {limits.output + 1 if limits else 2**31} (exclusive)."
        )
    if (config.get("top_k") or 0) < 0:
        refuse("* GenerateContentRequest.generation_config.top_k: top_k must be positive.\n")
    if config.get("candidate_count") not in (None, 1):
        refuse("Multiple candidates is not enabled for this model")
    stops = config.get("stop_sequences")
    if stops is not None and (not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops)):
        refuse("Invalid value at 'generation_config.stop_sequences' (TYPE_STRING)")
    if stops and len(stops) > 5:
        refuse("* GenerateContentRequest.generation_config.stop_sequences: at most 5 stop sequences are allowed")
    return request


def read_format(config: Mapping[str, Any], parsed: ParsedRequest, refuse: Refuse) -> None:
    """Reads the output format: whether the text must be JSON, and its schema."""
    mime = config.get("response_mime_type")
    schema, subset = config.get("response_json_schema"), config.get("response_schema")
    if mime == "application/json" and _NO_JSON.search(parsed.model):
        refuse(f"JSON mode is not enabled for models/{parsed.model}")
    if mime not in (None, "", "text/plain", "application/json", "text/x.enum"):
        refuse("* GenerateContentRequest.generation_config.response_mime_type: not an allowed mime type")
    if (schema is not None or subset is not None) and mime not in ("application/json", "text/x.enum"):
        refuse(
            "Function calling or a response schema with response mime type 'text/plain' is unsupported; use 'application/json'"
        )
    if schema is not None and subset is not None:
        refuse("response_json_schema and response_schema cannot both be set")
    if schema is not None and not isinstance(schema, (dict, bool)):
        refuse(f"Invalid value at 'generation_config.response_json_schema' (a JSON Schema), {json.dumps(schema)[:80]}")
    if subset is not None:
        subset = check_schema(subset, "generation_config.response_schema", refuse)
    parsed.schema = schema if schema is not None else subset
    parsed.json_mode = mime == "application/json"


def read_tools(request: Mapping[str, Any], parsed: ParsedRequest, refuse: Refuse) -> None:
    """Reads the functions, and whether the model must call one."""
    declared: list[tuple[str, Any]] = []
    tools = request.get("tools") or []
    for index, entry in enumerate(tools if isinstance(tools, list) else [tools]):
        tool = read_message(entry, _TOOL, f"tools[{index}]", refuse)
        declarations = tool.get("function_declarations") or []
        for position, each in enumerate(declarations if isinstance(declarations, list) else [declarations]):
            location = f"tools[{index}].function_declarations[{position}]"
            function = read_message(each, _FUNCTION, location, refuse)
            if not isinstance(function.get("name"), str) or not re.fullmatch(
                r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}", function["name"]
            ):
                refuse(f"* GenerateContentRequest.{location}.name: Invalid function name.")
            schema = function.get("parameters_json_schema")
            if function.get("parameters") is not None:
                schema = check_schema(function["parameters"], f"{location}.parameters", refuse)
            if function["name"] in dict(declared):
                refuse(f"Duplicate function declaration found: {function['name']}")
            declared.append((function["name"], schema or {"type": "object"}))
    parsed.tools = declared
    config = read_message(request.get("tool_config") or {}, _TOOL_CONFIG, "tool_config", refuse)
    calling = config.get("function_calling_config") or {}
    calling = read_message(
        calling, "mode allowed_function_names stream_function_call_arguments", "tool_config.function_calling_config", refuse
    )
    mode, allowed = calling.get("mode"), calling.get("allowed_function_names")
    if mode not in (None, "MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"):
        refuse(f"Invalid value at 'tool_config.function_calling_config.mode' (Mode), {json.dumps(mode)}")
    if allowed and mode not in ("ANY", "VALIDATED"):
        refuse("Function calling config is set without function calling mode ANY, but allowed_function_names is set.")
    if mode == "ANY":
        if not declared:
            refuse("Function calling mode is ANY but no function_declarations are given.")
        names = allowed if isinstance(allowed, list) and allowed else [name for name, _ in declared]
        parsed.tools = [tool for tool in declared if tool[0] in names]
        parsed.must_call_tool = True
        if not parsed.tools:
            refuse("allowed_function_names holds a name that is not among the function_declarations.")


def _check_thinking(settings: Mapping[str, Any], model: str, refuse: Refuse) -> None:
    level, budget = settings.get("thinking_level"), settings.get("thinking_budget")
    third = re.match(r"gemini-([3-9]|flash-latest|pro-latest)", model)
    if not third and not model.startswith("gemini-2.5") and (level is not None or budget):
        refuse("Thinking is not enabled for this model")
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int)):
        refuse(f"Invalid value at 'generation_config.thinking_config.thinking_budget' (TYPE_INT32), {json.dumps(budget)}")
    if level is not None and not third:
        refuse("Thinking level is not supported for this model.")
    if level is not None and str(level).upper() not in (
        "THINKING_LEVEL_UNSPECIFIED",
        "MINIMAL",
        "LOW",
        "MEDIUM",
        "HIGH",
        "XHIGH",
    ):
        refuse(f"Invalid value at 'generation_config.thinking_config.thinking_level' (ThinkingLevel), {json.dumps(level)}")
    if str(level).upper() == "MINIMAL" and re.match(r"gemini-3-pro|gemini-3\.7-flash", model):
        refuse("Thinking level MINIMAL is not supported for this model.")
    if level is not None and budget is not None:
        refuse("You can only set only one of thinking budget and thinking level.")
    if budget == 0 and model.startswith("gemini-2.5-pro"):
        refuse("Budget 0 is invalid. This model only works in thinking mode.")
    low, high = next(((low, high) for prefix, low, high in _BUDGETS if prefix.match(model)), (1, 2**31))
    if budget not in (None, 0, -1) and not low <= budget <= high:
        refuse(f"The thinking budget {budget} is invalid. Please choose a value between {low} and {high}.")


def _check_safety(settings: Any, refuse: Refuse) -> None:
    """Checks that each category occurs once, with a threshold."""
    if settings is None:
        return
    seen = set[str]()
    for index, entry in enumerate(settings if isinstance(settings, list) else [settings]):
        location = f"safety_settings[{index}]"
        setting = read_message(entry, "category threshold method", location, refuse)
        category, threshold = setting.get("category"), setting.get("threshold")
        if not isinstance(category, str) or category.removeprefix("HARM_CATEGORY_") not in _HARMS.split():
            refuse(f"Invalid value at '{location}.category' (HarmCategory), {json.dumps(category)[:80]}")
        if not isinstance(threshold, str) or threshold not in _THRESHOLDS.split():
            refuse(f"Invalid value at '{location}.threshold' (HarmBlockThreshold), {json.dumps(threshold)[:80]}")
        if category in seen:
            refuse(f"* GenerateContentRequest.safety_settings: element {category} is repeated\n")
        seen.add(category)
