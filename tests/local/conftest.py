"""A stand-in for the package xllamacpp, for what concerns processes; test_real.py has the real one."""

from __future__ import annotations

import pytest

XLLAMACPP = """
import json, os, threading, types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class CommonParams:
    def __init__(self):
        self.model = types.SimpleNamespace(path="")
        self.api_keys = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        keys = self.server.parameters.api_keys
        refused = keys and self.headers["authorization"] != f"Bearer {keys[0]}"
        answer = {"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}} if refused else {
            "id": "1", "object": "chat.completion", "created": 1, "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": f"pid {os.getpid()}"}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        content = json.dumps(answer).encode()
        self.send_response(401 if refused else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


class Server:
    def __init__(self, parameters):
        print("native code prints what it likes", flush=True)
        how = os.environ.get("XLLAMACPP")
        if how == "fails":
            os.write(2, b"error: not enough memory\\n")
            raise RuntimeError("Failed to init server")
        if how == "crashes":
            os._exit(139)
        if how == "hangs":
            threading.Event().wait()
        self.http = ThreadingHTTPServer(("127.0.0.1", parameters.port), Handler)
        self.http.parameters = parameters
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.listening_address = f"http://127.0.0.1:{self.http.server_address[1]}"
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Folders with the stand-in and with weights; returns the path of the weights."""
    package = tmp_path / "packages"
    package.mkdir()
    (package / "xllamacpp.py").write_text(XLLAMACPP)
    monkeypatch.syspath_prepend(str(package))
    weights = tmp_path / "tiny.gguf"
    weights.write_bytes(b"GGUF\x03\x00\x00\x00")
    return weights
