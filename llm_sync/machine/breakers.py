"""What the processes of one machine know of providers that keep failing: an empty file for each, whose name says until when.

The files lie beside those of the cool-downs. When an interval has passed, the process that replaces the file first may ask the
provider; the others find the new one.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable

from llm_sync.errors import ConfigurationError, LLMConnectorError
from llm_sync.events import logger
from llm_sync.machine.folder import SharedDirectory

_FILE_NAME = re.compile(r"breaker\.(\d{1,15})\.(\d{1,9})", re.ASCII)  # start and length in milliseconds
_MAX_INTERVAL_MS = 3_600_000  # a longer one is not believed
_MAX_CLOCK_SKEW_MS = 60_000

_log = logger("machine")


class SharedBreaker:
    """The breaker of one provider, as all processes see it. Any thread may call its methods. ``clock``: seconds since 1970."""

    def __init__(self, directory: SharedDirectory, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock

    def opened(self) -> tuple[float, float] | None:
        """Seconds until the provider may be asked again (0 or less: now), and the interval that they are of; None: it answers."""
        latest: tuple[float, float] | None = None
        now = round(self._clock() * 1000)
        for _, start, length in self._files():
            if length > _MAX_INTERVAL_MS or start > now + _MAX_CLOCK_SKEW_MS:
                continue
            left = min(start + length - now, length) / 1000
            if latest is None or left > latest[0]:
                latest = left, length / 1000
        return latest

    def open(self, interval: float) -> None:
        """Tell the others not to ask the provider for ``interval`` seconds. Never raises: a failure is logged."""
        former = [path for path, _, _ in self._files()]
        name = f"breaker.{round(self._clock() * 1000)}.{round(interval * 1000)}"
        try:
            path = os.path.join(self._directory.create(), name)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        except (OSError, LLMConnectorError) as error:
            _log.debug("cannot tell other processes that a provider fails: %s", error)
            return
        _remove(each for each in former if each != path)

    def close(self) -> None:
        """Tell the others that the provider answers. Never raises."""
        _remove(path for path, _, _ in self._files())

    def _files(self) -> list[tuple[str, int, int]]:
        """The path, start and length (milliseconds) of each file."""
        try:
            folder = self._directory.path()
            names = os.listdir(folder)
        except (OSError, ConfigurationError):  # not created yet, or there can be none now
            return []
        matches = [(name, match) for name in names if (match := _FILE_NAME.fullmatch(name))]
        return [(os.path.join(folder, name), int(match[1]), int(match[2])) for name, match in matches]


def _remove(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)
