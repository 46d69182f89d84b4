"""``llm_sync.generate``: one client per process and configuration, for scripts that want no client of their own."""

from __future__ import annotations

import os
import threading
from typing import Any

from llm_sync.client import LLMClient
from llm_sync.dispatch import fork
from llm_sync.models import ModelResponse


class SharedClients:
    """One client per configuration and process, made when first asked for. Any thread may use it."""

    def __init__(self) -> None:
        self._clients: dict[str | None, LLMClient] = {}
        self._lock = threading.Lock()  # guards _clients
        fork.watch(self)

    def get(self, config: str | None) -> LLMClient:
        """The client for a configuration's name or path. Raises ConfigurationError."""
        name = os.fspath(config) if config is not None else None
        with self._lock:
            found = self._clients.get(name)
        if found is None:
            made = LLMClient.from_config(name)  # reads a file: not under the lock; it has no thread yet, so a second one is cheap
            with self._lock:
                found = self._clients.setdefault(name, made)
        return found

    def close(self, cancel_pending: bool = False) -> None:
        """Close all of them."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close(cancel_pending)

    def reset_after_fork(self) -> None:
        """In the child: keep the clients, which reset themselves, under a lock that nobody holds."""
        self._lock = threading.Lock()


_shared = SharedClients()


def generate(prompt: str | None = None, model: str | None = None, *, config: str | None = None, **options: Any) -> ModelResponse:
    """Ask with this process's shared client for ``config`` (a name or path; None: the default); else as LLMClient.generate.

    Any thread may call it. Raises ConfigurationError where no client can be made, before anything is sent.
    """
    return _shared.get(config).generate(prompt, model, **options)


def close(cancel_pending: bool = False) -> None:
    """Close every shared client; a later ``generate`` makes new ones. Waits for what is queued, or cancels it; any thread may."""
    _shared.close(cancel_pending)
