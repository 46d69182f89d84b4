"""Attempts that a worker makes: what stands in for a provider's own AttemptMaker at the coordinator."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from llm_sync.engines.board import Board
from llm_sync.engines.flights import Ended, Flight
from llm_sync.engines.wire import Item, Outcome
from llm_sync.errors import ClientClosedError, LLMConnectorError
from llm_sync.events import AttemptEnded, AttemptStarted, Event
from llm_sync.models import RateLimits
from llm_sync.providers.attempt import AttemptMaker, Exchange
from llm_sync.runtime.steps import Elsewhere, Steps

_numbers = itertools.count(1)


class RemoteAttempts:
    """Makes the attempts of one provider by workers; ``own`` is the provider's maker, which lists models from here.

    ``emit`` is called with events, ``limits`` with what the provider reports of its rate limits. ``host``: the machine whose
    workers make the attempts; None: any. ``judge(host, error)`` gives the error to be raised for one of an attempt there.
    """

    def __init__(
        self,
        board: Board,
        name: str,
        own: AttemptMaker,
        emit: Callable[[Event], object] | None,
        limits: Callable[[RateLimits], object],
        host: str | None = None,
        judge: Callable[[str, LLMConnectorError], LLMConnectorError] | None = None,
    ) -> None:
        self._board = board
        self._name = name
        self._own = own
        self._emit = emit
        self._limits = limits
        self._host = host
        self._judge = judge

    def make(self, exchange: Exchange, number: int, timeout: float) -> Steps[Any]:
        """One attempt, in steps. Raises LLMConnectorError; WorkerLostError if its worker is lost meanwhile."""
        prepared, control = exchange.prepared, exchange.control
        if prepared is None:
            return (yield from self._own.make(exchange, number, timeout))
        key = getattr(control, "key", 0)
        if self._emit:
            self._emit(AttemptStarted(self._name, key, number, timeout))
        started = time.monotonic()
        item = Item(next(_numbers), prepared, number, timeout, exchange.keeps_reply, getattr(control, "label", None))
        try:
            outcome: Outcome = yield Elsewhere(partial(self._start, item, control))
        except GeneratorExit:
            raise
        except BaseException as error:
            if self._emit:
                self._emit(AttemptEnded(self._name, key, number, time.monotonic() - started, error=type(error).__name__))
            raise
        finally:
            if control is not None:
                control.detach()
        if outcome.limits is not None:
            self._limits(outcome.limits)
        if self._emit:
            name = type(outcome.error).__name__ if outcome.error is not None and outcome.status is None else None
            self._emit(AttemptEnded(self._name, key, number, outcome.elapsed, status=outcome.status, error=name))
        if outcome.line and outcome.response is not None:
            control.written = item.label, outcome.response, outcome.line
        if outcome.reply is not None:
            return exchange.read(outcome.reply, number)
        if outcome.error is not None:
            raise self._judged(outcome.error)
        return outcome.response

    def _judged(self, error: LLMConnectorError) -> LLMConnectorError:
        return error if self._judge is None or self._host is None else self._judge(self._host, error)

    def _start(self, item: Item, control: Any, ended: Ended) -> None:
        if control is not None:
            control.attach(partial(self._board.withdraw, item.id))
            if control.aborted:
                ended(None, ClientClosedError("the request was aborted before it was sent", attempts=0))
                return
        self._board.submit(Flight(item, ended, self._host))
        if control is not None and control.aborted:  # meanwhile
            self._board.withdraw(item.id)
