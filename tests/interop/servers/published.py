"""Checks requests and answers by the providers' published OpenAPI documents, in Stoplight's Prism between client and simulator.

Prism adds what it objects to as a header of its answer. A relay in front of it collects these headers and takes them off. An
objection to a request is an error of ours. One to an answer is the simulator's, unless the providers themselves do not keep
to the document there: KNOWN lists those.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
OBJECTIONS = "sl-violations"
_STATUSES = "response: Unable to match the returned status code"  # OpenAI's document has no errors
KNOWN = {
    "openai": re.compile(_STATUSES),
    # Recorded answers have null for what nobody set. A message with a list of parts is two of the document's forms at once.
    "openai-responses": re.compile(
        rf"{_STATUSES}|response\.body\.(user|safety_identifier|prompt_cache_key): .* must be string$"
        r"|request\.body\.input(\.\d+)?: .* must (match exactly one schema in oneOf|be string)$"
    ),
    # Recorded answers lack container, citations and, mostly, server_tool_use. Without citations, no form of a content block fits.
    "anthropic": re.compile(
        r"response\.body: .* required property 'container'$|response\.body\.content"
        r"|response\.body\.usage: .* required property 'server_tool_use'$"
        r"|response\.body\.data\.\d+: .* required property '(capabilities|max_input_tokens|max_tokens)'$"
    ),
}
"""Objections, as ``LOCATION: MESSAGE``, to what providers themselves send or document, by dialect."""


def write_usable(document: Path, target: Path) -> None:
    """Write a published document as JSON, with ``null`` as a type instead of ``nullable``.

    OpenAI's document has that keyword of OpenAPI 3.0 in one of 3.1, and Prism then checks nothing, without a word.
    """
    target.write_text(json.dumps(_without_nullable(yaml.load(document.read_text("utf-8"), YAML_LOADER)), default=str), "utf-8")  # noqa: S506  (a safe one)


def _without_nullable(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_nullable(each) for each in node]
    if not isinstance(node, dict):
        return node
    node = {key: _without_nullable(each) for key, each in node.items()}
    if node.get("nullable") is not True:
        return node
    del node["nullable"]
    return {"anyOf": [node, {"type": "null"}]}


def prove(relay: Relay, path: str) -> None:
    """Raise AssertionError unless Prism objects to a wrong request."""
    connection = http.client.HTTPConnection("127.0.0.1", relay.server_port, timeout=300)
    connection.request("POST", path, b'{"temperature": "hot"}', {"Content-Type": "application/json"})
    connection.getresponse().read()
    connection.close()
    assert any(each.startswith("request.body") for each in relay.taken()), "Prism checks no requests by this document"


class Relay(ThreadingHTTPServer):
    """Passes requests on to Prism, and collects its objections. ``kind``: the dialect, for KNOWN."""

    daemon_threads = True

    def __init__(self, port: int, kind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.prism = port
        self._known = KNOWN[kind]
        self._objections: list[str] = []
        self._lock = threading.Lock()

    def collect(self, header: str) -> None:
        """Take in the objections to one exchange that are not known."""
        listed = [f"{'.'.join(map(str, each['location']))}: {each['message']}" for each in json.loads(header)]
        new = [each for each in listed if not self._known.match(each)]
        with self._lock:
            self._objections += new

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print an exception, unless a client that was killed is its cause."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def taken(self) -> list[str]:
        """The objections since the last call."""
        with self._lock:
            objections, self._objections = self._objections, []
        return objections


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Relay

    def _pass_on(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.prism, timeout=300)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        upstream.request(self.command, self.path, content or None, headers)
        answer = upstream.getresponse()
        body = answer.read()
        if objections := answer.getheader(OBJECTIONS):
            self.server.collect(objections)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in (OBJECTIONS, "connection", "transfer-encoding", "content-length", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        upstream.close()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _pass_on  # noqa: N815  (http.server's names)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: the table says what happened."""


@contextmanager
def relay(port: int, kind: str) -> Iterator[Relay]:
    """A relay to Prism on ``port`` that serves in a thread."""
    with Relay(port, kind) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
