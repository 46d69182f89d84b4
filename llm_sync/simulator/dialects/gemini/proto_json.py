"""JSON as Google's front end reads it into messages: lowerCamel or snake_case, every name known, every number of its type."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

Refuse = Callable[..., NoReturn]  # refuse(message, status=400, details=None)

_SCHEMA = """
    type format title description nullable enum max_items min_items properties required min_properties max_properties min_length
    max_length pattern example any_of property_ordering default items minimum maximum
    """
_TYPES = ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL", "TYPE_UNSPECIFIED")
_HUMP = re.compile(r"(?<=[a-z0-9])[A-Z]")


def check_schema(schema: Any, place: str, refuse: Refuse) -> dict[str, Any]:
    """The OpenAPI subset, names in lowerCamel: anything else of JSON Schema is an unknown name to Gemini."""
    found = message(schema, _SCHEMA, place, refuse)
    kind = found.get("type")
    if kind is not None and (not isinstance(kind, str) or kind.upper() not in _TYPES):
        refuse(f"Invalid value at '{place}.type' (Type), {json.dumps(kind)}")
    out = {_HUMPED.get(key, key): value for key, value in found.items()}
    if isinstance(out.get("properties"), dict):
        out["properties"] = {
            name: check_schema(entry, f"{place}.properties[{index}].value", refuse)
            for index, (name, entry) in enumerate(out["properties"].items())
        }
    elif out.get("properties") is not None:
        refuse(f"Invalid value at '{place}.properties' (a map), {json.dumps(out['properties'])[:80]}")
    if str(kind).upper() == "ARRAY" and out.get("items") is None:
        refuse(f"* GenerateContentRequest.{place}.items: missing field.\n")
    if out.get("items") is not None:
        out["items"] = check_schema(out["items"], f"{place}.items", refuse)
    if isinstance(out.get("anyOf"), list):
        out["anyOf"] = [check_schema(entry, f"{place}.any_of[{index}]", refuse) for index, entry in enumerate(out["anyOf"])]
    return out


def message(value: Any, allowed: str, place: str, refuse: Refuse) -> dict[str, Any]:
    """The fields of one message, by their names in snake_case; ``allowed`` are all it has."""
    if not isinstance(value, dict):
        refuse(f"Invalid value at '{place}' (a message), {json.dumps(value)[:80]}")
    known, out = allowed.split(), dict[str, Any]()
    for key, entry in value.items():
        name = _HUMP.sub(lambda hump: "_" + hump[0].lower(), key)
        if name not in known:
            where = f" at '{place}'" if place else ""
            said = f'Invalid JSON payload received. Unknown name "{key}"{where}: Cannot find field.'
            violation = {"field": place, "description": said} if place else {"description": said}
            refuse(said, details=[{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}])
        if name in out:
            refuse(f"Invalid JSON payload received. The field {name} is set twice, as {key} and in its other spelling.")
        out[name] = entry
    return out


def read_number(config: dict[str, Any], name: str, low: float, high: float, refuse: Refuse) -> None:
    """A number of the generation config between two bounds, or absent; proto JSON takes it as a text too."""
    value = config.get(name)
    if value is None:
        return
    try:
        found = math.nan if isinstance(value, bool) or not isinstance(value, (int, float, str)) else float(value)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        refuse(f"Invalid value at 'generation_config.{name}' (TYPE_FLOAT), {json.dumps(value)[:80]}")
    if not low <= found <= high:
        refuse(f"* GenerateContentRequest.generation_config.{name}: {name} must be in the range [{low:.1f}, {high:.1f}].\n")
    config[name] = found


def read_whole(config: dict[str, Any], name: str, refuse: Refuse) -> None:
    """A whole number of 32 bits of the generation config, or absent; 5.0 and "5" are such to proto JSON."""
    value = config.get(name)
    if value is None:
        return
    written = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,10}", value)
    found = int(value) if written or (isinstance(value, float) and value.is_integer()) else value
    if isinstance(found, bool) or not isinstance(found, int) or not -(2**31) <= found < 2**31:
        refuse(f"Invalid value at 'generation_config.{name}' (TYPE_INT32), {json.dumps(value)[:80]}")
    config[name] = found


_HUMPED = {name: re.sub(r"_(\w)", lambda found: found[1].upper(), name) for name in _SCHEMA.split()}
