"""``llm-sync doctor``: each broken set-up is named first, with what to do; nothing is changed, and no key is shown."""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from llm_sync.simulator import Response, Simulator

KEY = "sk-doctor-0123456789abcdef"
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy", "NO_PROXY", "no_proxy")
VARIABLES = (*PROXIES, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "NETRC", "OPENAI_API_KEY", "OPENAI_BASE_URL")


@contextmanager
def server(answer: bytes | None, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that sends ``answer`` (None: nothing at all) to every request; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                wrapped = connection if context is None else context.wrap_socket(connection, server_side=True)
                wrapped.recv(65536)
                if answer is None:
                    ended.wait(5)
                else:
                    wrapped.sendall(answer)
                wrapped.close()
            except OSError:
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR) if hasattr(socket, "SHUT_RDWR") else None
        listener.close()
        thread.join(5)


def http(status: str = "401 Unauthorized", **headers: str) -> bytes:
    """An answer without a body."""
    lines = [f"HTTP/1.1 {status}", "Content-Length: 0", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def closed_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class World:
    """A folder with a configuration, and an environment without anything that could matter."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.env = monkeypatch
        self.options = ["--online", "--timeout", "1"]
        self.closing: list[Any] = []

    def configure(self, text: str = "", **provider: Any) -> None:
        """Write the configuration: one provider with these settings."""
        entry = {"type": "openai", "api_key": "${DOCTOR_KEY}", "models": ["m"], **provider}
        given = {name: value for name, value in entry.items() if value is not None}
        (self.folder / "llms.yaml").write_text(text or json.dumps({"providers": {"main": given}}), encoding="utf-8")

    def serve(self, answer: bytes | None = b"", context: ssl.SSLContext | None = None) -> int:
        """Start a server until the test ends."""
        opened = server(http() if answer == b"" else answer, context)
        self.closing.append(opened)
        return opened.__enter__()

    def authority(self, **options: Any) -> tuple[trustme.CA, ssl.SSLContext, str]:
        """A CA, the context of a server with a certificate of it for localhost, and the CA's file."""
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*options.pop("names", ("localhost", "127.0.0.1")), **options).configure_cert(context)
        path = self.folder / "ca.pem"
        authority.cert_pem.write_to_path(str(path))
        return authority, context, str(path)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Nothing is wrong yet."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("DOCTOR_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    made = World(tmp_path, monkeypatch)
    yield made
    for each in made.closing:
        each.__exit__(None, None, None)


class SetUp(NamedTuple):
    """One broken set-up: how it is made, the exit status, and what the first line that is not ok has to say."""

    break_it: Callable[[World], None]
    status: int
    said: tuple[str, ...]


def expired(world: World) -> None:
    """A certificate that ended yesterday."""
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    _, context, path = world.authority(not_after=yesterday)
    world.configure(base_url=f"https://localhost:{world.serve(context=context)}/v1", ca_bundle=path)


def other_host(world: World) -> None:
    """A certificate of another name."""
    _, context, path = world.authority(names=("example.com",))
    world.configure(base_url=f"https://localhost:{world.serve(context=context)}/v1", ca_bundle=path)


def unknown_authority(world: World) -> None:
    """A certificate of a CA that nobody told us of."""
    _, context, _ = world.authority()
    world.configure(base_url=f"https://localhost:{world.serve(context=context)}/v1")


def not_tls(world: World) -> None:
    """https to a port that speaks http."""
    world.configure(base_url=f"https://localhost:{world.serve(http('400 Bad Request'))}/v1")


def ends_soon(world: World) -> None:
    """A certificate with three days left."""
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=3)
    _, context, path = world.authority(not_after=soon)
    world.configure(base_url=f"https://localhost:{world.serve(context=context)}/v1", ca_bundle=path)


def wrong_clock(world: World) -> None:
    """The server's clock is an hour behind."""
    date = formatdate(time.time() - 3600, usegmt=True)
    world.configure(base_url=f"http://127.0.0.1:{world.serve(http(Date=date))}/v1")


def nobody_listens(world: World) -> None:
    """The server does not run."""
    world.configure(base_url=f"http://127.0.0.1:{closed_port()}/v1")


def silent(world: World) -> None:
    """A server that accepts and says nothing."""
    world.configure(base_url=f"http://127.0.0.1:{world.serve(None)}/v1")


def not_http(world: World) -> None:
    """Something else listens at the port."""
    world.configure(base_url=f"http://127.0.0.1:{world.serve(b'220 mail.example.com ESMTP' + bytes([13, 10]) * 2)}/v1")


def failing(world: World) -> None:
    """A gateway whose provider is down."""
    world.configure(base_url=f"http://127.0.0.1:{world.serve(http('503 Service Unavailable'))}/v1")


def captive_portal(world: World) -> None:
    """A network that wants a login first."""
    world.configure(base_url=f"http://127.0.0.1:{world.serve(http('511 Network Authentication Required'))}/v1")


def no_dns(world: World) -> None:
    """No name can be resolved."""

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    world.env.setattr(socket, "getaddrinfo", refuse)
    world.configure(base_url="https://llm.example.com/v1")


def v6_only(world: World) -> None:
    """A name with IPv6 addresses only, and no way there."""
    address = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", closed_port(), 0, 0))
    world.env.setattr(socket, "getaddrinfo", lambda *arguments, **options: [address])
    world.configure(base_url="https://llm.example.com/v1")


def dead_proxy(world: World) -> None:
    """HTTPS_PROXY names a proxy that does not run."""
    world.env.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    world.configure(base_url="https://llm.example.com/v1")


def proxy_with_password(world: World) -> None:
    """A proxy that asks who is there."""
    port = world.serve(http("407 Proxy Authentication Required"))
    world.configure(base_url="https://llm.example.com/v1", proxy=f"http://127.0.0.1:{port}")


def proxy_that_refuses(world: World) -> None:
    """A proxy that lets nobody through."""
    port = world.serve(http("403 Forbidden"))
    world.configure(base_url="https://llm.example.com/v1", proxy=f"http://127.0.0.1:{port}")


def odd_proxy(world: World) -> None:
    """A proxy of a kind that is not supported."""
    world.env.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    world.configure(base_url="https://llm.example.com/v1")
    world.options = []


def netrc(world: World) -> None:
    """A netrc file with an entry for the host."""
    file = world.folder / "home" / ".netrc"
    file.write_text("machine 127.0.0.1 login me password hidden-password\n")
    file.chmod(0o600)
    world.configure(base_url=f"http://127.0.0.1:{world.serve()}/v1")


def key_with_newline(world: World) -> None:
    """A key that was read with its line end."""
    world.env.setenv("DOCTOR_KEY", f"{KEY}\n")
    world.configure()
    world.options = []


def no_key(world: World) -> None:
    """The key's variable is not set."""
    world.env.delenv("DOCTOR_KEY")
    world.configure()
    world.options = []


def placeholder(world: World) -> None:
    """The text of an example in place of a key."""
    world.env.setenv("DOCTOR_KEY", "your-api-key")
    world.configure()
    world.options = []


def readable_key_file(world: World) -> None:
    """A key file that others may read."""
    file = world.folder / "key"
    file.write_text(KEY)
    file.chmod(0o644)
    world.configure(api_key=None, api_key_file=str(file))
    world.options = []


def no_key_file(world: World) -> None:
    """A key file that is not there."""
    world.configure(api_key=None, api_key_file="nowhere/key")
    world.options = []


def no_key_program(world: World) -> None:
    """A key command whose program is missing."""
    world.configure(api_key=None, api_key_command=["no-such-program-here", "secret-argument"])
    world.options = []


def open_runtime_folder(world: World) -> None:
    """A runtime folder that others may read, and a provider that needs it."""
    (world.folder / "runtime").mkdir(mode=0o755)
    (world.folder / "runtime").chmod(0o755)
    world.configure(base_url="http://127.0.0.1:9/v1", machine_wide=True)
    world.options = []


def runtime_folder_is_a_file(world: World) -> None:
    """Something else is where the runtime folder should be."""
    (world.folder / "runtime").write_text("")
    world.configure(base_url="http://127.0.0.1:9/v1", machine_wide=True)
    world.options = []


def relative_runtime_folder(world: World) -> None:
    """A runtime folder that each process would find elsewhere."""
    world.env.setenv("LLM_SYNC_RUNTIME_DIR", "runtime")
    world.configure(base_url="http://127.0.0.1:9/v1", machine_wide=True)
    world.options = []


def full_disk(world: World) -> None:
    """Nothing can be written."""
    usage = shutil.disk_usage("/")
    world.env.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    world.configure(base_url="http://127.0.0.1:9/v1")
    world.options = []


def foreign_configuration(world: World) -> None:
    """A configuration in the working folder that sends the key elsewhere."""
    folder = world.folder / "config" / "llms"
    folder.mkdir(parents=True)
    text = "providers: {openai: {base_url: 'https://evil.example.com/v1', api_key: '${OPENAI_API_KEY}'}}"
    (folder / "default-llms.yaml").write_text(text)
    world.options = ["NO NAME"]


def misspelt_key(world: World) -> None:
    """A mistake in the file."""
    world.configure("providers: {main: {type: openai, base_ulr: 'https://x.example.com'}}")
    world.options = []


def no_such_configuration(world: World) -> None:
    """$LLM_SYNC_CONFIG names nothing."""
    world.env.setenv("LLM_SYNC_CONFIG", "nowhere")
    world.options = ["NO NAME"]


def unknown_model(world: World) -> None:
    """The default model is nobody's."""
    world.configure("defaults: {model: gpt-9}\nproviders: {main: {type: openai, models: [m]}}")
    world.options = []


def no_bundle(world: World) -> None:
    """REQUESTS_CA_BUNDLE names a file that is gone."""
    world.env.setenv("REQUESTS_CA_BUNDLE", str(world.folder / "gone.pem"))
    world.configure(base_url="https://llm.example.com/v1")
    world.options = []


def plain_http(world: World) -> None:
    """Key and prompts would be readable on the way."""
    world.configure("providers: {main: {type: openai, api_key: '${DOCTOR_KEY}', base_url: 'http://llm.example.com/v1'}}")
    world.options = []


SET_UPS = {
    "expired certificate": SetUp(expired, 6, ("TLS", "expired", "renew")),
    "certificate of another host": SetUp(other_host, 6, ("TLS", "ostname mismatch", "base_url")),
    "unknown CA": SetUp(unknown_authority, 6, ("TLS", "certificate is refused", "ca_bundle")),
    "no TLS there": SetUp(not_tls, 6, ("TLS", "plain http", "Check scheme and port")),
    "certificate that ends soon": SetUp(ends_soon, 0, ("TLS", "days")),
    "wrong clock": SetUp(wrong_clock, 0, ("clock", "s ahead of the server's", "NTP")),
    "nobody listens": SetUp(nobody_listens, 6, ("connection", "refuses connections")),
    "silent server": SetUp(silent, 6, ("answer", "sends nothing within 1 s")),
    "no HTTP there": SetUp(not_http, 6, ("answer", "not HTTP")),
    "server that fails": SetUp(failing, 0, ("answer", "status 503", "--ask")),
    "captive portal": SetUp(captive_portal, 0, ("answer", "login", "511")),
    "no DNS": SetUp(no_dns, 6, ("DNS", "cannot be resolved")),
    "IPv6 only": SetUp(v6_only, 6, ("connection", "IPv6 addresses only")),
    "dead proxy": SetUp(dead_proxy, 6, ("proxy", "refuses connections", "HTTPS_PROXY")),
    "proxy with a password": SetUp(proxy_with_password, 6, ("proxy", "407")),
    "proxy that refuses": SetUp(proxy_that_refuses, 6, ("proxy", "refuses the tunnel (403)")),
    "unsupported proxy": SetUp(odd_proxy, 3, ("address", "SOCKS")),
    "netrc": SetUp(netrc, 0, ("netrc", "does not use")),
    "key with a line end": SetUp(key_with_newline, 4, ("key", "line end")),
    "no key": SetUp(no_key, 4, ("key", "DOCTOR_KEY", "not set")),
    "placeholder": SetUp(placeholder, 4, ("key", "placeholder")),
    "readable key file": SetUp(readable_key_file, 4, ("key", "open to others", "chmod 600")),
    "missing key file": SetUp(no_key_file, 4, ("key", "cannot be read")),
    "missing key program": SetUp(no_key_program, 4, ("key", "no such program")),
    "open runtime folder": SetUp(open_runtime_folder, 3, ("folder", "accessible to others", "LLM_SYNC_RUNTIME_DIR")),
    "runtime folder is a file": SetUp(runtime_folder_is_a_file, 3, ("folder", "runtime", "is a file, not a folder")),
    "relative runtime folder": SetUp(relative_runtime_folder, 3, ("folder", "not an absolute path")),
    "full disk": SetUp(full_disk, 3, ("disk", "0 MiB")),
    "foreign configuration": SetUp(foreign_configuration, 3, ("configuration", "not trusted", "llm-sync trust")),
    "misspelt key": SetUp(misspelt_key, 3, ("configuration", "base_ulr", "did you mean base_url")),
    "no such configuration": SetUp(no_such_configuration, 3, ("configuration", "nowhere", "$LLM_SYNC_CONFIG")),
    "unknown default model": SetUp(unknown_model, 3, ("configuration", "gpt-9")),
    "missing CA bundle": SetUp(no_bundle, 3, ("CA bundle", "gone.pem")),
    "plain http": SetUp(plain_http, 3, ("configuration", "readable by anyone")),
}


@pytest.mark.parametrize("name", SET_UPS)
def test_the_cause_is_named_first(llm: Callable[..., Any], world: World, name: str) -> None:
    """The first line is the cause, with what to do; the exit status says of what kind it is; no key is shown."""
    broken = SET_UPS[name]
    broken.break_it(world)
    options = [] if world.options == ["NO NAME"] else ["./llms.yaml", *world.options]
    ran = llm("doctor", *options)
    first = ran.out.splitlines()[0]
    assert ran.status == broken.status, ran.out + ran.err
    assert first.startswith("fail" if broken.status else "warn"), ran.out
    for words in broken.said:
        assert words in first, ran.out
    assert KEY not in ran.out + ran.err
    assert "hidden-password" not in ran.out + ran.err
    assert "secret-argument" not in ran.out + ran.err


def test_the_table_is_long_enough() -> None:
    """At least the twenty-five set-ups that were asked for."""
    assert len(SET_UPS) >= 25


def test_nothing_is_wrong(llm: Callable[..., Any], world: World) -> None:
    """Every line is ok, status 0, and nothing was created."""
    world.configure(base_url=f"http://127.0.0.1:{world.serve()}/v1")
    before = sorted(os.listdir(world.folder))
    ran = llm("doctor", "./llms.yaml", "--online")
    assert ran.status == 0
    assert {line.split()[0] for line in ran.out.splitlines()} == {"ok"}, ran.out
    assert sorted(os.listdir(world.folder)) == before


def test_a_certificate_of_a_known_authority_is_fine(llm: Callable[..., Any], world: World) -> None:
    """With ``ca_bundle``, TLS works and is timed."""
    _, context, path = world.authority()
    world.configure(base_url=f"https://localhost:{world.serve(context=context)}/v1", ca_bundle=path)
    ran = llm("doctor", "./llms.yaml", "--online")
    assert ran.status == 0, ran.out
    assert "TLS in" in ran.out


def test_no_key_command_runs(llm: Callable[..., Any], world: World) -> None:
    """Neither offline nor with --online."""
    trace = world.folder / "trace"
    world.configure(base_url=f"http://127.0.0.1:{world.serve()}/v1", api_key=None, api_key_command=["touch", str(trace)])
    ran = llm("doctor", "./llms.yaml", "--online")
    assert ran.status == 0, ran.out
    assert "it is not run here" in ran.out
    assert not trace.exists()


def test_online_sends_no_key(llm: Callable[..., Any], world: World) -> None:
    """What arrives at the server is a GET without a key and without a body."""
    with Simulator() as simulator:
        world.configure(base_url=simulator.url("openai"))
        assert llm("doctor", "./llms.yaml", "--online").status == 0
        (request,) = simulator.requests
    assert (request.method, request.key_hash, request.payload) == ("GET", None, None)


def test_ask_lists_and_asks(llm: Callable[..., Any], world: World) -> None:
    """--ask uses the key: a listing, a question of one token, and a model that is not listed is a warning."""
    with Simulator(keys=[KEY]) as simulator:
        world.configure(base_url=simulator.url("openai"), models=["gpt-4o-mini", "not-there"])
        ran = llm("doctor", "./llms.yaml", "--ask")
    assert ran.status == 0, ran.out
    assert "not-there is configured, but not listed" in ran.out.splitlines()[0]
    assert "question: main/gpt-4o-mini: answered" in ran.out


@pytest.mark.parametrize(
    ("status", "exit_status", "named"), [(401, 4, "AuthenticationError"), (500, 6, "ProviderUnavailableError")]
)
def test_ask_names_the_refusal(llm: Callable[..., Any], world: World, status: int, exit_status: int, named: str) -> None:
    """A key that is refused and a provider that is down are told apart."""
    body = {"error": {"message": "no", "type": "error", "code": None}}
    with Simulator(on_request=lambda record: Response(status, body)) as simulator:
        world.configure(base_url=simulator.url("openai"))
        ran = llm("doctor", "./llms.yaml", "--ask")
    assert ran.status == exit_status
    assert named in ran.out.splitlines()[0]


def test_a_key_in_the_configuration_is_asked_with(llm: Callable[..., Any], world: World) -> None:
    """That it should not stand there keeps nobody from finding out whether it works."""
    with Simulator(keys=[KEY]) as simulator:
        world.configure(base_url=simulator.url("openai"), api_key=KEY, models=["gpt-4o-mini"])
        ran = llm("doctor", "./llms.yaml", "--ask")
    assert "the key is in the configuration itself" in ran.out.splitlines()[0]
    assert "question: main/gpt-4o-mini: answered" in ran.out


def test_providers_of_one_server_fail_together(llm: Callable[..., Any], world: World) -> None:
    """It is tried once, and none of them is called fine or asked."""
    entry = f"{{type: openai, api_key: '${{DOCTOR_KEY}}', base_url: 'http://127.0.0.1:{closed_port()}/v1', models: [m]}}"
    world.configure(f"providers: {{one: {entry}, two: {entry}}}")
    ran = llm("doctor", "./llms.yaml", "--ask")
    failed = [line for line in ran.out.splitlines() if line.startswith("fail")]
    assert [line.split(":")[:2] for line in failed] == [["fail  connection", " one"], ["fail  connection", " two"]]


def test_opentelemetry_without_its_exporter_is_named(llm: Callable[..., Any], world: World) -> None:
    """One that is named but not installed keeps every command from running; without the usual one, nothing is exported."""
    pytest.importorskip("opentelemetry.sdk")
    world.configure(base_url="http://127.0.0.1:9/v1")
    world.env.setenv("LLM_SYNC_OTEL", "1")
    world.env.setenv("OTEL_METRICS_EXPORTER", "none")
    world.env.setenv("OTEL_TRACES_EXPORTER", "nobody-wrote-it")
    ran = llm("doctor", "./llms.yaml")
    assert ran.status == 3
    assert ran.out.startswith("fail  configuration: OpenTelemetry: OTEL_TRACES_EXPORTER names the exporter 'nobody-wrote-it'")
    world.env.setattr("llm_sync.observe.otel_setup.entry_points", lambda **selection: ())
    world.env.delenv("OTEL_TRACES_EXPORTER")
    ran = llm("doctor", "./llms.yaml")
    assert ran.status == 0
    assert ran.out.startswith(
        "warn  configuration: OpenTelemetry: nothing is exported for want of an exporter (OTEL_TRACES_EXPORTER)"
    )
    world.env.setenv("OTEL_TRACES_EXPORTER", "none")
    assert "OpenTelemetry:" not in llm("doctor", "./llms.yaml").out


def test_as_json(llm: Callable[..., Any], world: World) -> None:
    """The same lines as objects, failures first."""
    no_key(world)
    ran = llm("doctor", "./llms.yaml", "--json")
    printed = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.status == 4
    assert printed[0].keys() == {"level", "topic", "subject", "message", "hint"}
    assert (printed[0]["level"], printed[0]["topic"], printed[0]["subject"]) == ("fail", "key", "main")
    assert [each["level"] for each in printed] == sorted((each["level"] for each in printed), key=["fail", "warn", "ok"].index)


def test_a_file_of_the_same_name_that_is_not_used_is_named(llm: Callable[..., Any], world: World) -> None:
    """Not within a simulation, which brings a configuration of its own."""
    world.configure()
    text = (world.folder / "llms.yaml").read_text("utf-8")
    own = world.folder / "XDG_CONFIG_HOME" / "llm-sync"
    first = world.folder / "my own"
    for folder in (own, first):
        folder.mkdir(parents=True)
        (folder / "default-llms.yaml").write_text(text, "utf-8")
    world.env.setenv("LLM_SYNC_CONFIG_DIR", str(first))
    assert f"it is not used: {first}/default-llms.yaml is found first" in llm("doctor").out
    world.env.setenv("LLM_SYNC_SIMULATOR_URL", "http://127.0.0.1:9")
    assert "it is not used" not in llm("doctor").out


def test_every_extra_is_listed_as_installed_or_not(llm: Callable[..., Any], world: World) -> None:
    """Those of pyproject.toml, so that nobody looks for a missing one in vain."""
    world.configure()
    (line,) = (line for line in llm("doctor", "llms.yaml").out.splitlines() if line.startswith("ok    extras"))
    assert set(re.findall(r"\w+", line)) >= {*metadata.metadata("llm-sync").get_all("Provides-Extra")} - {"all", "test", "dev"}


def test_a_missing_key_of_another_provider_is_a_warning(llm: Callable[..., Any], world: World) -> None:
    """A provider that no plain call needs does not make the set-up a broken one."""
    world.configure(
        "defaults: {model: a/m}\nproviders:\n  a: {type: openai, api_key: '${DOCTOR_KEY}', base_url: 'http://127.0.0.1:9/v1'}\n"
        "  b: {type: openai, api_key: '${NOT_SET_HERE}', base_url: 'http://127.0.0.1:9/v1'}\n"
    )
    ran = llm("doctor", "./llms.yaml")
    assert ran.status == 0
    assert ran.out.startswith("warn  key: b: the environment variable NOT_SET_HERE")


def test_the_proxy_that_applies_is_named_with_its_variable(llm: Callable[..., Any], world: World) -> None:
    """And NO_PROXY, where that decides; a password in the variable is not shown."""
    world.configure(base_url="https://llm.example.com/v1")
    world.env.setenv("HTTPS_PROXY", "http://me:hidden-password@proxy.example.com:3128")
    out = llm("doctor", "./llms.yaml").out
    assert "through the proxy http://proxy.example.com:3128, by HTTPS_PROXY" in out
    assert "hidden-password" not in out
    world.env.setenv("NO_PROXY", "example.com")
    assert "without a proxy, by NO_PROXY, in spite of HTTPS_PROXY" in llm("doctor", "./llms.yaml").out


def test_a_full_disk_is_named_once(llm: Callable[..., Any], world: World) -> None:
    """Folders on the same disk are no further trouble."""
    world.configure(base_url="http://127.0.0.1:9")
    full_disk(world)
    ran = llm("doctor", "./llms.yaml")
    assert sum(line.startswith("fail  disk") for line in ran.out.splitlines()) == 1


def test_an_open_history_is_named(llm: Callable[..., Any], world: World, tmp_path: Path) -> None:
    """No conversation is kept in a folder that others may read, and doctor says why, and what to do."""
    world.env.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    history = tmp_path / "state/llm-sync/history"
    history.mkdir(parents=True)
    history.chmod(0o755)
    world.configure(base_url="http://127.0.0.1:9")
    ran = llm("doctor", "./llms.yaml")
    assert (ran.status, ran.out.splitlines()[0][:12]) == (0, "warn  folder")
    assert f"(mode 755): no conversation is kept. chmod 700 {history}" in ran.out


def test_counts_are_in_the_singular_where_there_is_one(llm: Callable[..., Any], world: World) -> None:
    """As people write; and of certificates nothing is said where there are none."""
    world.configure(base_url="http://127.0.0.1:9")
    ran = llm("doctor", "./llms.yaml")
    assert "valid, 1 provider, 1 listed model, 0 routes (" in ran.out
    assert "address: main: http://127.0.0.1:9, without a proxy\n" in ran.out
