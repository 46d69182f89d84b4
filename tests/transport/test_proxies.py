"""Which proxy a request goes through, where requests alone does not decide it well."""

from __future__ import annotations

import pytest

from llm_sync.errors import ConfigurationError, ProviderConnectionError
from llm_sync.transport import proxies

_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("entries", "host", "exempt"),
    [
        ("*.example.com", "api.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "badexample.com", False),
        ("x, *.Example.com", "API.example.com.", True),
        ("::1", "::1", True),
        ("[::1]", "::1", True),
        ("[fd00::1]:8080", "fd00::1", True),
        ("fd00::/8", "fd12::5", True),
        ("fd00::/8", "fe80::5", False),
        ("fd00::/8", "api.example.com", False),
        ("a:b:c", "a", False),
        ("", "api.example.com", False),
    ],
)
def test_entries_of_no_proxy_that_requests_does_not_understand(monkeypatch, entries, host, exempt):
    """``*.domain`` exempts what is below the domain; addresses of IPv6 are compared as addresses and networks."""
    monkeypatch.setenv("NO_PROXY", entries)
    assert proxies.is_exempt(host) is exempt


def test_an_exempt_host_is_reached_directly(monkeypatch, open_client):
    """The request does not go to the proxy that the environment names: that one would be asked for, and refuse."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    client = open_client(allow_insecure=True)
    with pytest.raises(ProviderConnectionError, match="the proxy"):
        client.post("http://api.no-such-host.invalid/", b"{}", {}, timeout=5)
    monkeypatch.setenv("NO_PROXY", "*.no-such-host.invalid")
    with pytest.raises(ProviderConnectionError, match="cannot be resolved"):
        client.post("http://api.no-such-host.invalid/v1", b"{}", {}, timeout=5)


@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
def test_a_socks_proxy_is_refused_by_the_name_of_its_variable(monkeypatch, open_client, name):
    """The message says where the proxy comes from; that variable is often set without the user's knowledge."""
    monkeypatch.setenv(name, "socks5://user:secret@127.0.0.1:9")
    with pytest.raises(ConfigurationError, match=f"{name} is a SOCKS proxy") as caught:
        open_client().post("https://api.example.com/", b"{}", {}, timeout=5)
    assert "secret" not in str(caught.value)


def test_a_configured_proxy_is_named_as_such(open_client):
    """``proxy`` of the configuration, although a variable may have the same value."""
    with pytest.raises(ConfigurationError, match="`proxy` is a SOCKS proxy"):
        open_client(proxy="socks5://127.0.0.1:9").post("https://api.example.com/", b"{}", {}, timeout=5)
