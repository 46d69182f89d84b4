"""The far ends for many requests in flight: nginx, which answers at once, and one that takes its time over each answer.

nginx (Debian's package ``nginx``) costs little beside what is measured. With ``realistic`` it answers as providers do: TLS,
chunks, gzip and two dozen headers. It cannot wait, so answers that take a while come from an asyncio server in a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

TEXT = "The quick brown fox jumps over the lazy dog. " * 20
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 200, "completion_tokens": 150, "total_tokens": 350},
    }
)
_MAX_PARAMETER = 1500  # characters of one in nginx's configuration, which takes 4,096 bytes
HEADERS = {
    "x-request-id": "req_0123456789abcdef0123456789abcdef",
    "openai-organization": "org-0123456789abcdef",
    "openai-processing-ms": "731",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "1999700",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-reset-tokens": "9ms",
    "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
    "x-content-type-options": "nosniff",
    "cf-cache-status": "DYNAMIC",
    "cf-ray": "8f0123456789abcd-FRA",
    "alt-svc": "h3=:443; ma=86400",
    "via": "1.1 google",
    "vary": "Accept-Encoding, Origin",
    "access-control-expose-headers": "X-Request-ID",
}


def with_text(text: str) -> str:
    """The answer with another text."""
    answer = json.loads(ANSWER)
    answer["choices"][0]["message"]["content"] = text
    return json.dumps(answer)


@contextlib.contextmanager
def nginx(*, realistic: bool, answer: str = ANSWER) -> Iterator[tuple[str, str | None]]:
    """Its URL up to the version, and the file of its certificate's authority. ``answer``: the body of every answer, in ASCII,
    without ' and $."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        authority, listen, more = None, f"listen 127.0.0.1:{port} backlog=4096;", ""
        if realistic:
            authority = f"{folder}/ca.pem"
            _make_certificates(folder)
            pem = f"{folder}/server.pem"
            listen = f"listen 127.0.0.1:{port} ssl backlog=4096; ssl_certificate {pem}; ssl_certificate_key {pem};"
            more = "gzip on; gzip_types application/json; gzip_min_length 1; " + " ".join(
                f"add_header {name} '{value}' always;" for name, value in HEADERS.items()
            )
        parts = [answer[start : start + _MAX_PARAMETER] for start in range(0, len(answer), _MAX_PARAMETER)]
        body = "".join(f"set $part{number} '{_escaped(part)}'; " for number, part in enumerate(parts))
        body += f"return 200 {''.join(f'${{part{number}}}' for number in range(len(parts)))};"
        Path(f"{folder}/nginx.conf").write_text(
            f"worker_processes 1; pid {folder}/pid; error_log {folder}/errors; daemon off;\n"
            "events { worker_connections 8192; }\n"
            f"http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/b;\n"
            f"proxy_temp_path {folder}/p;\n"
            f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; {more}\n"
            f"server {{ {listen} location / {{ default_type application/json; {body} }} }} }}\n"
        )
        process = subprocess.Popen([program, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/errors"])
        try:
            _wait_for(port)
            yield f"{'https' if realistic else 'http'}://localhost:{port}/v1", authority
        finally:
            process.terminate()
            process.wait(10)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\")


def _make_certificates(folder: str) -> None:
    import trustme

    authority = trustme.CA()
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(f"{folder}/server.pem")
    authority.cert_pem.write_to_path(f"{folder}/ca.pem")


@contextlib.contextmanager
def slow(seconds: float) -> Iterator[tuple[str, None]]:
    """A far end that answers each request after ``seconds``: its URL up to the version."""
    port = _free_port()
    process = subprocess.Popen([sys.executable, __file__, str(port), str(seconds)])
    try:
        _wait_for(port)
        yield f"http://localhost:{port}/v1", None
    finally:
        process.kill()
        process.wait(10)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise SystemExit("the far end does not start")


class _Slow(asyncio.Protocol):
    delay = 0.0
    response = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n\r\n{ANSWER}".encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer each whole request, later."""
        self.buffer += data
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
        if len(rest) >= length:
            self.buffer = rest[length:]
            asyncio.get_running_loop().call_later(self.delay, self.answer)

    def answer(self) -> None:
        """Send it, unless the client is gone."""
        if not self.transport.is_closing():
            self.transport.write(self.response)  # type: ignore[attr-defined]


async def _serve(port: int, delay: float) -> None:
    _Slow.delay = delay
    server = await asyncio.get_running_loop().create_server(_Slow, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
