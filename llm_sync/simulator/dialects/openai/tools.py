"""Checks and reads the schemas and functions of OpenAI's two APIs and of OpenRouter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.generated import ParsedRequest
from llm_sync.simulator.dialects.openai import checks
from llm_sync.simulator.dialects.openai.checks import Refuse
from llm_sync.simulator.dialects.openai.schema_checks import check_items, check_schema, check_strict

_MAX_TOOLS = 128
_TOOLS_FIELD = {"tool_choice": "tools", "function_call": "functions"}


def read_schema(inner: Mapping[str, Any], param: str, parsed: ParsedRequest, refuse: Refuse, *, lenient: bool = False) -> None:
    """Reads the schema that the text must match; ``inner`` holds its name, ``schema`` and ``strict``."""
    checks.check_format_name(inner.get("name"), f"{param}.name", refuse)
    parsed.schema = inner.get("schema") or {}
    if not isinstance(parsed.schema, dict):
        refuse(f"Invalid type for '{param}.schema': expected an object.", param=f"{param}.schema", code="invalid_type")
    what = f"response_format '{inner['name']}'"
    if not lenient:
        check_schema(parsed.schema, what, "response_format", "invalid_json_schema", refuse)
    if inner.get("strict") and not lenient:
        if parsed.schema.get("type") != "object":
            refuse(
                f"Invalid schema for {what}: the root has to be of type 'object'.",
                param="response_format",
                code="invalid_json_schema",
            )
        check_strict(parsed.schema, what, "response_format", "invalid_json_schema", refuse)


def read_tools(payload: Mapping[str, Any], parsed: ParsedRequest, refuse: Refuse, *, lenient: bool = False) -> None:
    """Reads the functions, and whether the model must call one. ``lenient`` (OpenRouter): accepts other types of tools."""
    tools, choice = payload.get("tools"), payload.get("tool_choice")
    if tools is None:
        if choice not in (None, "none"):
            refuse("Invalid value for 'tool_choice': it is only allowed when 'tools' are given.", param="tool_choice")
        return
    if not isinstance(tools, list) or not tools:
        refuse("Invalid 'tools': expected an array with minimum length 1.", param="tools", code="empty_array")
    if len(tools) > _MAX_TOOLS:
        refuse(
            f"Invalid 'tools': expected an array with maximum length {_MAX_TOOLS}, but got {len(tools)} instead.",
            param="tools",
            code="array_above_max_length",
        )
    functions = []
    for index, tool in enumerate(tools):
        if isinstance(tool, dict) and (tool.get("type") == "custom" or (lenient and tool.get("type") != "function")):
            continue
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        if not isinstance(function, dict):
            refuse(
                f"Missing required parameter: 'tools[{index}].function'.",
                param=f"tools[{index}].function",
                code="missing_required_parameter",
            )
        functions.append(check_function(function, f"tools[{index}].function", refuse, lenient=lenient))
    parsed.tools = functions
    if isinstance(choice, dict) and choice.get("type") in ("custom", "allowed_tools"):
        return  # tools that the simulator never calls, or a choice left to the model
    named = choice.get("function", {}) if isinstance(choice, dict) else None
    choose_tool(parsed, choice, named.get("name") if isinstance(named, dict) else None, refuse)


def read_functions(payload: Mapping[str, Any], parsed: ParsedRequest, refuse: Refuse) -> None:
    """The same for the former API: ``functions``, and ``function_call``: auto, none or an object with a name."""
    parsed.tools = [
        check_function(function if isinstance(function, dict) else {}, f"functions[{index}]", refuse)
        for index, function in enumerate(payload["functions"])
    ]
    choice = payload.get("function_call")
    if choice == "required":  # valid for tool_choice only
        refuse("Invalid value: 'required'. Supported values are: none, auto.", param="function_call", code="invalid_value")
    choose_tool(parsed, choice, choice.get("name") if isinstance(choice, dict) else None, refuse, "function_call")


def choose_tool(parsed: ParsedRequest, choice: Any, named: Any, refuse: Refuse, param: str = "tool_choice") -> None:
    """Applies a tool choice: auto, none, required or an object that names a function."""
    if choice == "required":
        parsed.must_call_tool = True
    elif isinstance(choice, dict):
        parsed.tools = [tool for tool in parsed.tools if tool[0] == named]
        parsed.must_call_tool = True
        if not parsed.tools:
            refuse(f"Tool choice {named!r} not found in '{_TOOLS_FIELD[param]}' parameter.", param=param)
    elif choice not in (None, "auto", "none"):
        refuse(f"Invalid value: {choice!r}. Supported values are: none, auto, required.", param=param, code="invalid_value")


def check_function(function: Mapping[str, Any], param: str, refuse: Refuse, *, lenient: bool = False) -> tuple[str, Any]:
    """Checks a function; returns its name and the schema of its arguments. ``lenient``: does not check the schema."""
    name, schema = function.get("name"), function.get("parameters")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        refuse(
            f"Invalid '{param}.name': expected at most 64 letters, digits, '_' or '-'.",
            param=f"{param}.name",
            code="invalid_value",
        )
    if schema is not None and (not isinstance(schema, dict) or schema.get("type", "object") != "object"):
        refuse(
            f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"'.",
            param=f"{param}.parameters",
            code="invalid_function_parameters",
        )
    if not lenient:
        named = f"function '{name}'", f"{param}.parameters", "invalid_function_parameters"
        check_schema(schema, *named, refuse)
        check_items(schema, *named, refuse)
        if function.get("strict"):
            check_strict(schema or {"type": "object"}, *named, refuse)
    return name, schema or {"type": "object", "properties": {}}
