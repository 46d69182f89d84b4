"""What docstrings owe their readers: units of what is measured, the errors that are raised, what threads may do.

Read from the source, so that a name, a parameter or a ``raise`` that is added later is held to the same.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import llm_sync
from llm_sync import errors, providers, simulator
from llm_sync.errors import LLMConnectorError

ROOMS = (llm_sync, simulator, providers)
# What a parameter or field measures, by its name, and the words that say so.
UNITS = {
    r"timeout|deadline|wait_timeout|grace|retry_\w+|max_retry_after|elapsed|latency|\w*_s": r"\bseconds\b|\d s\b",
    r"latency_\w*ms": r"milliseconds",
    r"\w*_tokens|max_tokens": r"tokens",
    r"cost_estimate|pricing": r"USD|US dollars",
    r"max_body|max_response_bytes": r"bytes",
    r"requests_per_minute": r"60 s|per minute|a minute",
    r"\w*_until|timestamp": r"UTC",
}
# Public callables that raise nothing of their own for anything a caller may hand them.
QUIET = {
    "LLMClient.add_listener",
    "LLMClient.close",
    "LLMClient.status",
    "ModelResponse.to_dict",
    "ToolCall.to_dict",
    "Adjustment.without_text",
    "HTTPClient.close",
    "HTTPClient.multiplexed",
    "HTTPClient.reset_after_fork",
    "ProviderConfig.entry",
    "ConfigLoader.list_available_configs",
    "ConfigLoader.search_path",
    "LLMConfig.listing",
    "RequestRecord.to_json",
    "ConfigValidator.validate_config",
    "ConfigValidator.validate_environment_variables",
    "ProviderFactory.types",
    "ProviderFactory.types_for",
    "close",
    "Simulator.stop",
    "Simulator.summary",
    "Simulator.hold",
    "Hold.close",
    "Hold.pause",
    "Response.content",
    "Adjustments.note",
    "ApiError.has",
    "LLMProvider.reset_after_fork",
    "Dialect.normalize_extras",
    "Dialect.accepted_ids",
    "Dialect.refuses_key",
    "Dialect.structured_form",
    "Dialect.cache_mark",
    "Dialect.path_for",
    "Dialect.is_at",
    "Dialect.read_answer",
    "Dialect.read_usage",
    "Dialect.cost_in",
    "Dialect.read_listing",
    "Dialect.unwrap",
    "Dialect.error_in",
    "Dialect.schema_for",
    "Dialect.listing_schema_for",
    "Dialect.classify",
    "Dialect.other_content",
    "Dialect.partial_text",
    "Dialect.request_id",
    "error_class",
    "count",
    "tool_call",
}


class Named(NamedTuple):
    """A public class or function: what it is called, itself, the class it belongs to, the room it is public in."""

    name: str
    found: Any
    owner: type | None
    room: str

    @property
    def text(self) -> str:
        """Its docstring, its class's, and the docstring it refers to with "as for ``other``" or "as LLMClient.other"."""
        own = inspect.getdoc(self.found) or ""
        texts = [own, inspect.getdoc(self.owner) or "" if self.owner else ""]
        for owner, other in re.findall(r"\b[Aa]s (?:for )?(?:``)?(?:(\w+)\.)?(\w+)", own):
            referred = getattr(llm_sync, owner, None) if owner else self.owner
            texts.append(inspect.getdoc(getattr(referred, other, None)) or "" if referred else "")
        return "\n".join(texts)


def _public() -> Iterator[Named]:
    seen: set[int] = set()
    for room in ROOMS:
        for name in room.__all__:
            found = getattr(room, name)
            if id(found) in seen or name == "__version__" or not callable(found):
                continue
            seen.add(id(found))
            yield Named(name, found, None, room.__name__)
            if inspect.isclass(found) and not issubclass(found, Exception):
                for member, value in vars(found).items():
                    own = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
                    if not member.startswith("_") and (inspect.isfunction(own) or isinstance(own, property)):
                        yield Named(f"{name}.{member}", own, found, room.__name__)


PUBLIC = list(_public())
CALLABLE = [each for each in PUBLIC if inspect.isfunction(each.found)]


def test_everything_public_has_a_docstring() -> None:
    """One that is its own, not a base class's, nor the one that dataclasses make up."""
    for named in PUBLIC:
        text = named.found.__doc__
        assert text, named.name
        assert not text.startswith(f"{named.name}(")
        assert text.strip()[-1] in ".:`" or text.strip().endswith((").", '."', "…")), named.name


def _measured(named: Named) -> Iterator[tuple[str, str]]:
    """What it takes or holds that has a unit: its name, and the words of the unit."""
    if inspect.isclass(named.found) and dataclasses.is_dataclass(named.found):
        names = [field.name for field in dataclasses.fields(named.found)]
    elif inspect.isclass(named.found) and issubclass(named.found, Exception):
        names = list(inspect.get_annotations(named.found))
    else:
        try:
            names = list(inspect.signature(named.found).parameters)
        except (TypeError, ValueError):
            names = [named.name.partition(".")[2]]
    for name in names:
        for pattern, unit in UNITS.items():
            if re.fullmatch(pattern, name):
                yield name, unit
                break


def test_what_is_measured_has_a_unit() -> None:
    """The docstring names it, and says in what it is measured, not far from there."""
    for named, (measured, unit) in [(each, pair) for each in PUBLIC for pair in _measured(each)]:
        text = _error_text(named) if inspect.isclass(named.found) and issubclass(named.found, Exception) else named.text
        places = [found.start() for found in re.finditer(rf"``[^`]*\b{measured}\b[^`]*``", text)]
        assert places, f"{named.name} says nothing about {measured}"
        assert any(re.search(unit, text[max(0, at - 100) : at + 260]) for at in places), f"{named.name}: {measured}"


def _error_text(named: Named) -> str:
    """An error's docstring; what all errors carry is told once, at the top of their module."""
    return f"{inspect.getdoc(named.found)}\n{errors.__doc__}"


def _raised(function: Callable[..., Any]) -> Iterator[str]:
    """The exceptions a function raises itself, by name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            name = node.exc.func.id
            if not name.islower():  # a class, and not a function that makes the error
                yield name


def test_what_a_function_raises_is_named() -> None:
    """Every exception raised in it; and where calls in it may raise, that it does, with a class or in words."""
    for named in CALLABLE:
        for name in _raised(named.found):
            assert name in named.text or any(base.__name__ in named.text for base in _bases(name)), (named.name, name)
        said = re.search(r"\b[Rr]aise[sd]?\b|Error\b", named.text)
        assert bool(said) or named.name in QUIET, named.name


def _bases(name: str) -> list[type]:
    kind = getattr(errors, name, None)
    return [base for base in kind.__mro__ if issubclass(base, LLMConnectorError)] if kind else []


def test_what_is_quiet_is_there() -> None:
    """The list above names callables that exist."""
    assert {each.name for each in PUBLIC} >= QUIET


def _stateful(named: Named) -> bool:
    """A class with a state, or a function of llm_sync itself, which has the shared clients behind it. The rest is frozen."""
    if not inspect.isclass(named.found):
        return named.owner is None and named.room == "llm_sync"
    return not issubclass(named.found, (Exception, tuple)) and not dataclasses.is_dataclass(named.found)


def test_threads_are_spoken_of() -> None:
    """Who may use it from where; what is frozen is told once, for its module."""
    for named in [named for named in PUBLIC if _stateful(named)]:
        module = inspect.getdoc(inspect.getmodule(named.found)) or ""
        assert re.search(r"\bthreads?\b", f"{named.text}\n{module}"), named.name
