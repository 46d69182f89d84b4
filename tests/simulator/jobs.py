"""What the tests of job APIs share: uploads, lines, and calls of one provider."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from typing import Any

from llm_sync.simulator import Simulator

BOUNDARY = "boundary-of-the-tests"


def form(fields: Mapping[str, str], content: bytes, name: str = "lines.jsonl") -> tuple[bytes, dict[str, str]]:
    """A multipart form with one file, and its Content-Type."""
    parts = [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in fields.items()]
    head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: application/jsonl\r\n\r\n'
    body = b"".join(b"--%b\r\n%b\r\n" % (BOUNDARY.encode(), part) for part in (*parts, head.encode() + content))
    return body + f"--{BOUNDARY}--\r\n".encode(), {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def chat_lines(prompts: Sequence[str], model: str = "gpt-4o-mini", **changes: Any) -> bytes:
    """The lines of an OpenAI batch of chat completions; the ids are ``id-0`` and so on."""
    lines = []
    for number, prompt in enumerate(prompts):
        body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
        line = {"custom_id": f"id-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body, **changes}
        lines.append(json.dumps(line) + "\n")
    return "".join(lines).encode()


class API:
    """Calls of one key to one base path of a simulator. Each answer is (status, document or bytes)."""

    def __init__(self, simulator: Simulator, base: str, headers: Mapping[str, str]) -> None:
        self.simulator, self.base, self.headers = simulator, base, headers

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Sends a request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.simulator.port, timeout=20)
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {**self.headers, **({"content-type": "application/json"} if content is not None else {}), **(headers or {})}
        try:
            connection.request(method, self.base + path, content, sent)
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        self.answer_headers = {name.lower(): value for name, value in response.getheaders()}
        is_json = self.answer_headers.get("content-type", "").partition(";")[0] == "application/json"
        return response.status, json.loads(raw) if is_json else raw

    def get(self, path: str) -> Any:
        """The document or the bytes at a path that must exist."""
        status, body = self.call("GET", path)
        assert status == 200, (path, status, body)
        return body

    def post(self, path: str, document: Any) -> Any:
        """The answer to a document that must be taken."""
        status, body = self.call("POST", path, document)
        assert status == 200, (path, status, body)
        return body


def rows(content: bytes) -> list[Any]:
    """The rows of a result file."""
    return [json.loads(line) for line in content.split(b"\n") if line]
