"""A function that a model may call: its definition for the model, and its arguments read from what the model writes."""

from __future__ import annotations

import copy
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from llm_sync.client.tools import given_schema
from llm_sync.client.tools.annotations import Definitions, UnsupportedType, form_of, hints_of
from llm_sync.client.tools.docstrings import describe
from llm_sync.client.tools.forms import Form, read_fields
from llm_sync.client.tools.misfits import Misfit
from llm_sync.errors import InvalidRequestError
from llm_sync.models import field_checks

AS_GIVEN = -1.0  # a time limit that the run sets

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")  # what every API takes
_SEVERAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Tool:
    """A function with what the model gets to know of it. Immutable; any thread may use it.

    Without ``parameters`` (a JSON Schema) these come from the signature: annotations, defaults and the docstring, in which the
    styles of Google, NumPy and Sphinx are read. The function then gets what its annotations say: an Enum, a dataclass, a
    datetime …; with ``parameters`` it gets JSON's types. ``name`` and ``description`` are the function's own by default.
    ``timeout``: seconds until a call is given up, None: no limit; by default what ``run_tools`` has as ``tool_timeout``.

    Raises InvalidRequestError for a function whose parameters cannot be described, TypeError for what is no function.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | None = AS_GIVEN,
    ) -> None:
        if not callable(function):
            raise TypeError(f"a tool is a function, not {type(function).__name__}")
        self.function = function
        self.name = str(name or getattr(_unwrapped(function), "__name__", type(function).__name__))
        self.timeout = timeout
        self._check(name)
        docs = describe(_documented(function))
        self.description = docs.text if description is None else description
        self._given = (
            None if parameters is None else field_checks.plain("parameters", field_checks.mapping("parameters", parameters))
        )
        self._forms: dict[str, Form] = {}
        self._required: list[str] = []
        self._takes_more = False
        definitions: Definitions = {}
        if self._given is None:
            self._read_signature(definitions)
        self.parameters: dict[str, Any] = self._schema(docs.parameters, definitions) if self._given is None else self._given

    @property
    def definition(self) -> dict[str, Any]:
        """The tool as ``ModelRequest.tools`` takes it."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}

    def renamed(self, name: str) -> Tool:
        """The same tool under another name."""
        other = copy.copy(self)
        other.name = name
        other._check(name)  # noqa: SLF001  (same class)
        return other

    def bind(self, arguments: Mapping[str, Any]) -> Callable[[], Any]:
        """The call of the function with arguments that a model wrote. Raises Misfit where they do not fit."""
        if self._given is not None:
            given_schema.check(dict(arguments), self._given)
            values = dict(arguments)
        else:
            known = {name: value for name, value in arguments.items() if not self._takes_more or name in self._forms}
            values = read_fields(known, "", self._forms, self._required)
            values |= {name: value for name, value in arguments.items() if name not in known}
        return self._call_with(values)

    def _call_with(self, values: dict[str, Any]) -> Callable[[], Any]:
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):  # some functions written in C have none
            return partial(self.function, **values)
        only_by_position = [each.name for each in signature.parameters.values() if each.kind is each.POSITIONAL_ONLY]
        positional = []
        for name in only_by_position:
            if name not in values:
                break
            positional.append(values.pop(name))
        call = partial(self.function, *positional, **values)
        try:
            signature.bind(*positional, **values)
        except TypeError as error:
            raise Misfit("", f"the arguments do not fit: {error}") from None
        return call

    def _check(self, name: str | None) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidRequestError(
                f"{self.name!r} is no name for a tool" if name is None or name.strip() else "a tool's name is empty",
                guidance="Give one of letters, digits, _ and -, at most 64: tools={'name': function}.",
            )
        if inspect.iscoroutinefunction(_unwrapped(self.function)) or inspect.isasyncgenfunction(_unwrapped(self.function)):
            raise InvalidRequestError(f"the tool {self.name!r} is an async function", guidance="Give one that blocks.")
        if self.timeout is not None and self.timeout != AS_GIVEN:
            field_checks.check_number("timeout", self.timeout, 0, float("inf"))

    def _read_signature(self, definitions: Definitions) -> None:
        try:
            signature = inspect.signature(self.function)
            hints = hints_of(_documented(self.function))
        except (TypeError, ValueError) as error:
            raise self._undescribed(f"its signature is not known ({error})") from None
        except UnsupportedType as error:
            raise self._undescribed(str(error)) from None
        fixed = _fixed(self.function)
        for parameter in signature.parameters.values():
            if parameter.name in fixed:
                continue
            if parameter.kind in _SEVERAL:
                self._takes_more = self._takes_more or parameter.kind is parameter.VAR_KEYWORD
                continue
            try:
                form = form_of(hints.get(parameter.name, Any), definitions)
            except (UnsupportedType, RecursionError) as error:
                raise self._undescribed(f"its parameter {parameter.name!r} is {error}") from None
            self._forms[parameter.name] = form
            if parameter.default is parameter.empty:
                self._required.append(parameter.name)
            else:
                self._forms[parameter.name] = Form({**form.schema, **_default(parameter.default)}, form.read)

    def _undescribed(self, reason: str) -> InvalidRequestError:
        return InvalidRequestError(
            f"the tool {self.name!r} cannot be described to a model: {reason}",
            guidance="Give its JSON Schema: Tool(function, parameters={…}).",
        )

    def _schema(self, texts: Mapping[str, str], definitions: Definitions) -> dict[str, Any]:
        properties = {}
        for name, form in self._forms.items():
            properties[name] = {**({"description": texts[name]} if name in texts else {}), **form.schema}
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if self._required:
            schema["required"] = list(self._required)
        schema["additionalProperties"] = self._takes_more
        if definitions:
            schema["$defs"] = definitions
        return schema


Tools = Mapping[str, "Callable[..., Any] | Tool"] | Sequence["Callable[..., Any] | Tool"]
"""Functions by the names that the model has for them, or a list of functions with names of their own."""


def read_tools(tools: Any, definitions: Iterable[Mapping[str, Any]]) -> dict[str, Tool]:
    """The tools by name. ``definitions``: those of the request, whose schemas and descriptions count.

    Raises InvalidRequestError for a definition without a function, for two tools of one name, and what Tool raises.
    """
    found: dict[str, Tool] = {}
    given = {name: definition for definition in definitions if (name := _defined_name(definition)) is not None}
    named = tools.items() if isinstance(tools, Mapping) else [(None, each) for each in field_checks.listed("tools", tools)]
    for name, each in named:
        tool = _read_tool(name, each, given)
        if tool.name in found:
            raise InvalidRequestError(f"two tools have the name {tool.name!r}", guidance="Give each its own name.")
        found[tool.name] = tool
    orphan = next((name for name in given if name not in found), None)
    if orphan is not None:
        raise InvalidRequestError(
            f"the request has a tool {orphan!r}, which has no function", guidance=f"Add it: tools={{{orphan!r}: function}}."
        )
    return found


def _read_tool(name: str | None, given: Any, definitions: Mapping[str, Mapping[str, Any]]) -> Tool:
    if name is not None and not isinstance(name, str):
        raise InvalidRequestError(f"the name of a tool is {name!r}", guidance="Names are strings.")
    own = given if isinstance(given, Tool) else None
    function = given if own is None else own.function
    label = name if name is not None else own.name if own is not None else getattr(_unwrapped(function), "__name__", None)
    timeout = AS_GIVEN if own is None else own.timeout
    definition = definitions.get(label or "")
    if definition is not None:
        inner = definition.get("function", definition)
        schema = inner.get("parameters", inner.get("input_schema")) or {"type": "object", "properties": {}}
        return Tool(function, name=label, description=inner.get("description"), parameters=schema, timeout=timeout)
    if own is None:
        return Tool(function, name=label)
    return own if own.name == label else own.renamed(str(label))


def _defined_name(definition: Mapping[str, Any]) -> str | None:
    """The name of a function that a request defines; None for the provider's own tools."""
    inner = definition.get("function", definition)
    if definition.get("type", "function") not in ("function", "custom") or not isinstance(inner, Mapping):
        return None
    name = inner.get("name")
    return name if isinstance(name, str) else None


def _default(value: Any) -> dict[str, Any]:
    """A default as the schema shows it, where JSON has it."""
    is_shown = value is None or type(value) in (str, int, bool) or (type(value) is float and math.isfinite(value))
    return {"default": value} if is_shown else {}


def _unwrapped(function: Any) -> Any:
    """The function within partial objects."""
    while isinstance(function, partial):
        function = function.func
    return function


def _fixed(function: Any) -> set[str]:
    """The parameters that partial objects have set by name: they are not the model's to see or to choose."""
    names: set[str] = set()
    while isinstance(function, partial):
        names |= function.keywords.keys()
        function = function.func
    return names


def _documented(function: Any) -> Any:
    """What has the docstring and the annotations of a callable."""
    inner = inspect.unwrap(_unwrapped(function))
    if inspect.isclass(inner):
        return inner.__init__
    return inner if inspect.isroutine(inner) else type(inner).__call__
