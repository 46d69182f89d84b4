"""Parsing the arguments of one call: what all shims share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from llm_sync.compat.shim import unsupported
from llm_sync.compat.shim.parameters import NOT_GIVEN, ParsedArguments, Table, is_not_given, shown
from llm_sync.compat.shim.settings import Settings, pairs
from llm_sync.compat.shim.targets import follows_configuration
from llm_sync.errors import InvalidRequestError, LLMConnectorError
from llm_sync.models import grammar

_CONTEXT_ARGUMENTS = frozenset({"timeout", "extra_headers", "extra_query", "extra_body"})
_NO_HEADERS = "the configuration decides which headers and query a provider gets"


@dataclass(frozen=True)
class CallContext:
    """The context of a script's calls: settings, seconds for one attempt, retries, and the original's exceptions."""

    settings: Settings
    timeout: float | None
    max_retries: int | None
    map_error: Callable[[LLMConnectorError], BaseException]

    def refuse(self, message: str, way_out: str) -> NoReturn:
        """Raise the original's exception for something unsupported."""
        unsupported.refuse(message, way_out, self.map_error)

    def read(self, table: Table, arguments: Mapping[str, Any]) -> tuple[ParsedArguments, CallContext]:
        """The arguments of one call, and the context with the call's own timeout, headers and query."""
        reading = table.read(arguments, self.refuse)
        given = reading.given
        if given.keys().isdisjoint(_CONTEXT_ARGUMENTS):
            return reading, self
        context = self
        if "timeout" in given:
            context = dataclasses.replace(context, timeout=seconds(given.pop("timeout")))
        further = {name: given.pop(name) for name in ("extra_headers", "extra_query") if name in given}
        if further and follows_configuration(self.settings):
            reading.not_sent.update({name: (value, _NO_HEADERS) for name, value in further.items()})
        elif further:
            context = dataclasses.replace(
                context, settings=extended(self.settings, further.get("extra_headers"), further.get("extra_query"))
            )
        extra = given.pop("extra_body", None)
        if extra is not None:
            if not isinstance(extra, Mapping):
                raise InvalidRequestError("extra_body is not a mapping", guidance="Give a dict of fields of the request's body.")
            from llm_sync import streaming

            asked = streaming.find_switches(extra)
            if asked:
                self.refuse(f"extra_body asks for streaming ({', '.join(asked)})", unsupported.STREAM)
            given.update(extra)
        return reading, context


def extended(settings: Settings, headers: Any, query: Any) -> Settings:
    """The settings with additional headers and query fields, which replace those of the same name. Raises InvalidRequestError."""
    for name, given in (("headers", headers), ("query", query)):
        if given is not None and not isinstance(given, Mapping):
            raise InvalidRequestError(f"the {name} are {grammar.type_name(given)}", guidance="Give a dict of names and texts.")
    return dataclasses.replace(
        settings,
        headers=pairs({**dict(settings.headers), **(headers or {})}),
        query=pairs({**dict(settings.query), **(query or {})}),
    )


def seconds(timeout: Any) -> float | None:
    """The seconds of a timeout as SDKs accept it: a number, (connect, read), an ``httpx.Timeout``, or None.

    Raises InvalidRequestError for anything else.
    """
    if timeout is None or is_not_given(timeout):
        return None
    if isinstance(timeout, (tuple, list)) and timeout:
        timeout = timeout[-1]
    timeout = getattr(timeout, "read", timeout)
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise InvalidRequestError(f"timeout is {shown(timeout)}", guidance="Give seconds, or an object with read seconds.")
    return float(timeout)


class Timeout:
    """Replaces ``httpx.Timeout``, which the SDKs re-export. Only ``read`` is used, as the limit for a whole attempt."""

    def __init__(self, timeout: Any = NOT_GIVEN, **times: float | None) -> None:
        unknown = times.keys() - {"connect", "read", "write", "pool"}
        if unknown:
            raise TypeError(f"Timeout() got an unexpected keyword argument {min(unknown)!r}")
        every = None if is_not_given(timeout) else timeout
        self.connect, self.read = times.get("connect", every), times.get("read", every)
        self.write, self.pool = times.get("write", every), times.get("pool", every)

    def __repr__(self) -> str:
        return f"Timeout(connect={self.connect}, read={self.read}, write={self.write}, pool={self.pool})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timeout) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.connect, self.read, self.write, self.pool))
