"""Whether a tool that mocks, records or traces requests has stepped in between them and the network."""

from __future__ import annotations

import http.client
from types import FunctionType
from typing import Any

import requests.adapters
import urllib3.connection


def _seams() -> tuple[Any, ...]:
    """Where tools that mock, record or trace requests step in between."""
    session, pool, connection = requests.Session, urllib3.HTTPConnectionPool, urllib3.connection.HTTPConnection
    plain = http.client.HTTPConnection
    return (
        *(session.send, session.get_adapter, requests.adapters.HTTPAdapter.send, pool.urlopen),
        *(connection.request, connection.getresponse, connection.putrequest, connection.putheader, connection.endheaders),
        *(plain.putrequest, plain.putheader, plain.endheaders, plain.send, plain.getresponse),
    )


def _is_original(function: Any) -> bool:
    """Whether it is the library's own, and none that somebody had put in its place before this module was loaded."""
    return type(function) is FunctionType and function.__globals__["__name__"].partition(".")[0] in (
        "requests",
        "urllib3",
        "http",
    )


_UNTOUCHED = _seams() if all(map(_is_original, _seams())) else None


def untouched() -> bool:
    """Whether nothing stands between a request and the network that the short way would pass by."""
    return _seams() == _UNTOUCHED
