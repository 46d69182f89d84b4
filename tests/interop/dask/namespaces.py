"""Machines of their own on this one: network namespaces, each with an address, connected to it by a cable that can be cut."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator

NAMES = ("llm-sync-a", "llm-sync-b")


def are_possible() -> bool:
    """Whether this process may make them."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    made = subprocess.run(["ip", "netns", "add", "llm-sync-try"], capture_output=True, check=False).returncode == 0
    subprocess.run(["ip", "netns", "del", "llm-sync-try"], capture_output=True, check=False)
    return made


class Machine:
    """One of them: ``here`` is this machine's address as it sees it, ``there`` its own."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.cable = f"llmsync{number}"
        self.here, self.there = f"10.77.{number}.1", f"10.77.{number}.2"
        self.inside = ("ip", "netns", "exec", name)
        _ip("netns", "add", name)
        _ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("addr", "add", f"{self.here}/24", "dev", self.cable)
        _ip("link", "set", self.cable, "up")
        for command in (
            ("addr", "add", f"{self.there}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            _ip("-n", name, *command)
        _ip("-n", name, "route", "add", "default", "via", self.here)

    def cut(self) -> None:
        """Pull the cable."""
        _ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        """Put it back."""
        _ip("link", "set", self.cable, "up")
        _ip("-n", self.name, "route", "replace", "default", "via", self.here)


@contextlib.contextmanager
def machines() -> Iterator[list[Machine]]:
    """Two machines."""
    _remove()
    made: list[Machine] = []
    try:
        for number, name in enumerate(NAMES, 1):
            made.append(Machine(name, number))
        yield made
    finally:
        _remove()


def _remove() -> None:
    """Cables first: those of a namespace that is deleted go some time later, and the next test could not make them."""
    for number, name in enumerate(NAMES, 1):
        subprocess.run(["ip", "link", "del", f"llmsync{number}"], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextlib.contextmanager
def forwarded(port: int) -> Iterator[int]:
    """A port on all of this machine's addresses that leads to one of its loopback: for a server that listens there only."""
    listener = socket.create_server(("0.0.0.0", 0), backlog=256)  # noqa: S104

    def pump(source: socket.socket, sink: socket.socket, ended: list[socket.socket]) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65_536):
                sink.sendall(chunk)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        ended.append(source)
        if len(ended) == 2:  # the other direction has ended, too
            source.close()
            sink.close()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                ended: list[socket.socket] = []
                for ends in ((near, far, ended), (far, near, ended)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
