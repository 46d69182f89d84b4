"""A server on loopback, and programs in processes of their own that ask it. Run it by: make interop-programs."""

from __future__ import annotations

import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

PATIENCE_S = 60.0  # how long a test waits for what must happen


def body(text: str) -> str:
    """An answer of OpenAI's Chat Completions."""
    message = {"role": "assistant", "content": text}
    return json.dumps({"id": "x", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


class Server(http.server.ThreadingHTTPServer):
    """Answers each prompt with ``re PROMPT``; one that begins with "hold" when ``go`` is set. ``seen``: prompts and headers.

    ``arrived`` is released once for each request.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.go = threading.Event()
        self.arrived = threading.Semaphore(0)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.base = f"{'http' if context is None else 'https'}://127.0.0.1:{self.server_address[1]}/v1"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def wait_for(self, count: int) -> None:
        """Until so many more requests have come."""
        for _ in range(count):
            assert self.arrived.acquire(timeout=PATIENCE_S), "a request does not come"

    def prompts(self) -> list[str]:
        """The prompts that came."""
        return [prompt for prompt, _ in self.seen]

    def handle_error(self, *_: Any) -> None:
        """A client that has gone is no failure."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        """Answer."""
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = payload["messages"][-1]["content"]
        self.server.seen.append((prompt, {name.lower(): value for name, value in self.headers.items()}))
        self.server.arrived.release()
        if prompt.startswith("hold"):
            self.server.go.wait(PATIENCE_S)
        data = body(f"re {prompt}").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Plain http."""
    with Server() as started:
        yield started
        started.go.set()
        started.shutdown()


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[Server]:
    """Https; its CA file is ca.pem in the test's folder."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with Server(context) as started:
        yield started
        started.go.set()
        started.shutdown()


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., str]:
    """Write a configuration of provider p, model m, at a server; gives its path."""

    def write(at: Server, **settings: Any) -> str:
        provider = {"type": "openai", "api_key": "sk-test-0123456789", "base_url": at.base, "models": ["m"], **settings}
        if at.base.startswith("https"):
            provider["ca_bundle"] = str(tmp_path / "ca.pem")
        path = tmp_path / "config.yaml"
        path.write_text(json.dumps({"defaults": {"retry_base": 0.01}, "providers": {"p": provider}}))
        return str(path)

    return write


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a program with this Python; it is killed after the test should it still run."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
        command = [sys.executable, "-W", "ignore", *arguments]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**clean, **environment})
        started.append(process)
        return process

    yield run
    for each in started:
        if each.poll() is None:
            each.kill()
        each.communicate()
