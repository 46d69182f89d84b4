"""Tools that mock, record or trace HTTP see every request, also on a kept connection."""

from __future__ import annotations

import http.client
import subprocess
import sys

import pytest
import requests.adapters
import responses
import urllib3.connection

from llm_sync.transport import patch_detection


def test_a_mock_that_starts_later_is_used(serve, open_client):
    """A test tool that replaces HTTPAdapter.send after the first request gets the following ones."""
    server, client = serve(), open_client()
    for _ in range(2):
        client.post(server.url, b"{}", {}, timeout=5)
    with responses.RequestsMock() as mock:
        mock.post(server.url, body=b"mocked")
        assert client.post(server.url, b"{}", {}, timeout=5).content == b"mocked"
    assert patch_detection.is_unpatched()
    assert client.post(server.url, b"real", {}, timeout=5).content == b"real"
    assert len(server.requests) == 3


PATCHABLE = [
    *((requests.Session, name) for name in ("send", "get_adapter")),
    (requests.adapters.HTTPAdapter, "send"),
    (urllib3.HTTPConnectionPool, "urlopen"),
    *((urllib3.connection.HTTPConnection, name) for name in ("request", "getresponse", "putrequest")),
    *((http.client.HTTPConnection, name) for name in ("putrequest", "putheader", "endheaders", "send", "getresponse")),
]


@pytest.mark.parametrize(
    ("kind", "name"), PATCHABLE, ids=[f"{kind.__module__}.{kind.__name__}.{name}" for kind, name in PATCHABLE]
)
def test_a_patched_function_disables_the_fast_path(serve, open_client, monkeypatch, kind, name):
    """A tool that patches any of these functions sees requests on a kept connection too."""
    server, client = serve(), open_client()
    client.post(server.url, b"1", {}, timeout=5)
    original, seen = getattr(kind, name), []

    def patched_function(*arguments, **options):
        seen.append(name)
        return original(*arguments, **options)

    monkeypatch.setattr(kind, name, patched_function)
    client.post(server.url, b"2", {}, timeout=5)
    assert seen
    assert server.connections == 1


def test_a_patch_before_the_import_is_detected():
    """A patch is detected if it was applied before the import, also one made with functools.wraps."""
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
