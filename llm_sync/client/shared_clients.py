"""``llm_sync.generate``: one shared client per process and configuration."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any

from llm_sync.client.client import LLMClient
from llm_sync.client.simulation import URL_VARIABLE
from llm_sync.models import ModelResponse
from llm_sync.runtime import fork

if TYPE_CHECKING:
    from llm_sync.client.tools import Tools
    from llm_sync.models import ModelRequest
    from llm_sync.models.embeddings import Embeddings
    from llm_sync.models.tool_run import ToolRun


class SharedClients:
    """One client per configuration and process, made on first use. Any thread may use it.

    With more than ``most`` clients, the least recently used one is dropped; callers that still use it keep it alive.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._clients: dict[Hashable, LLMClient] = {}  # least recently used first
        self._lock = threading.RLock()  # guards _clients; re-entrant: a signal handler may ask for a client
        fork.watch(self)

    def get(self, config: str | None) -> LLMClient:
        """The client for a configuration's name or path. Raises ConfigurationError."""
        name = os.fspath(config) if config is not None else None
        return self.made(name, lambda: LLMClient.from_config(name))

    def made(self, key: Hashable, make: Callable[[], LLMClient]) -> LLMClient:
        """The client for ``key``, made by ``make`` if there is none. Raises what ``make`` raises.

        A simulation has its own clients, because programs do not see when shared clients are created.
        """
        key = (key, os.environ.get(URL_VARIABLE))
        client = self._clients.get(key)
        if client is not None and self._most is None:
            return client
        with self._lock:
            client = self._clients.pop(key, None)
            if client is not None:
                self._clients[key] = client
                return client
        made = make()  # may read a file: not under the lock; it has no thread yet, so a second one is cheap
        with self._lock:
            client = self._clients.setdefault(key, made)
            while self._most is not None and len(self._clients) > self._most:
                del self._clients[next(iter(self._clients))]
        return client

    def close(self, cancel_pending: bool = False) -> None:
        """Close all of them."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close(cancel_pending)

    def reset_after_fork(self) -> None:
        """In a forked child: keep the clients, which reset themselves, with a new lock."""
        self._lock = threading.RLock()


_shared = SharedClients()


def generate(
    prompt: str | None = None,
    model: str | None = None,
    *,
    config: str | None = None,
    timeout: float | None = None,
    deadline: float | None = None,
    max_retries: int | None = None,
    wait_timeout: float | None = None,
    via: str | None = None,
    **request_fields: Any,
) -> ModelResponse:
    """Like LLMClient.generate, with this process's shared client for ``config`` (a name or path; None: the default).

    ``timeout``: seconds for one attempt; ``deadline``: seconds for the request, retries and waits included;
    ``wait_timeout``: seconds for this call in all; ``via``: "direct" or "background". ``request_fields`` are those of
    ModelRequest: system_prompt, temperature, max_tokens, messages, images, tools, response_schema …
    (``help(llm_sync.ModelRequest)``); an unknown one is a TypeError.
    Any thread may call it. Raises ConfigurationError if no client can be made, else as LLMClient.generate.
    """
    return _shared.get(config).generate(
        prompt,
        model,
        timeout=timeout,
        deadline=deadline,
        max_retries=max_retries,
        wait_timeout=wait_timeout,
        via=via,
        **request_fields,
    )


def run_tools(
    request: ModelRequest,
    tools: Tools,
    max_rounds: int = 8,
    max_cost: float | None = None,
    *,
    config: str | None = None,
    **options: Any,
) -> ToolRun:
    """Like LLMClient.run_tools, with this process's shared client for ``config`` (a name or path; None: the default).

    Any thread may call it. Raises ConfigurationError if no client can be made, else as LLMClient.run_tools.
    """
    return _shared.get(config).run_tools(request, tools, max_rounds, max_cost, **options)


def embed(texts: str | Iterable[str], model: str, *, config: str | None = None, **options: Any) -> Embeddings:
    """Like LLMClient.embed, with this process's shared client for ``config`` (a name or path; None: the default).

    Any thread may call it. Raises ConfigurationError if no client can be made, else as LLMClient.embed.
    """
    return _shared.get(config).embed(texts, model, **options)


def close(cancel_pending: bool = False) -> None:
    """Close all shared clients; a later ``generate`` makes new ones.

    Waits for queued requests, or cancels them. Any thread may call it.
    """
    _shared.close(cancel_pending)
