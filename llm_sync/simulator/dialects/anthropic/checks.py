"""Checks of a Messages request beside its messages: unknown keys, numbers, tools, thinking, schemas."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from llm_sync.simulator.answers.generated import ParsedRequest
from llm_sync.simulator.dialects.anthropic.messages import NEWEST, Refuse, check_cache_control
from llm_sync.simulator.dialects.json_schemas import iter_schemas, schema_error, types_of
from llm_sync.simulator.dialects.model_catalogue import model_limits

_KEY_NAMES = """
    cache_control container context_management diagnostics inference_geo max_tokens mcp_servers messages metadata model
    output_config service_tier speed stop_sequences stream system temperature thinking tool_choice tools top_k top_p
    user_profile_id workspace_id
    """
_KEYS = frozenset(_KEY_NAMES.split())
_TEMPERATURE_OR_TOP_P = re.compile(r"claude-(opus-4-[156]|sonnet-4-[56]|haiku-4-5)")
_ADAPTIVE = re.compile(r"claude-(opus-(4-[678]|5)|sonnet-(4-6|5)|fable-5|mythos-5)")
_TOOL_KEY_NAMES = """
    name description input_schema type cache_control strict defer_loading allowed_callers eager_input_streaming
    input_examples
    """
_TOOL_KEYS = frozenset(_TOOL_KEY_NAMES.split())
_CANNOT_FORCE_TOOLS = re.compile(r"claude-(fable|mythos)-5")
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
# model name and the efforts that it supports; the first match wins
_EFFORTS_OF = (
    (re.compile(r"claude-opus-4-5"), ("high", "low", "medium")),
    (re.compile(r"claude-(opus|sonnet)-4-6"), ("high", "low", "max", "medium")),
    (re.compile(r"claude-(opus-(4-[78]|5)|sonnet-5|fable-5|mythos-5)"), ("high", "low", "max", "medium", "xhigh")),
)
_NO_THINKING = re.compile(r"claude-3(-5)?-(opus|sonnet|haiku)|claude-2|claude-instant")
_NO_OUTPUT_FORMAT = re.compile(r"claude-3|claude-(opus|sonnet)-4-0|claude-(opus|sonnet)-4-2025|claude-2|claude-instant")
_CHOICE_KEYS = {
    "auto": {"type", "disable_parallel_tool_use"},
    "any": {"type", "disable_parallel_tool_use"},
    "tool": {"type", "name", "disable_parallel_tool_use"},
    "none": {"type"},
}
_THINKING_KEYS = {"enabled": {"type", "budget_tokens", "display"}, "adaptive": {"type", "display"}, "disabled": {"type"}}
_MIN_THINKING_TOP_P = 0.95  # with thinking
_NOT_IN_SCHEMAS = {
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength"),
    "array": ("maxItems", "uniqueItems"),
}


def check_keys(payload: Mapping[str, Any], betas: str, refuse: Refuse) -> None:
    """Required keys are present, and there is no unknown key: Anthropic refuses them."""
    for key in ("model", "max_tokens", "messages"):
        if key not in payload:
            refuse(f"{key}: Field required")
    for key in payload:
        if key not in _KEYS and not (key == "output_format" and "structured-outputs" in betas):
            refuse(f"{key}: Extra inputs are not permitted")
    if not isinstance(payload["model"], str) or not payload["model"]:
        refuse("model: Input should be a valid string")
    metadata = payload.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        refuse("metadata: Input should be a valid dictionary")
    for key in metadata or ():
        if key != "user_id":
            refuse(f"metadata.{key}: Extra inputs are not permitted")
    if metadata and not isinstance(metadata.get("user_id", ""), (str, type(None))):
        refuse("metadata.user_id: Input should be a valid string")
    if payload.get("service_tier") not in (None, "auto", "standard_only"):
        refuse("service_tier: Input should be 'auto' or 'standard_only'")
    check_cache_control(payload, "body", refuse)


def check_numbers(payload: Mapping[str, Any], model: str, refuse: Refuse) -> None:
    """Types and ranges, and sampling parameters that a model no longer supports."""
    wanted = payload["max_tokens"]
    if isinstance(wanted, bool) or not isinstance(wanted, int):
        refuse("max_tokens: Input should be a valid integer")
    if wanted < 0:
        refuse("max_tokens: Input should be greater than or equal to 0")
    limits = model_limits("anthropic", model)
    if limits and wanted > limits.output:
        refuse(f"max_tokens: {wanted} > {limits.output}, which is the maximum allowed number of output tokens for {model}")
    for name in ("temperature", "top_p"):
        value = payload.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            refuse(f"{name}: Input should be a valid number")
        if not 0 <= value <= 1:
            refuse(f"{name}: Input should be {'greater than or equal to 0' if value < 0 else 'less than or equal to 1'}")
    top_k = payload.get("top_k")
    if top_k is not None and (isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 0):
        refuse("top_k: Input should be a valid integer, 0 or more")
    sampling = [name for name in ("temperature", "top_p", "top_k") if payload.get(name) is not None]
    if sampling and NEWEST.match(model):
        refuse(f"`{sampling[0]}` is deprecated for this model.")
    if {"temperature", "top_p"} <= set(sampling) and _TEMPERATURE_OR_TOP_P.match(model):
        refuse("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    stops = payload.get("stop_sequences")
    if stops is not None and (not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops)):
        refuse("stop_sequences: Input should be a valid list of strings")
    if any(not stop.strip() for stop in stops or ()):
        refuse("stop_sequences: each stop sequence must contain non-whitespace")


def read_tools(payload: Mapping[str, Any], parsed: ParsedRequest, refuse: Refuse) -> None:
    """Reads the tools, and whether the model must call one."""
    tools, choice = payload.get("tools"), payload.get("tool_choice")
    if not tools:
        if tools not in (None, []):
            refuse("tools: Input should be a valid list")
        if choice is not None:
            refuse("tool_choice may only be specified while providing tools.")
        return
    if not isinstance(tools, list):
        refuse("tools: Input should be a valid list")
    declared = [entry for index, tool in enumerate(tools) for entry in _read_tool(tool, f"tools.{index}", refuse)]
    names = [name for name, _ in declared]
    if len(set(names)) < len(names):
        refuse("tools: Tool names must be unique.")
    parsed.tools = declared
    if choice is None:
        return
    kind = choice.get("type") if isinstance(choice, dict) else None
    if not isinstance(kind, str) or kind not in _CHOICE_KEYS:
        refuse("tool_choice: Input should be an object with a type of 'auto', 'any', 'tool' or 'none'")
    _check_known_keys(choice, _CHOICE_KEYS[kind], f"tool_choice.{kind}", refuse)
    if kind == "tool":
        parsed.tools = [tool for tool in declared if tool[0] == choice.get("name")]
        if not parsed.tools:
            refuse(f"Tool {choice.get('name')!r} not found in provided tools")
    parsed.must_call_tool = kind in ("any", "tool")
    if parsed.must_call_tool and _CANNOT_FORCE_TOOLS.match(parsed.model):
        refuse("tool_choice: forcing tool use is not supported by this model.")


def _read_tool(tool: Any, location: str, refuse: Refuse) -> list[tuple[str, Any]]:
    """A tool of the caller, in a list; an empty list for a tool that the provider runs."""
    if not isinstance(tool, dict):
        refuse(f"{location}: Input should be a valid dictionary")
    kind = tool.get("type", "custom")
    if kind != "custom":
        if not isinstance(kind, str) or not re.search(r"_\d{8}$|mcp_toolset", kind):
            refuse(f"{location}: Input tag {kind!r} found using 'type' does not match any of the expected tags")
        return []
    _check_known_keys(tool, _TOOL_KEYS, f"{location}.custom", refuse)
    check_cache_control(tool, f"{location}.custom", refuse)
    if not isinstance(tool.get("name"), str) or not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", tool["name"]):
        refuse(f"{location}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
    schema = tool.get("input_schema")
    if not isinstance(schema, dict):
        refuse(f"{location}.custom.input_schema: Field required")
    if schema.get("type") != "object":
        refuse(f"{location}.custom.input_schema.type: Input should be 'object'")
    if any(schema_error(subschema) for _, subschema in iter_schemas(schema)):
        refuse(
            f"{location}.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12 "
            "(https://json-schema.org/draft/2020-12)."
        )
    return [(tool["name"], schema)]


def read_thinking(payload: Mapping[str, Any], parsed: ParsedRequest, refuse: Refuse) -> None:
    """Checks ``thinking``; sets ``parsed.reasoning_tokens`` to 1 if it is enabled."""
    thinking = payload.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if not isinstance(kind, str) or kind not in _THINKING_KEYS:
        refuse("thinking: Input should be an object with a type of 'enabled', 'disabled' or 'adaptive'")
    _check_known_keys(thinking, _THINKING_KEYS[kind], f"thinking.{kind}", refuse)
    if kind == "disabled":
        return
    if thinking.get("display") not in (None, "summarized", "omitted"):
        refuse(f"thinking.{kind}.display: Input should be 'summarized' or 'omitted'")
    if _NO_THINKING.match(parsed.model):
        refuse("thinking is not supported on this model")
    if kind == "enabled":
        _check_budget(thinking, payload, parsed.model, refuse)
    elif not _ADAPTIVE.match(parsed.model):
        refuse("adaptive thinking is not supported on this model")
    if payload.get("temperature") not in (None, 1):
        refuse("`temperature` may only be set to 1 when thinking is enabled.")
    if payload.get("top_k") is not None:
        refuse("`top_k` must be unset when thinking is enabled.")
    if payload.get("top_p") is not None and payload["top_p"] < _MIN_THINKING_TOP_P:
        refuse(f"`top_p` must be greater than or equal to {_MIN_THINKING_TOP_P} or unset when thinking is enabled.")
    if parsed.must_call_tool:
        refuse("Thinking may not be enabled when tool_choice forces tool use.")
    parsed.reasoning_tokens = 1


def _check_budget(thinking: Mapping[str, Any], payload: Mapping[str, Any], model: str, refuse: Refuse) -> None:
    if NEWEST.match(model):
        refuse('"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive".')
    budget = thinking.get("budget_tokens")
    if isinstance(budget, bool) or not isinstance(budget, int):
        refuse("thinking.enabled.budget_tokens: Field required")
    if budget < 1024:
        refuse("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if budget >= payload["max_tokens"]:
        refuse("`max_tokens` must be greater than `thinking.budget_tokens`.")
    last = next(
        (location for location, turn in reversed(list(enumerate(payload["messages"]))) if turn["role"] == "assistant"), None
    )
    blocks = payload["messages"][last]["content"] if last is not None else None
    if not isinstance(blocks, list) or not any(block["type"] == "tool_use" for block in blocks):
        return
    if blocks[0]["type"] not in (
        "thinking",
        "redacted_thinking",
    ):  # tool calls are sent back together with the thinking before them
        refuse(
            f"messages.{last}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{blocks[0]['type']}`. When "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block."
        )


def read_output(payload: Mapping[str, Any], parsed: ParsedRequest, refuse: Refuse) -> None:
    """Checks the effort; reads the schema that the text has to match."""
    config = payload.get("output_config") or {}
    if not isinstance(config, dict):
        refuse("output_config: Input should be a valid dictionary")
    for key in config:
        if key not in ("effort", "format", "task_budget"):
            refuse(f"output_config.{key}: Extra inputs are not permitted")
    _check_effort(config.get("effort"), parsed.model, refuse)
    location = "output_config.format" if config.get("format") is not None else "output_format"
    wanted = config.get("format") or payload.get("output_format")
    if wanted is None:
        return
    schema = wanted.get("schema") if isinstance(wanted, dict) and wanted.get("type") == "json_schema" else None
    if not isinstance(schema, dict):
        refuse(f"{location}: Input should have a type of 'json_schema' and a schema")
    if _NO_OUTPUT_FORMAT.match(parsed.model) and location == "output_config.format":
        refuse(f"'{parsed.model}' does not support output format.")
    _check_schema(schema, f"{location}.schema", refuse)
    parsed.schema = schema


def _check_effort(effort: object, model: str, refuse: Refuse) -> None:
    if effort is None:
        return
    if effort not in _EFFORTS:
        refuse(f"output_config.effort: Input should be {', '.join(repr(known) for known in _EFFORTS)}")
    supported = next((efforts for prefix, efforts in _EFFORTS_OF if prefix.match(model)), ())
    if model.startswith("claude-") and not supported:
        refuse("This model does not support the effort parameter.")
    if supported and effort not in supported:
        refuse(f"This model does not support effort level '{effort}'. Supported levels: {', '.join(supported)}.")


def _check_known_keys(mapping: Mapping[str, Any], known: Collection[str], location: str, refuse: Refuse) -> None:
    for key in mapping:
        if key not in known:
            refuse(f"{location}.{key}: Extra inputs are not permitted")


def has_cache_control(payload: Mapping[str, Any]) -> bool:
    """Whether any part of the prompt has a cache_control."""
    blocks = [payload, *(payload.get("tools") or ())]
    for content in (payload.get("system"), *(message.get("content") for message in payload.get("messages") or ())):
        blocks += content if isinstance(content, list) else []
    return any(isinstance(block, dict) and block.get("cache_control") for block in blocks)


def _check_schema(schema: Any, location: str, refuse: Refuse) -> None:
    """The schema of a structured output: valid, closed objects, and no unsupported keywords."""
    for _, subschema in iter_schemas(schema):
        if schema_error(subschema):
            refuse(f"{location}: Invalid schema: {schema_error(subschema)}")
        for keyword in ("oneOf", "not"):
            if keyword in subschema:
                refuse(f"{location}: Schema type '{keyword}' is not supported")
        for kind in types_of(subschema):
            for keyword in _NOT_IN_SCHEMAS.get(kind, ()):
                if keyword in subschema:
                    refuse(f"{location}: For '{kind}' type, property '{keyword}' is not supported")
        if subschema.get("minItems", 0) not in (0, 1):
            refuse(f"{location}: For 'array' type, 'minItems' values other than 0 or 1 are not supported")
        if "object" in types_of(subschema) and subschema.get("additionalProperties") is not False:
            refuse(f"{location}: For 'object' type, 'additionalProperties' must be explicitly set to false")
