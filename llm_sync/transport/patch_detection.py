"""Whether a tool that mocks, records or traces HTTP has patched requests, urllib3 or http.client."""

from __future__ import annotations

import http.client
from operator import is_
from types import FunctionType
from typing import Any

import requests.adapters
import urllib3.connection


def _patchable_functions() -> tuple[Any, ...]:
    """The functions that such tools replace."""
    session, pool, connection = requests.Session, urllib3.HTTPConnectionPool, urllib3.connection.HTTPConnection
    plain = http.client.HTTPConnection
    return (
        *(session.send, session.get_adapter, requests.adapters.HTTPAdapter.send, pool.urlopen),
        *(connection.request, connection.getresponse, connection.putrequest, connection.putheader, connection.endheaders),
        *(plain.putrequest, plain.putheader, plain.endheaders, plain.send, plain.getresponse),
    )


def _is_original(function: Any) -> bool:
    """Whether the library itself defines it: a tool may have replaced it before this module was imported."""
    return type(function) is FunctionType and function.__globals__["__name__"].partition(".")[0] in (
        "requests",
        "urllib3",
        "http",
    )


def original_class(current: Any, module: str) -> Any:
    """The class of ``module`` that ``current`` is, or that a tool has derived ``current`` from and put in its place."""
    return next((each for each in current.__mro__ if each.__module__ == module), current)


_functions = _patchable_functions()
_ORIGINALS = _functions if all(map(_is_original, _functions)) else None


def is_unpatched() -> bool:
    """Whether all these functions are the originals, so that the fast path bypasses no tool."""
    # Not by ==: wrappers (wrapt's) are equal to what they wrap, but not identical.
    return _ORIGINALS is not None and all(map(is_, _patchable_functions(), _ORIGINALS))
