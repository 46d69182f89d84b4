"""Cool-downs shared between processes: when a provider asks one of them to wait, the others wait too.

A cool-down is an empty file. Its name says when the cool-down began, how long it lasts and which error caused it, so it
exists whole or not at all, and a later one does not shorten it. A process that finds an expired one removes it.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from collections.abc import Callable

from llm_sync import errors
from llm_sync.errors import ConfigurationError, LLMConnectorError, ProviderError, RateLimitError
from llm_sync.events import logger
from llm_sync.machine.folder import SharedDirectory

# Start and length in milliseconds, error class.
_FILE_NAME = re.compile(r"cool-down\.(\d{1,15})\.(\d{1,12})\.([A-Za-z]{1,60})", re.ASCII)
MAX_COOLDOWN_MS = 7 * 86_400_000  # no provider asks for more
_MAX_CLOCK_SKEW_MS = 60_000  # one that begins further in the future was written before the clock was set back

_log = logger("machine")


class CoolDowns:
    """The cool-downs of one provider. Any thread may call its methods. ``clock`` returns seconds since 1970."""

    def __init__(self, directory: SharedDirectory, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock

    def announce(self, seconds: float, cause: LLMConnectorError) -> None:
        """Ask the other processes to send nothing for ``seconds`` from now. Never raises: a failure is logged."""
        if not 0 < seconds <= MAX_COOLDOWN_MS / 1000:
            return
        current = self.latest()
        if current is not None and current[0] >= seconds:
            return
        name = f"cool-down.{round(self._clock() * 1000)}.{math.ceil(seconds * 1000)}.{type(cause).__name__}"
        try:
            path = os.path.join(self._directory.create(), name)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        except (OSError, LLMConnectorError) as error:
            _log.debug("cannot share a cool-down of %.1f s with other processes: %s", seconds, error)

    def latest(self) -> tuple[float, LLMConnectorError] | None:
        """The seconds left of the longest one, and an error of the class that caused it; None if there is none."""
        try:
            folder = self._directory.path()
            names = os.listdir(folder)
        except (OSError, ConfigurationError):  # not created yet, or there can be none now
            return None
        longest: tuple[float, str] | None = None
        for name in names:
            match = _FILE_NAME.fullmatch(name)
            if match is None:
                continue
            left = self._seconds_left(int(match[1]), int(match[2]))
            if left <= 0:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(folder, name))
            elif longest is None or left > longest[0]:
                longest = left, match[3]
        return None if longest is None else (longest[0], _error_of_class(longest[1]))

    def _seconds_left(self, start: int, length: int) -> float:
        """At most the whole length, since clocks are set back; 0 for implausible times. Arguments in milliseconds."""
        now = round(self._clock() * 1000)
        if length > MAX_COOLDOWN_MS or start > now + _MAX_CLOCK_SKEW_MS:
            return 0.0
        return min(start + length - now, length) / 1000


def _error_of_class(name: str) -> ProviderError:
    error_class = getattr(errors, name, None)
    if not (isinstance(error_class, type) and issubclass(error_class, ProviderError)):
        error_class = RateLimitError
    return error_class("another process on this machine got this error")
