"""What a function's docstring says of it and of its parameters, in the styles of Google, NumPy and Sphinx."""

from __future__ import annotations

import inspect
import re
from typing import Any, NamedTuple

_ARGUMENTS = ("args", "arguments", "parameters", "params")
_OTHERS = ("returns", "return", "raises", "yields", "yield", "example", "examples", "note", "notes", "see also", "references")
_FIELD = re.compile(r":(?:param|parameter|arg|argument)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)")
_OTHER_FIELD = re.compile(r":(?:type|returns?|rtype|raises?|except|yields?)\b[^:]*:")
_GOOGLE = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY = re.compile(r"\*{0,2}(\w+)\s*(?::.*)?")


class Description(NamedTuple):
    """``text``: what stands before the first section; ``parameters``: by name."""

    text: str
    parameters: dict[str, str]


def describe(function: Any) -> Description:
    """What the docstring of a function says; "" and nothing without one."""
    text: list[str] = []
    parameters: dict[str, list[str]] = {}
    section, name = "", ""
    lines = (inspect.getdoc(function) or "").splitlines()
    for number, line in enumerate(lines):
        field, heading = _FIELD.match(line.strip()), _heading(lines, number)
        if field or _OTHER_FIELD.match(line.strip()):
            section, name = "field", field[1] if field else ""
            if field:
                parameters[name] = [field[2]]
        elif heading:
            section, name = heading, ""
        elif not section:
            text.append(line)
        elif section in _ARGUMENTS:
            name = _parameter_line(lines, number, name, parameters)
        elif name and line.strip():
            parameters[name].append(line)
    return Description("\n".join(text).strip(), {each: _joined(parts) for each, parts in parameters.items() if _joined(parts)})


def _heading(lines: list[str], number: int) -> str:
    """The section that a line begins: "Args:", or "Parameters" over a line of dashes; "" if it begins none."""
    line = lines[number]
    word = line.strip().removesuffix(":").lower()
    is_underlined = number + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[number + 1].strip()) is not None
    is_heading = word in (*_ARGUMENTS, *_OTHERS) and not line[:1].isspace() and (line.rstrip().endswith(":") or is_underlined)
    return word if is_heading else ""


def _parameter_line(lines: list[str], number: int, name: str, parameters: dict[str, list[str]]) -> str:
    """Read a line of the section of parameters; return the name of the parameter that it is about."""
    line, content = lines[number], lines[number].strip()
    is_numpy = not line[:1].isspace()
    match = (_NUMPY.fullmatch if is_numpy else _GOOGLE.fullmatch)(content)
    depth = len(line) - len(line.lstrip())
    if match and (is_numpy or not name or depth <= _depth(lines, number, name)):
        parameters[match[1]] = [] if is_numpy else [match[2]]
        return match[1]
    if name and content and not content.startswith("---"):
        parameters[name].append(content)
    return name


def _depth(lines: list[str], number: int, name: str) -> int:
    """How far the line is indented on which the description of ``name`` began."""
    began = next((line for line in reversed(lines[:number]) if re.match(rf"\s*\*{{0,2}}{name}\b", line)), "")
    return len(began) - len(began.lstrip())


def _joined(parts: list[str]) -> str:
    return " ".join(part.strip() for part in parts if part.strip())
