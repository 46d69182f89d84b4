"""A breaker for each provider: after repeated failures of the provider as a whole, routes ask it once per growing interval."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Protocol

from llm_sync.errors import (
    LLMConnectorError,
    ProviderConnectionError,
    ProviderError,
    ProviderUnavailableError,
    RequestTimeoutError,
)
from llm_sync.events import logger
from llm_sync.runtime import clock

FAILED_ATTEMPTS = 4  # in a row, of any requests, that open it: as many as one request makes by default
FIRST_INTERVAL_S = 5.0
MAX_INTERVAL_S = 300.0
MAX_PROBES_REMEMBERED = 16
SYNC_S = 0.1
_PROVIDER_FAILURES = (ProviderUnavailableError, ProviderConnectionError, RequestTimeoutError)

_log = logger("attempts")


class SharedState(Protocol):
    """What the processes of one machine know of a provider."""

    def opened(self) -> tuple[float, float] | None:
        """Seconds until the provider may be asked again, and the interval that they are of; None while it answers."""

    def open(self, interval: float) -> None:
        """Tell the others not to ask it for ``interval`` seconds. Never raises."""

    def close(self) -> None:
        """Tell the others that it answers. Never raises."""


class Breaker:
    """What is known of one provider's failures; times are monotonic seconds. Any thread may call its methods.

    No lock guards it: a calling thread may be interrupted anywhere. Of two threads that meet, one failure may count for both,
    which does not matter; who makes a probe is decided by ``dict.setdefault``.

    While ``interval`` is 0 and ``shared`` is None, ``ask`` refuses nobody; while ``failed_attempts`` is 0 as well, ``succeeded``
    changes nothing: both may be left out then.
    """

    def __init__(self, provider: str, *, shared: SharedState | None = None, now: Callable[[], float] = clock.now) -> None:
        self._provider = provider
        self.shared = shared
        self._now = now
        self.failed_attempts = 0  # attempts in a row
        self.interval = 0.0  # 0: closed
        self._until = 0.0  # monotonic; from then on one request is let through
        self._last = ""  # the error that opened it
        self._refused: tuple[float, LLMConnectorError] | None = None  # until when it is so: of many requests, each gets this one
        self._synced = -SYNC_S  # when it looked at what is shared
        self._probes: dict[float, object] = {}  # who makes the probe that is due at a time; the latest few

    def ask(self) -> tuple[LLMConnectorError | None, bool]:
        """Why the provider is not to be asked now (None: it may be), and whether the request is a probe.

        A probe is to be a single attempt: it finds out whether the provider answers again. The next one follows after an
        interval, whatever becomes of it.
        """
        if self.shared is not None:
            self._sync(self.shared)
        if not self.interval:
            return None, False
        until, own = self._until, object()
        if until <= self._now() and self._probes.setdefault(until, own) is own:
            while len(self._probes) > MAX_PROBES_REMEMBERED:
                self._probes.pop(min(self._probes.copy()), None)
            self._open(self.interval)
            return None, True
        until, refused = self._until, self._refused
        if refused is None or refused[0] != until:
            refused = self._refused = (until, self._refusal(max(0.0, until - self._now())))
        return refused[1], False

    def _refusal(self, left: float) -> LLMConnectorError:
        return ProviderUnavailableError(
            f"it is not asked until {self.open_until or datetime.now(timezone.utc):%H:%M:%S} UTC, because it keeps failing "
            f"({self._last})",
            provider=self._provider,
            retryable=True,
            retry_after=left,
            attempts=0,
        )

    def succeeded(self) -> None:
        """The provider answered something of its own, be it an error about the request."""
        self.failed_attempts = 0
        if self.interval:
            self.interval = 0.0
            _log.info("%s: answers again", self._provider)
            if self.shared is not None:
                self.shared.close()

    def failed(self, error: LLMConnectorError, *, probe: bool = False) -> None:
        """A request ended with ``error``; ``probe``: as ``ask`` told when it began."""
        if not isinstance(error, _PROVIDER_FAILURES):
            if isinstance(error, ProviderError) and error.status is not None and error.attempts:
                self.succeeded()
            return
        if not error.attempts:
            return
        self.failed_attempts += error.attempts
        self._last = type(error).__name__
        if self.interval:
            if probe:  # the others were under way when it opened
                self._open(min(self.interval * 2, MAX_INTERVAL_S))
        elif self.failed_attempts >= FAILED_ATTEMPTS:
            _log.warning("%s: %d attempts in a row failed, last with %s: routes pass it over", *self._described(error))
            self._open(FIRST_INTERVAL_S)

    @property
    def open_until(self) -> datetime | None:
        """When the provider is asked again (aware, UTC), or None while it is asked as usual."""
        left = self._until - self._now() if self.interval else 0.0
        return datetime.now(timezone.utc) + timedelta(seconds=left) if left > 0 else None

    def _described(self, error: LLMConnectorError) -> tuple[str, int, str]:
        return self._provider, self.failed_attempts, type(error).__name__

    def _open(self, interval: float) -> None:
        self._until = self._now() + interval
        self.interval = interval
        if self.shared is not None:
            self.shared.open(interval)

    def _sync(self, shared: SharedState) -> None:
        """Adopt what another process found out. Looks into the folder ten times a second at most: every request asks."""
        now = self._now()
        if now < self._synced + SYNC_S:
            return
        self._synced = now
        opened = shared.opened()
        if opened is not None:
            left, interval = opened
            self._until, self.interval = now + left, interval
            self._last = self._last or "found by another process"
        elif self.interval:
            self.interval, self.failed_attempts = 0.0, 0
