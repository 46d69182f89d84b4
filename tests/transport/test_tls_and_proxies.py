"""TLS certificates are verified with one shared context; proxies and CA bundles come from options or the environment."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests.adapters
import responses
import trustme

from llm_sync.errors import ConfigurationError, ProviderConnectionError
from llm_sync.transport import probe, tls


@pytest.fixture(autouse=True)
def _no_contexts_from_before(monkeypatch):
    monkeypatch.setattr(tls, "_contexts", {})


def test_a_trusted_certificate_is_accepted(serve, open_client, authority):
    """A certificate of the CA in ca_bundle is accepted, and the connection is reused."""
    server, client = serve(tls=authority.context()), open_client(ca_bundle=authority.path)
    for _ in range(2):
        assert client.post(server.url, b"1", {}, timeout=5).content == b"1"
    assert server.connections == 1


@pytest.mark.parametrize("bundle", ["certifi", "another"])
def test_a_certificate_of_an_unknown_authority_is_refused(serve, open_client, authority, bundle, tmp_path):
    """A certificate of an unknown CA is refused, the error names ca_bundle, and nothing is sent."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    server = serve(tls=authority.context())
    with pytest.raises(ProviderConnectionError, match="certificate") as caught:
        open_client(ca_bundle=None if bundle == "certifi" else str(other)).post(server.url, b"{}", {}, timeout=5)
    assert caught.value.retryable is False
    assert "ca_bundle" in caught.value.guidance
    assert not server.requests


def test_a_certificate_for_another_host_is_refused(serve, open_client, authority):
    """A trusted CA's certificate for another host is refused, and the error says to check the host."""
    server = serve(tls=authority.context("other.example"))
    with pytest.raises(ProviderConnectionError, match="certificate") as caught:
        open_client(ca_bundle=authority.path).post(server.url, b"{}", {}, timeout=5)
    assert caught.value.retryable is False
    assert "base_url" in caught.value.guidance
    assert not server.requests


def test_the_common_name_does_not_count(serve, open_client, authority):
    """A host that is only in the certificate's common name is not accepted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("192.0.2.1", common_name="localhost").configure_cert(context)
    server = serve(tls=context)
    with pytest.raises(ProviderConnectionError, match="certificate"):
        open_client(ca_bundle=authority.path).post(server.url.replace("127.0.0.1", "localhost"), b"{}", {}, timeout=5)


def test_an_untrusted_client_is_refused_beside_a_trusted_one(serve, open_client, authority):
    """Each client trusts its own CA bundle, although contexts are shared."""
    server = serve(tls=authority.context())
    assert open_client(ca_bundle=authority.path).post(server.url, b"1", {}, timeout=5).status == 200
    with pytest.raises(ProviderConnectionError, match="certificate"):
        open_client().post(server.url, b"1", {}, timeout=5)


def test_the_ca_file_is_loaded_once(serve, open_client, authority, monkeypatch):
    """Five connections of two clients load the CA file once."""
    loaded = []
    load = ssl.SSLContext.load_verify_locations
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *a, **k: (loaded.append(a), load(*a, **k))[1])

    def script(peer):
        peer.reply(peer.request().body, headers=["Connection: close"])

    server = serve(script, authority.context())
    for client in (open_client(ca_bundle=authority.path), open_client(ca_bundle=authority.path)):
        for _ in range(3):
            client.post(server.url, b"1", {}, timeout=5)
    assert server.connections == 6
    assert len(loaded) == 1


def test_the_shared_context_is_left_alone_by_connections(authority):
    """urllib3 sets the protocols of a context for every connection; a shared context ignores that."""
    context = tls.shared_context(authority.path)
    assert tls.shared_context(authority.path) is context
    context.set_alpn_protocols(["h2"])
    server, (ours, theirs) = authority.context(), socket.socketpair()
    server.set_alpn_protocols(["h2", "http/1.1"])
    accepted = []
    thread = threading.Thread(target=lambda: accepted.append(server.wrap_socket(theirs, server_side=True)))
    thread.start()
    with context.wrap_socket(ours, server_hostname="localhost") as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"
    thread.join()
    accepted[0].close()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_ca_bundle_comes_from_the_environment(serve, open_client, authority, monkeypatch, variable):
    """REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE are honoured."""
    monkeypatch.setenv(variable, authority.path)
    assert open_client().post(serve(tls=authority.context()).url, b"1", {}, timeout=5).status == 200


def test_ca_bundle_wins_over_the_environment(serve, open_client, authority, monkeypatch, tmp_path):
    """The provider's ca_bundle takes precedence over the environment."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    assert open_client(ca_bundle=authority.path).post(serve(tls=authority.context()).url, b"1", {}, timeout=5).status == 200


@pytest.mark.parametrize("kind", ["missing", "empty", "garbage"])
def test_an_unusable_ca_bundle_is_an_error(serve, open_client, authority, tmp_path, kind):
    """An unusable CA bundle is an error that names the file and the settings; nothing is sent."""
    path = tmp_path / "ca.pem"
    if kind != "missing":
        path.write_text("" if kind == "empty" else "not a certificate")
    server = serve(tls=authority.context())
    with pytest.raises(ConfigurationError, match=r"ca\.pem") as caught:
        open_client(ca_bundle=str(path)).post(server.url, b"{}", {}, timeout=5)
    assert "ca_bundle" in caught.value.guidance
    assert server.connections == 0


def test_a_server_without_tls_is_an_error(serve, open_client, authority):
    """If the server speaks plain http, the error says so and names the two schemes; it is not retryable."""
    server = serve(lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    with pytest.raises(ProviderConnectionError, match="does not speak TLS on this port") as caught:
        open_client(ca_bundle=authority.path).post(server.url.replace("http:", "https:"), b"{}", {}, timeout=5)
    assert "http://" in caught.value.guidance
    assert caught.value.retryable is False


def test_http_to_a_tls_port_is_an_error(serve, open_client):
    """A server that answers with a TLS alert, or closes the connection, leads to an error that names https://."""
    alerting = serve(lambda peer: (peer.request(), peer.send(b"\x15\x03\x01\x00\x02\x02\x16" * 3)))
    with pytest.raises(ProviderConnectionError, match="speaks TLS on this port") as caught:
        open_client().post(alerting.url, b"{}", {}, timeout=5)
    assert "https://" in caught.value.guidance
    assert caught.value.retryable is False
    closing = serve(lambda peer: peer.request())
    with pytest.raises(ProviderConnectionError, match="without an answer") as caught:
        open_client().post(closing.url, b"{}", {}, timeout=5)
    assert "https://" in caught.value.guidance


@pytest.mark.parametrize(("days", "text"), [(-1, "its owner must renew it"), (1, "it cannot be used yet")])
def test_a_certificate_out_of_its_time_names_the_clock(serve, open_client, tmp_path, days, text):
    """An expired certificate, and one of the future, may mean a clock that is off: the error tells what it says."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    when = datetime.now(timezone.utc) + timedelta(days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", **({"not_after": when} if days < 0 else {"not_before": when})).configure_cert(context)
    server = serve(tls=context)
    with pytest.raises(ProviderConnectionError, match="certificate") as caught:
        open_client(ca_bundle=str(tmp_path / "ca.pem")).post(server.url, b"{}", {}, timeout=5)
    assert f"{datetime.now(timezone.utc):%Y-%m-%d}" in caught.value.guidance
    assert text in caught.value.guidance
    assert caught.value.retryable is False


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_openssl_variables_are_honoured(serve, open_client, authority, monkeypatch, tmp_path, variable):
    """requests does not read them; other programs do, so people set them."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    server = serve(tls=authority.context())
    with pytest.raises(ProviderConnectionError, match="refused"):
        open_client().post(server.url, b"{}", {}, timeout=5)
    monkeypatch.setenv(variable, authority.path if variable == "SSL_CERT_FILE" else str(hashed_folder(authority.path, tmp_path)))
    assert open_client().post(server.url, b"{}", {}, timeout=5).status == 200


def hashed_folder(pem, folder):
    """A folder with a certificate under the name by which OpenSSL looks for it."""
    done = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", pem], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("the program openssl is not installed")
    (folder / f"{done.stdout.strip()}.0").write_bytes(Path(pem).read_bytes())
    return folder


def test_a_missing_file_of_openssl_variables_is_ignored(monkeypatch, tmp_path):
    """As OpenSSL does; certifi's certificates count then."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    assert tls.environment_bundle() is None


# Client certificates


@pytest.fixture
def own_certificate(tmp_path):
    """A server that demands a certificate, its CA file, and files with a client's certificate and keys."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    client = ca.issue_cert("client@example.org")
    client.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    client.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    client.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    ca.issue_cert("other@example.org").private_key_pem.write_to_path(str(tmp_path / "other.pem"))
    return context, lambda name: str(tmp_path / name)


@pytest.mark.parametrize("files", [("cert.pem", "key.pem"), ("both.pem", None)], ids=["two files", "one file"])
def test_a_client_certificate_is_presented(serve, open_client, own_certificate, files):
    """With the key in a file of its own, or in the certificate's."""
    context, path = own_certificate
    cert, key = (name and path(name) for name in files)
    client = open_client(ca_bundle=path("ca.pem"), client_cert=cert, client_key=key)
    server = serve(tls=context)
    assert [client.post(server.url, b"{}", {}, timeout=5).status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    ("cert", "key", "problem"),
    [
        ("cert.pem", None, "is missing in it"),
        ("cert.pem", "other.pem", "do not match"),
        ("none.pem", "key.pem", "No such file"),
        ("cert.pem", "ca.pem", "is missing in it"),
    ],
)
def test_a_client_certificate_that_cannot_be_used(serve, open_client, own_certificate, cert, key, problem):
    """The error names the file and what is wrong with it, before anything is sent."""
    context, path = own_certificate
    client = open_client(ca_bundle=path("ca.pem"), client_cert=path(cert), client_key=key and path(key))
    with pytest.raises(ConfigurationError, match=problem) as caught:
        client.post(serve(tls=context).url, b"{}", {}, timeout=5)
    assert cert in caught.value.message


# The Session


def test_adapters_are_mounted_by_the_session_hook(serve, open_client):
    """The hook gets each new Session; a mounted adapter gets the requests to its prefix, the first and the later ones."""

    class Counting(requests.adapters.HTTPAdapter):
        sent = 0

        def send(self, request, **options):
            Counting.sent += 1
            return super().send(request, **options)

    server, other = serve(), serve()
    client = open_client(session=lambda session: session.mount(server.url, Counting()))
    for url in (server.url, other.url, server.url, server.url):
        assert client.post(url, b"{}", {}, timeout=5).status == 200
    assert Counting.sent == 3


# Proxies


def tunnel_to(port, seen):
    """A CONNECT proxy that tunnels everything to one port of this machine."""

    def script(peer):
        seen.append(peer.head())
        with socket.create_connection(("127.0.0.1", port)) as target:
            peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            thread = threading.Thread(target=_pump, args=(target, peer.sock))
            thread.start()
            _pump(peer.sock, target)
            thread.join()

    return script


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for sock in (source, sink):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("how", ["option", "environment"])
def test_https_goes_through_a_tunnel(serve, open_client, authority, monkeypatch, how):
    """A CONNECT request carries the proxy's password, but neither key nor prompt; the tunnel is reused."""
    seen = []
    server = serve(tls=authority.context("api.example"))
    proxy = f"http://me:p%40ss@127.0.0.1:{serve(tunnel_to(server.port, seen)).port}"
    if how == "environment":
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    client = open_client(ca_bundle=authority.path, proxy=proxy if how == "option" else None)
    for body in (b"1", b"2"):
        assert client.post("https://api.example/v1", body, {"Authorization": "k"}, timeout=5).content == body
    (connect,) = seen
    assert connect.line.startswith("CONNECT api.example:443")
    assert connect.headers["proxy-authorization"] == "Basic bWU6cEBzcw=="
    assert "authorization" not in connect.headers
    assert "proxy-authorization" not in server.requests[0].headers


def test_a_tunnel_verifies_the_host(serve, open_client, authority):
    """Through a proxy, a certificate for another host is refused, and the error does not blame the proxy."""
    server = serve(tls=authority.context("other.example"))
    proxy = serve(tunnel_to(server.port, []))
    with pytest.raises(ProviderConnectionError, match="certificate of https://api.example is refused"):
        open_client(ca_bundle=authority.path, proxy=proxy.url).post("https://api.example/v1", b"{}", {}, timeout=5)


def test_a_proxy_reached_by_tls(serve, open_client, authority):
    """TLS to the proxy and TLS through it are both verified."""
    seen = []
    server = serve(tls=authority.context("api.example"))
    proxy = serve(tunnel_to(server.port, seen), authority.context())
    client = open_client(ca_bundle=authority.path, proxy=proxy.url)
    for body in (b"1", b"2"):
        assert client.post("https://api.example/v1", body, {}, timeout=5).content == body
    assert len(seen) == 1
    impostor = serve(tunnel_to(server.port, []), authority.context("other.example"))
    with pytest.raises(ProviderConnectionError, match=r"the proxy https://127\.0\.0\.1:\d+ .*certificate"):
        open_client(ca_bundle=authority.path, proxy=impostor.url).post("https://api.example/v1", b"{}", {}, timeout=5)


def look_at(url, proxy, authority):
    """What the probe sees of a server behind a proxy."""
    return probe.look_at(url, proxy=proxy, ca_bundle=authority.path, certificate=None, timeout=5)


def test_the_probe_speaks_tls_to_a_proxy_that_is_reached_by_it(serve, authority):
    """Before it sends anything: the proxy's password cannot be read on the way, and its certificate is verified."""
    heads = []
    server = serve(tls=authority.context("api.example"))
    proxy = serve(tunnel_to(server.port, heads), authority.context())
    seen = look_at("https://api.example/v1", f"https://me:p%40ss@127.0.0.1:{proxy.port}", authority)
    assert (seen.failed, seen.status) == (None, 200)
    assert seen.expires_in is not None
    (connect,) = heads
    assert connect.headers["proxy-authorization"] == "Basic bWU6cEBzcw=="
    impostor = serve(tunnel_to(server.port, []), authority.context("other.example"))
    seen = look_at("https://api.example/v1", impostor.url, authority)
    assert seen.failed == "proxy"
    assert seen.problem.startswith("TLS to the proxy 127.0.0.1: its certificate is refused")


def test_the_probe_gives_a_proxy_of_plain_http_its_password(serve, authority):
    """And one that wants another is a failure of the proxy, not an answer of the server."""
    proxy = serve()
    seen = look_at("http://api.example/v1", f"http://me:p%40ss@127.0.0.1:{proxy.port}", authority)
    assert (seen.failed, seen.status) == (None, 200)
    assert proxy.requests[0].headers["proxy-authorization"] == "Basic bWU6cEBzcw=="

    def refuse(peer):
        peer.head()
        peer.reply(status="407 Proxy Authentication Required")

    seen = look_at("http://api.example/v1", serve(refuse).url, authority)
    assert (seen.failed, seen.problem) == ("proxy", "the proxy asks for a user name and a password (407)")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_plain_http_is_forwarded(serve, open_client, monkeypatch, variable):
    """Plain http, if allowed, is sent to the environment's proxy with the whole URL."""
    proxy = serve()
    monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
    reply = open_client(allow_insecure=True).post("http://api.example/v1?q=1", b"1", {}, timeout=5)
    assert reply.content == b"1"
    assert proxy.requests[0].line == "POST http://api.example/v1?q=1 HTTP/1.1"


def test_proxy_wins_over_the_environment(serve, open_client, monkeypatch):
    """A configured proxy takes precedence over the environment's proxy and NO_PROXY."""
    proxy, other = serve(), serve()
    monkeypatch.setenv("HTTP_PROXY", other.url)
    monkeypatch.setenv("NO_PROXY", "api.example")
    open_client(proxy=proxy.url, allow_insecure=True).post("http://api.example/v1", b"1", {}, timeout=5)
    assert (len(proxy.requests), len(other.requests)) == (1, 0)


@pytest.mark.parametrize("how", ["no_proxy", "empty"])
def test_no_proxy_is_honoured(serve, open_client, monkeypatch, how):
    """A host in NO_PROXY, and every host with proxy="", is reached directly."""
    server, proxy = serve(), serve()
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    if how == "no_proxy":
        monkeypatch.setenv("NO_PROXY", "api.example")
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [address])
    open_client(allow_insecure=True, proxy="" if how == "empty" else None).post("http://api.example/", b"1", {}, timeout=5)
    assert (len(server.requests), len(proxy.requests)) == (1, 0)


def test_loopback_is_not_sent_through_the_environments_proxy(serve, open_client, monkeypatch):
    """Requests to loopback are not sent through the environment's proxy."""
    server, proxy = serve(), serve()
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    open_client().post(server.url, b"1", {}, timeout=5)
    assert (len(server.requests), len(proxy.requests)) == (1, 0)


def test_plain_http_does_not_leave_by_a_proxy(open_client):
    """Plain http to loopback is refused if a configured proxy would carry it over the network."""
    with pytest.raises(ConfigurationError, match="allow_insecure"):
        open_client(proxy="http://proxy.example:3128").post("http://localhost:8000/v1", b"{}", {}, timeout=5)


@pytest.mark.parametrize(
    ("status", "said", "retryable"),
    [
        ("407 Proxy Authentication Required", "user name and a password", False),
        ("403 Forbidden", "(403)", False),
        ("503 Down", "(503)", True),
    ],
)
def test_a_proxy_that_refuses_is_named(serve, open_client, status, said, retryable):
    """The error names the proxy and the setting, and shows no password."""

    def script(peer):
        peer.head()
        peer.send(f"HTTP/1.1 {status}\r\n\r\n".encode())

    proxy = f"http://me:secret@127.0.0.1:{serve(script).port}"
    with pytest.raises(ProviderConnectionError) as caught:
        open_client(proxy=proxy).post("https://api.example/v1?key=secret", b"{}", {}, timeout=5)
    assert said in str(caught.value)
    assert "proxy http://127.0.0.1" in str(caught.value)
    assert "HTTPS_PROXY" in caught.value.guidance
    assert "secret" not in str(caught.value)
    assert caught.value.retryable is retryable
    assert caught.value.__context__ is None


@pytest.mark.parametrize("target", ["https://api.example/v1", "http://api.example/v1"])
def test_a_proxy_that_is_down_is_named(open_client, target):
    """If the proxy refuses connections, the error does not blame the provider."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = open_client(proxy=f"http://me:secret@127.0.0.1:{port}", allow_insecure=True)
    with pytest.raises(ProviderConnectionError, match=f"the proxy http://127.0.0.1:{port} for .*refuses") as caught:
        client.post(target, b"{}", {}, timeout=5)
    assert "secret" not in str(caught.value)
    assert "proxy" in caught.value.guidance


@pytest.mark.parametrize(
    "proxy",
    ["socks5://me:secret@127.0.0.1:1080", "http://me:secret@", "http://me:secret@[::1", "http://secret@h:port", "ftp://secret"],
)
def test_an_impossible_proxy_is_a_configuration_error(open_client, proxy):
    """An invalid proxy URL is an error that names the setting and quotes nothing."""
    with pytest.raises(ConfigurationError, match="prox") as caught:
        open_client(proxy=proxy).post("https://api.example/v1", b"{}", {}, timeout=5)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


# Test tools


def test_responses_still_works(open_client):
    """The mocking library ``responses``, which replaces HTTPAdapter.send, works with this client."""
    with responses.RequestsMock() as mock:
        mock.post("https://api.example/v1", json={"ok": True}, status=202, headers={"X-Id": "1"})
        mock.get("https://api.example/v1", status=302, headers={"Location": "https://other.example"})
        reply = open_client().post("https://api.example/v1", b"{}", {"X": "y"}, timeout=5)
        assert (reply.status, reply.content, reply.headers["x-id"]) == (202, b'{"ok": true}', "1")
        assert mock.calls[0].request.body == b"{}"
        assert mock.calls[0].request.headers["X"] == "y"
        with pytest.raises(Exception, match="not followed"):
            open_client().get("https://api.example/v1", {}, timeout=5)
        with pytest.raises(ProviderConnectionError):
            open_client().get("https://api.example/other", {}, timeout=5)
