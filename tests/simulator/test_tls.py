"""The simulator with TLS: its certificate, and clients that do not fit."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from llm_sync import LLMClient
from llm_sync.config import ConfigLoader
from llm_sync.errors import ConfigurationError
from llm_sync.simulator import Simulator
from llm_sync.simulator.command import configuration


@pytest.fixture
def secure():
    """A simulator with TLS and a script that resets some requests."""
    rules = [{"when": {"prompt": "reset"}, "reset": "mid_body"}, {"when": {"prompt": "silence"}, "silence": "headers"}]
    with Simulator(tls=True, script={"rules": rules}) as simulator:
        yield simulator
        assert simulator.faults == []


def connection(simulator, **options):
    """An HTTPS connection that trusts the simulator's authority, or another one."""
    context = options.pop("context", None) or ssl.create_default_context(cafile=simulator.ca_path)
    return http.client.HTTPSConnection("127.0.0.1", simulator.port, timeout=10, context=context)


def test_it_speaks_https_to_whoever_trusts_its_authority(secure):
    """A client that trusts the authority is served, by name or by address, over keep-alive."""
    assert secure.root.startswith("https://127.0.0.1:")
    assert secure.url("gemini").startswith("https://")
    with contextlib.closing(connection(secure)) as wire:
        for _ in range(2):
            wire.request("GET", "/_simulator/summary")
            assert json.load(wire.getresponse())["requests"] == 0
        assert wire.sock.version() in ("TLSv1.2", "TLSv1.3")


def test_others_are_refused(secure):
    """A client that does not trust the authority fails in the handshake."""
    with pytest.raises(ssl.SSLCertVerificationError):
        connection(secure, context=ssl.create_default_context()).connect()
    secure.wait_for_connections(0)
    assert secure.requests == []


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x00", b""])
def test_who_speaks_no_tls(secure, garbage):
    """Plain HTTP gets a 400; other bytes close the connection."""
    with socket.create_connection(("127.0.0.1", secure.port), timeout=5) as sock:
        sock.sendall(garbage)
        sock.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := sock.recv(1000):
                received += chunk
        assert (b"400 Bad Request" in received and b"use https://" in received) is garbage.startswith(b"GET")
    secure.wait_for_connections(0)


def test_a_handshake_that_never_ends_is_ended():
    """A handshake may take no longer than read_timeout."""
    with (
        Simulator(tls=True, read_timeout=0.1) as simulator,
        socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as sock,
    ):
        sock.sendall(b"\x16")
        assert sock.recv(1) == b""
        simulator.wait_for_connections(0)


def test_stopping_ends_connections_in_every_state():
    """``stop`` ends connections in the handshake, idle, and within an answer."""
    with Simulator(tls=True, script={"rules": [{"silence": "headers"}]}) as simulator:
        silent = connection(simulator)
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}]})
        silent.request("POST", "/v1/chat/completions", body, {"Authorization": "Bearer k"})
        idle = connection(simulator)
        idle.connect()
        hesitant = socket.create_connection(("127.0.0.1", simulator.port))
        simulator.wait_for_requests(1)
        path = Path(simulator.ca_path)
        assert path.exists()
    assert not path.exists()
    assert not path.parent.exists()
    for each in (silent, idle, hesitant):
        each.close()


def test_the_client_of_this_package_uses_it(secure):
    """llm-sync's client works with ca_bundle, and sees resets as without TLS."""
    text = f"""
defaults: {{max_retries: 0, timeout: 10}}
providers:
  openai: {{api_key: k, base_url: "{secure.url("openai")}", ca_bundle: "{secure.ca_path}", models: [gpt-4o]}}
"""
    with LLMClient(ConfigLoader().load_text(text)) as client:
        assert "hello" in client.generate("Say hello").text
        outcome = client.generate_responses_concurrent([_request("reset")], return_exceptions=True)[0]
        assert type(outcome).__name__ == "ProviderConnectionError"
        assert client.generate("Say hello").text
    secure.wait_for_connections(0)


def _request(prompt):
    from llm_sync import ModelRequest

    return ModelRequest(prompt)


def test_the_made_configuration_names_the_authority(secure):
    """The generated configuration has a ca_bundle for every provider, with TLS only."""
    providers = yaml.safe_load(configuration(secure))["providers"]
    assert {provider["ca_bundle"] for provider in providers.values()} == {secure.ca_path}
    with Simulator() as plain:
        assert plain.ca_path is None
        assert "ca_bundle" not in configuration(plain)


def test_the_command_line_needs_nothing_more():
    """A command run with ``simulate --tls`` trusts the simulator."""
    command = [sys.executable, "-m", "llm_sync"]
    ran = subprocess.run(
        [*command, "simulate", "--tls", "--", *command, "generate", "-m", "gemini/gemini-2.5-flash", "Say hello"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "hello" in ran.stdout


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_serving_tells_the_authoritys_path():
    """``simulate --tls`` prints the path of the CA file."""
    import signal

    argv = [sys.executable, "-m", "llm_sync", "simulate", "--tls"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline().startswith("https://127.0.0.1:")
        child.send_signal(signal.SIGINT)
        told = child.stderr.read()
        assert child.wait(10) == 130
    path = Path(told.partition("SSL_CERT_FILE: ")[2].splitlines()[0])
    assert path.name == "ca.pem"
    assert not path.exists()


def test_without_trustme_it_says_what_to_install(monkeypatch):
    """Without trustme, ``tls`` raises an error that says what to install."""
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'llm-sync\[simulate\]'"):
        Simulator(tls=True).start()
    with Simulator() as simulator:
        assert simulator.root.startswith("http://")
