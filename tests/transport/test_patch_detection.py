"""Tools that mock, record or trace requests see every one of them, though a connection is kept."""

from __future__ import annotations

import http.client
import subprocess
import sys

import pytest
import requests.adapters
import responses
import urllib3.connection

from llm_sync.transport import patch_detection


def test_a_mock_that_comes_later_is_heeded(serve, open_client):
    """Test tools replace HTTPAdapter.send: nothing goes past them, though a connection is kept."""
    server, client = serve(), open_client()
    for _ in range(2):
        client.post(server.url, b"{}", {}, timeout=5)
    with responses.RequestsMock() as mock:
        mock.post(server.url, body=b"mocked")
        assert client.post(server.url, b"{}", {}, timeout=5).content == b"mocked"
    assert patch_detection.is_unpatched()
    assert client.post(server.url, b"real", {}, timeout=5).content == b"real"
    assert len(server.requests) == 3


SEAMS = [
    *((requests.Session, name) for name in ("send", "get_adapter")),
    (requests.adapters.HTTPAdapter, "send"),
    (urllib3.HTTPConnectionPool, "urlopen"),
    *((urllib3.connection.HTTPConnection, name) for name in ("request", "getresponse", "putrequest")),
    *((http.client.HTTPConnection, name) for name in ("putrequest", "putheader", "endheaders", "send", "getresponse")),
]


@pytest.mark.parametrize(("kind", "name"), SEAMS, ids=[f"{kind.__module__}.{kind.__name__}.{name}" for kind, name in SEAMS])
def test_a_tool_that_steps_in_is_passed_by_nowhere(serve, open_client, monkeypatch, kind, name):
    """Whatever mocks, records or traces requests, and wherever: it sees those over a kept connection too."""
    server, client = serve(), open_client()
    client.post(server.url, b"1", {}, timeout=5)
    original, seen = getattr(kind, name), []

    def stepped_in(*arguments, **options):
        seen.append(name)
        return original(*arguments, **options)

    monkeypatch.setattr(kind, name, stepped_in)
    client.post(server.url, b"2", {}, timeout=5)
    assert seen
    assert server.connections == 1


def test_who_was_there_before_is_noticed():
    """A tool that is set up before llm-sync is loaded, and one that says it is what it wraps."""
    program = """
import functools, requests
original = requests.Session.send
requests.Session.send = functools.wraps(original)(lambda *arguments, **options: original(*arguments, **options))
from llm_sync.transport import patch_detection
assert not patch_detection.is_unpatched()
requests.Session.send = original
assert not patch_detection.is_unpatched()
"""
    subprocess.run([sys.executable, "-I", "-c", program], check=True)
