"""The world the documentation speaks of: a fresh clone, keys in the environment, and an internet with the providers in it.

The providers' hosts are played by the simulator, behind a proxy that has a certificate for each. So every command, script
and configuration runs as it stands on the page, with the URLs it names.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler

import trustme

import llm_sync
from llm_sync.simulator import Simulator

ROOT = Path(__file__).parents[2]
KEY = "sk-sim-0123456789abcdefghij"

# Host -> what comes before the path there, and what the simulator has in its place.
HOSTS = {
    "api.openai.com": ("/v1", "/openai/v1"),
    "api.anthropic.com": ("", "/anthropic"),
    "generativelanguage.googleapis.com": ("/v1beta", "/gemini/v1beta"),
    "openrouter.ai": ("/api/v1", "/openrouter/api/v1"),
    "api.groq.com": ("/openai/v1", "/openai/v1"),
    "api.mistral.ai": ("/v1", "/openai/v1"),
    "api.deepseek.com": ("", "/openai/v1"),
    "my-resource.openai.azure.com": ("/openai/v1", "/openai/v1"),
    "bedrock-runtime.us-east-1.amazonaws.com": ("", "/bedrock"),
    "bedrock-mantle.us-east-1.api.aws": ("", ""),
    "llm.example.com": ("/v1", "/openai/v1"),
}
KEYS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GOOGLE_API_KEY",
    "OPENROUTER_API_KEY",
    "GROQ_API_KEY",
    "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "AWS_BEARER_TOKEN_BEDROCK",
    "GATEWAY_TOKEN",
)


class _Exchange(BaseHTTPRequestHandler):
    """One connection through the proxy: CONNECT, TLS in the host's name, then requests handed on to the simulator."""

    protocol_version = "HTTP/1.1"
    server: _Proxy
    host = ""

    def do_CONNECT(self) -> None:
        self.host = self.path.partition(":")[0]
        if self.host not in HOSTS:
            self.send_error(502, f"no such host in the documentation's world: {self.host}")
            return
        self.send_response(200)
        self.end_headers()
        self.connection = self.request = self.server.context.wrap_socket(self.connection, server_side=True)
        StreamRequestHandler.setup(self)
        self.close_connection = False  # http.client asks in HTTP/1.0, where it would be

    def _pass_on(self) -> None:
        before, instead = HOSTS[self.host]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.port)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            if "api-key" in self.headers:  # Azure's way to send a key; the simulator knows OpenAI's
                headers["Authorization"] = f"Bearer {self.headers['api-key']}"
            upstream.request(self.command, instead + self.path.removeprefix(before), body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        finally:
            upstream.close()

    do_GET = do_POST = _pass_on  # noqa: N815  (their names there)

    def finish(self) -> None:
        """TLS took the socket over, which the server would have closed."""
        super().finish()
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name there)
        """Nothing: the simulator keeps the account."""


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.port = port
        self.context = context

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is no news."""


class Internet:
    """The providers' hosts on loopback, while it is open as a context; ``environment`` leads programs to them."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "authority.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*HOSTS).configure_cert(context)
        self.simulator = Simulator()
        self._bundle = str(folder / "authority.pem")
        self._context = context

    def __enter__(self) -> Internet:
        self.simulator.start()
        self._proxy = _Proxy(self.simulator.port, self._context)
        threading.Thread(target=self._proxy.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._proxy.shutdown()
        self._proxy.server_close()
        self.simulator.stop()

    @property
    def environment(self) -> Mapping[str, str]:
        """Proxy, certificates and keys."""
        proxy = f"http://127.0.0.1:{self._proxy.server_port}"
        found = {"HTTPS_PROXY": proxy, "NO_PROXY": "127.0.0.1,localhost", "REQUESTS_CA_BUNDLE": self._bundle}
        found |= {name.lower(): value for name, value in found.items() if name.endswith("PROXY")}
        return {**found, **dict.fromkeys(KEYS, KEY)}


class Commands:
    """``llm-sync`` and ``python SCRIPT``, started warm (see warm.py), in ``folder``, while it is open as a context."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._address = folder / "socket"

    def __enter__(self) -> Commands:
        program = f"'{sys.executable}' -IS '{Path(__file__).with_name('warm.py')}' ask '{self._address}'"
        self._put("llm-sync", f'exec {program} llm-sync "$@"')
        self._put("python", f'case ${{1--}} in -*) exec \'{sys.executable}\' "$@" ;; *) exec {program} python "$@" ;; esac')
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm.py")), "serve", str(self._address)],
            env={"PYTHONPATH": str(Path(llm_sync.__file__).parents[1])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == b"ready\n"
        return self

    def _put(self, name: str, line: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        path.chmod(0o755)

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        self._server.communicate()


def clone(folder: Path) -> Path:
    """A folder with what the pages use of a fresh clone."""
    for name in ("config", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def environment(internet: Internet, commands: Commands, folder: Path) -> dict[str, str]:
    """A newcomer's: nothing but where programs are, a home, and what ``internet`` needs."""
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    path = [str(commands.folder), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    return {
        "LANG": "C.UTF-8",
        **kept,
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": str(Path(llm_sync.__file__).parents[1]),
        "HOME": str(folder.parent),
        "TERM": "dumb",
        "LLM_SYNC_RUNTIME_DIR": str(folder.parent / "runtime"),
        "COLUMNS": "80",
        # Plugins that others installed and no page uses: importing them takes half of what a run of pytest costs.
        "PYTEST_ADDOPTS": "-pno:hypothesispytest -pno:anyio -pno:pytest_cov -pno:timeout -pno:platformdirs",
        **internet.environment,
    }


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
