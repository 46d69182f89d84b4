"""The server of every measurement: it answers at once on loopback, in each dialect, with prepared bodies.

Standard library only, one thread for each connection. The path of a request begins with the size of the answer and the
milliseconds it takes, the rest is the dialect's own: ``/1024/0/v1/chat/completions``. ``1024z`` is an answer of that size
as providers send it: compressed, in chunks, with two dozen headers. Run as a script it serves until its
standard input ends; its first line of output says where (JSON).
"""

from __future__ import annotations

import argparse
import functools
import gzip
import json
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_WORDS = "The quick brown fox jumps over the lazy dog, and then again. "


def chat(text: str) -> dict[str, Any]:
    """OpenAI's chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, "refusal": None}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 200, "completion_tokens": 150, "total_tokens": 350}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1760000000,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }


def message(text: str) -> dict[str, Any]:
    """Anthropic's message."""
    usage = {"input_tokens": 200, "output_tokens": 150}
    content = [{"type": "text", "text": text}]
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": "end_turn",
        "stop_sequence": None, "usage": usage,
    }  # fmt: skip


def response(text: str) -> dict[str, Any]:
    """OpenAI's response."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    output = [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}]
    usage = {"input_tokens": 200, "output_tokens": 150, "total_tokens": 350}
    return {
        "id": "resp_1", "object": "response", "created_at": 1760000000, "model": "m", "status": "completed", "output": output,
        "error": None, "incomplete_details": None, "usage": usage,
    }  # fmt: skip


def gemini(text: str) -> dict[str, Any]:
    """Gemini's generateContent."""
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 200, "candidatesTokenCount": 150, "totalTokenCount": 350}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "r1"}


_SHAPES: dict[bytes, Callable[[str], dict[str, Any]]] = {
    b"/chat/completions": chat, b"/messages": message, b"/responses": response, b":generateContent": gemini,
}  # fmt: skip


@functools.lru_cache(maxsize=256)
def answer(path: bytes) -> tuple[float, bytes]:
    """The seconds to wait and the complete response for a path."""
    _, size, milliseconds, *_ = path.split(b"?")[0].split(b"/")
    shape = next((shape for end, shape in _SHAPES.items() if path.split(b"?")[0].endswith(end)), chat)
    room = max(1, int(size.rstrip(b"z")) - len(json.dumps(shape(""))))
    text = (_WORDS * (room // len(_WORDS) + 1))[:room]
    body = json.dumps(shape(text)).encode()
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req_1\r\n"
    if not size.endswith(b"z"):
        return int(milliseconds) / 1000, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    packed = gzip.compress(body)
    head += "".join(f"x-header-{number}: some value of number {number}\r\n" for number in range(20))
    head += "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    return int(milliseconds) / 1000, b"%b%x\r\n%b\r\n0\r\n\r\n" % (head.encode(), len(packed), packed)


def serve(connection: socket.socket, context: ssl.SSLContext | None) -> None:
    """Answer the requests of one connection until it ends."""
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream: socket.socket = connection if context is None else context.wrap_socket(connection, server_side=True)
        with stream:
            received = b""
            while True:
                while (end := received.find(b"\r\n\r\n")) < 0:
                    more = stream.recv(65536)
                    if not more:
                        return
                    received += more
                found = _LENGTH.search(received, 0, end + 2)
                missing = end + 4 + (int(found[1]) if found else 0) - len(received)
                while missing > 0:
                    more = stream.recv(65536)
                    if not more:
                        return
                    missing -= len(more)
                wait, reply = answer(received[:end].split(b" ", 2)[1])
                received = b""
                if wait:
                    time.sleep(wait)
                stream.sendall(reply)
    except OSError:
        return  # the client has closed


def listen(context: ssl.SSLContext | None) -> int:
    """Serve on a free loopback port in new threads; returns the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, context), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def main() -> int:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--certificate", metavar="FILE", help="a PEM file with key and certificate: serve TLS as well")
    options = parser.parse_args()
    threading.stack_size(512 * 1024)
    places = {"plain": f"http://127.0.0.1:{listen(None)}"}
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate)
        places["tls"] = f"https://localhost:{listen(context)}"
    print(json.dumps(places), flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
