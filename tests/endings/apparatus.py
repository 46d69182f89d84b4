"""A server that echoes, with gates and a log, and programs in processes of their own, for the tests of whole clients.

Run as a program it is that server alone: it says its port, serves until its stdin closes, and then says what it counted.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_S = 20.0  # how long a test waits for what must happen; nothing that works takes so long
KEY = "LLM_SYNC_ENDINGS_KEY"  # the variable that programs find their key in


@dataclass
class Seen:
    """One request as the server saw it: to which provider, its prompt, over which connection, as its how-manieth, when."""

    provider: str
    text: str
    connection: int
    turn: int
    at: float


def answer(provider: str, text: str) -> bytes:
    """The body of an answer that says ``text``, as OpenAI's or (for providers named g) Gemini's."""
    if provider == "g":
        told: dict[str, Any] = {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}]}
    else:
        message = {"role": "assistant", "content": text}
        told = {"id": "x", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return json.dumps(told).encode()


@dataclass
class Peer:
    """The server's end of one connection."""

    sock: socket.socket
    number: int  # of the connection, from 0
    server: Upstream
    turns: int = 0
    _buffer: bytes = b""

    def _more(self) -> bool:
        data = self.sock.recv(65536)
        self._buffer += data
        return bool(data)

    def next(self) -> Seen | None:
        """The next request; None when the client has closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        length = int(lowered[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        while len(self._buffer) < length:
            if not self._more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        asked = json.loads(body) if body else {}
        turns = asked.get("messages") or asked.get("contents") or [{}]
        text = turns[-1].get("content") or turns[-1].get("parts", [{}])[0].get("text", "")
        self.turns += 1
        return Seen(head.split(b"/", 2)[1].decode(), text, self.number, self.turns, time.monotonic())

    def send(self, data: bytes) -> None:
        """These bytes, just so."""
        self.sock.sendall(data)

    def reply(self, body: bytes, status: str = "200 OK", headers: Iterable[str] = ()) -> None:
        """A whole reply."""
        lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def drip(self, piece: bytes, every: float = 0.02) -> None:
        """The piece again and again until the client has had enough or the test is over."""
        while not self.server.over.wait(every):
            self.send(piece)

    def silence(self) -> None:
        """Nothing, until the client closes."""
        while self._more():
            self._buffer = b""

    def reset(self) -> None:
        """End with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """End the connection."""
        self.sock.close()


class Hold:
    """Requests wait at the server until the test releases them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards the counts
        self._come = 0
        self._go = 0
        self._open = False

    def wait(self, count: int = 1) -> None:
        """Until ``count`` requests have come here in all."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._come >= count, PATIENCE_S), f"{self._come} of {count} requests came"

    def release(self, count: int = 1) -> None:
        """Let ``count`` more go."""
        with self._changed:
            self._go += count
            self._changed.notify_all()

    def open(self) -> None:
        """Let all go, now and later."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def pause(self) -> None:
        """Called by the server."""
        with self._changed:
            self._come += 1
            turn = self._come
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._open or self._go >= turn)


Script = Callable[[Peer, Seen], Any]
"""What happens to one request; True when it took care of it, else it is echoed."""


@dataclass
class Upstream:
    """The server; ``log`` is every request that came in full, in order."""

    script: Script | None = None
    tls: ssl.SSLContext | None = None
    log: list[Seen] = field(default_factory=list)
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    trouble: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Upstream:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._holds: list[tuple[Callable[[Seen], bool], Hold]] = []
        self._arrived = threading.Condition()  # guards log and connections
        threading.Thread(target=self._accept, daemon=True, name="upstream").start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for _match, hold in self._holds:
            hold.open()
        for sock in (self._listener, *list(self._open)):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        self._listener.close()

    def url(self, provider: str = "a") -> str:
        """Where a provider of that name sends to."""
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}/{provider}/v1"

    def hold(self, match: Callable[[Seen], bool] = lambda _seen: True) -> Hold:
        """From now on, hold requests that match."""
        self._holds.append((match, Hold()))
        return self._holds[-1][1]

    def texts(self, provider: str | None = None) -> list[str]:
        """The prompts that came."""
        with self._arrived:
            return [seen.text for seen in self.log if provider in (None, seen.provider)]

    def wait_for(self, count: int) -> None:
        """Until ``count`` requests have come in all."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.log) >= count, PATIENCE_S), f"{len(self.log)} of {count} requests came"

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.add(sock)
            with self._arrived:
                number, self.connections = self.connections, self.connections + 1
            threading.Thread(target=self._serve, args=(sock, number), daemon=True, name="upstream-peer").start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            served = sock if self.tls is None else self.tls.wrap_socket(sock, server_side=True)
            self._open.add(served)
            with served:
                self._converse(Peer(served, number, self))
        except OSError:  # the client is gone
            pass
        except BaseException as error:
            self.trouble.append(error)
        finally:
            self._open -= {sock}

    def _converse(self, peer: Peer) -> None:
        while (seen := peer.next()) is not None:
            with self._arrived:
                self.log.append(seen)
                self._arrived.notify_all()
            for match, hold in list(self._holds):
                if match(seen):
                    hold.pause()
            if self.script is None or not self.script(peer, seen):
                peer.reply(answer(seen.provider, f"echo {seen.text}"))


def config_text(upstream: Upstream | str, providers: str = "a b", *, key: str = f"${{{KEY}}}", **settings: Any) -> str:
    """A configuration of providers a, b … (g: Gemini's dialect), each with model m; ``settings`` for all of them."""
    entries = {}
    for name in providers.split():
        url = f"{upstream}/{name}/v1" if isinstance(upstream, str) else upstream.url(name)
        kind = {"type": "gemini", "base_url": url.removesuffix("/v1")} if name == "g" else {"type": "openai", "base_url": url}
        entries[name] = {**kind, "api_key": key, "models": ["m"], **settings}
    return json.dumps({"defaults": {"model": f"{providers.split(maxsplit=1)[0]}/m", "retry_base": 0.001}, "providers": entries})


PREAMBLE = """
import json, os, signal, sys, threading, time
import llm_sync
from llm_sync import ClientClosedError, LLMClient, ModelRequest

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells have programs in the background ignore it
CONFIG = sys.argv[1] if len(sys.argv) > 1 else None

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def ask(text, provider="a", **options):
    return client.submit(ModelRequest(text, provider + "/m"), **options)

def outcome(what):
    try:
        return what().text
    except BaseException as error:
        return type(error).__name__

def wait_for(child, within=30):
    until = time.monotonic() + within
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"
"""


class Program:
    """A program in a process of its own, with a few names ready (see PREAMBLE)."""

    def __init__(self, body: str, *arguments: str, file: Path | None = None) -> None:
        self.started = time.monotonic()
        code = PREAMBLE + body
        if file is not None:  # spawned children import the program, so it needs a file
            file.write_text(code)
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", *(["-c", code] if file is None else [str(file)]), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), KEY: "test-key"},
        )
        self.lines: list[str] = []
        self.errors = ""
        self._said: queue.Queue[str | None] = queue.Queue()
        self._readers = [threading.Thread(target=each, daemon=True) for each in (self._read_output, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read_output(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self._said.put(line.rstrip("\n"))
        self._said.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as output:
            for line in output:
                self.errors += line

    def next_line(self) -> str:
        """What it says next; fails when it says nothing more."""
        line = self._said.get(timeout=PATIENCE_S)
        assert line is not None, f"it says no more: {self.lines} {self.errors}"
        self.lines.append(line)
        return line

    def read_until(self, line: str) -> None:
        """Read what it says up to ``line``."""
        while self.next_line() != line:
            pass

    def go_on(self) -> None:
        """Let it go on from where it waits for a line."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def finish(self, within: float = PATIENCE_S) -> int:
        """Its exit status, with all it said in ``lines`` and ``errors``; fails when it does not end in time."""
        try:
            status = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f"it does not end within {within} s: {self.lines} {self.errors}") from None
        self.end()
        return status

    def end(self) -> None:
        """Kill it, should it still run, and read what it said to the end."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        for reader in self._readers:
            reader.join(PATIENCE_S)
        self.lines += iter(self._said.get_nowait, None) if not self._said.empty() else ()


# Faults on demand, for long runs: a prompt "17 reset" has its connection reset once, "17 reset!" each time.


def faults() -> tuple[Script, Counter[str]]:
    """The script that obeys prompts, and what it counts: requests, resent ones, and faults by kind."""
    counts: Counter[str] = Counter()
    done: set[str] = set()
    lock = threading.Lock()  # guards both

    def script(peer: Peer, seen: Seen) -> bool:
        _, _, what = seen.text.partition(" ")
        once = not what.endswith("!")
        with lock:
            counts["requests"] += 1
            if not what or (once and seen.text in done):
                return False
            done.add(seen.text)
            what = what.rstrip("!")
            counts[what] += 1
            # Nothing was answered on a connection that had worked: the client sends it again, outside its counts.
            if what in ("reset", "close") and peer.turns > 1:
                counts["resent"] += 1
        obey(peer, seen, what)
        return True

    return script, counts


def obey(peer: Peer, seen: Seen, what: str) -> None:
    """Make one fault."""
    good = answer(seen.provider, f"echo {seen.text}")
    if what == "slow":
        time.sleep(0.02)
        peer.reply(good)
    elif what == "429":
        peer.reply(b'{"error": {"message": "slow down"}}', "429 Too Many Requests", ["retry-after-ms: 2"])
    elif what in ("500", "503", "529"):
        peer.reply(b'{"error": {"message": "down"}}', f"{what} Down")
    elif what == "400":
        peer.reply(b'{"error": {"message": "no"}}', "400 Bad Request")
    elif what == "html":
        peer.reply(b"<html>Bad gateway</html>", "502 Bad Gateway")
    elif what == "malformed":
        peer.reply(b'{"choices": {"no": "list"}}')
    elif what == "empty":
        peer.reply(answer(seen.provider, " "))
    elif what == "truncated":
        peer.reply(good[: len(good) // 2])
    elif what == "cut":
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + good)
        peer.close()
    elif what == "close":
        peer.close()
    elif what == "reset":
        peer.reset()
    elif what == "silent":
        peer.silence()
    elif what == "drip":
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        peer.drip(b" ")
    else:
        raise ValueError(what)


TRANSIENT = ["slow", "429", "500", "503", "529", "html", "truncated", "cut", "close", "reset"]
LASTING = ["429!", "500!", "400!", "malformed!", "empty!", "truncated!", "cut!", "reset!", "silent!", "drip!"]


def main() -> None:
    """Serve ``faults`` until stdin closes; then print the counts."""
    script, counts = faults()
    with Upstream(script) as upstream:
        upstream.log = Forgetful()
        print(upstream.port, flush=True)
        sys.stdin.read()
        print(json.dumps({**counts, "connections": upstream.connections, "trouble": [repr(each) for each in upstream.trouble]}))


class Forgetful(list):  # type: ignore[type-arg]
    """A log of a long run is not kept."""

    def append(self, _: Any) -> None:
        """Forget it."""


if __name__ == "__main__":
    main()
