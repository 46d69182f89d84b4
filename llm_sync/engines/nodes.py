"""A provider that is a server on each worker's own machine (``per_node``): its limits count for each machine.

A request waits for a place on any machine whose server is up, and the one with most room gets it. A machine whose server cannot
be reached is taken out, and tried again with one request after a while.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any

from llm_sync.client.endpoints import Endpoint
from llm_sync.errors import ClientClosedError, LLMConnectorError, ProviderConnectionError, RequestTimeoutError
from llm_sync.events import logger
from llm_sync.models import ModelResponse, PreparedRequest
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import Elsewhere, Steps

FIRST_REST_S, LONGEST_REST_S = 5.0, 60.0  # before a machine whose server is down is tried again; doubled each time

_log = logger("engines")


class NodeDownError(ProviderConnectionError):
    """The server of one machine cannot be reached, and there are others: the request goes to one of those."""

    retryable = False


class Node:
    """One machine. ``busy``: requests that have a place on it."""

    def __init__(self, host: str, endpoint: Endpoint, places: int) -> None:
        self.host = host
        self.endpoint = endpoint
        self.places = places
        self.busy = 0
        self.is_up = True
        self.rests_until = 0.0  # monotonic; afterwards one request tries whether the server is up again
        self.rest = FIRST_REST_S

    def has_room(self, now: float) -> bool:
        """Whether a request may go there now."""
        if self.endpoint.gate.cooling_down_until is not None:
            return False
        return self.busy < self.places if self.is_up else self.busy == 0 and now >= self.rests_until


class Nodes:
    """The machines that have one provider. Any thread may use it. ``make``: the endpoint for attempts on one machine."""

    def __init__(self, provider: str, places: int, make: Callable[[str, Nodes], Endpoint]) -> None:
        self._provider = provider
        self._places = places
        self._make = make
        self._lock = threading.Lock()  # guards all below; held for a few lines at a time, never while waiting or calling back
        self._nodes: dict[str, Node] = {}
        self._waiting: deque[Callable[[Any, BaseException | None], object]] = deque()

    def sync(self, hosts: Iterable[str]) -> None:
        """Workers have come or gone: these are the machines that have any."""
        hosts = set(hosts)
        for host in hosts - self._nodes.keys():
            node = Node(host, self._make(host, self), self._places)
            with self._lock:
                self._nodes[host] = node
        with self._lock:
            for host in self._nodes.keys() - hosts:
                del self._nodes[host]
        self.serve_waiting()

    @property
    def room(self) -> int:
        """How many requests all machines take at once."""
        return sum(node.places for node in list(self._nodes.values()) if node.is_up)

    @property
    def busy(self) -> int:
        """How many have a place."""
        return sum(node.busy for node in list(self._nodes.values()))

    @property
    def cooling_down_until(self) -> datetime | None:
        """When the first of all machines may be asked again; None if one may be asked now. Looks like a Gate's."""
        ends = [node.endpoint.gate.cooling_down_until for node in list(self._nodes.values())]
        return None if None in ends else min((end for end in ends if end is not None), default=None)

    def steps(self, prepared: PreparedRequest, control: CallControl, **options: Any) -> Steps[ModelResponse]:
        """Send a request from the machine with most room, with retries, in steps; from another one if that is down."""
        while True:
            node: Node = yield Elsewhere(partial(self._enter, control))
            control.on_stop(None)
            try:
                response: ModelResponse = yield from node.endpoint.provider.steps(prepared, control, **options)
                self._note_up(node)
                return response
            except NodeDownError:
                continue
            finally:
                self._leave(node)

    def judge(self, host: str, error: LLMConnectorError) -> LLMConnectorError:
        """The error to be raised for an attempt from a machine: another one if its server cannot be reached, and others can."""
        refused = isinstance(error, ProviderConnectionError) and not error.possibly_billed and not error.stale_connection
        if not refused and not (isinstance(error, RequestTimeoutError) and error.phase == "connect"):
            return error
        with self._lock:
            node = self._nodes.get(host)
            if node is None:
                return error
            if node.is_up or node.rests_until <= time.monotonic():
                node.rest = FIRST_REST_S if node.is_up else min(LONGEST_REST_S, node.rest * 2)
                node.rests_until = time.monotonic() + node.rest
                was_up, node.is_up = node.is_up, False
                if was_up:
                    _log.warning(
                        "%s: the server of %s cannot be reached; its requests go to other machines", self._provider, host
                    )
            others = any(each.is_up for each in self._nodes.values())
        if not others:
            return error
        moved = NodeDownError(error.message, provider=error.provider, model=error.model)
        moved.__cause__ = error
        return moved

    def serve_waiting(self) -> None:
        """Give places to requests that wait for one. Also called now and then: rests and cool-downs end by themselves."""
        while True:
            with self._lock:
                node = self._best() if self._waiting else None
                if node is None:
                    return
                entered = self._waiting.popleft()
                node.busy += 1
            entered(node, None)

    def _enter(self, control: CallControl, entered: Callable[[Any, BaseException | None], object]) -> None:
        with self._lock:
            node = None if self._waiting else self._best()
            if node is None:
                self._waiting.append(entered)
            else:
                node.busy += 1
        if node is not None:
            entered(node, None)
        else:
            control.on_stop(partial(self._give_up, entered))

    def _give_up(self, entered: Callable[[Any, BaseException | None], object]) -> None:
        """The request is stopped while it waits."""
        with self._lock:
            if entered not in self._waiting:
                return
            self._waiting.remove(entered)
        entered(None, ClientClosedError("the request was stopped before it was sent", attempts=0))

    def _best(self) -> Node | None:
        now = time.monotonic()
        open_nodes = [node for node in self._nodes.values() if node.has_room(now)]
        return min(open_nodes, key=lambda node: (node.busy / node.places, node.is_up), default=None)

    def _note_up(self, node: Node) -> None:
        if not node.is_up:
            node.is_up = True
            _log.warning("%s: the server of %s answers again", self._provider, node.host)

    def _leave(self, node: Node) -> None:
        with self._lock:
            node.busy -= 1
        self.serve_waiting()
