"""What one process was told to wait, the others wait too.

A cool-down is an empty file whose name says when it was told, for how long and why: it is there whole or not at all, no
second one shortens it, and who finds that it is over removes it.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from collections.abc import Callable

from llm_sync import errors
from llm_sync.errors import LLMConnectorError, ProviderError, RateLimitError
from llm_sync.events import logger
from llm_sync.machine.folder import Meeting

_NAME = re.compile(r"cool-down\.(\d{1,15})\.(\d{1,12})\.([A-Za-z]{1,60})", re.ASCII)  # told and length in milliseconds, class
_LONGEST_MS = 7 * 86_400_000  # no provider means more
_SKEW_MS = 60_000  # what was told later than this from now was told before the clock was set back

_log = logger("machine")


class CoolDowns:
    """The cool-downs of one provider. Any thread may use it; ``clock`` gives seconds since 1970."""

    def __init__(self, meeting: Meeting, clock: Callable[[], float] = time.time) -> None:
        self._meeting = meeting
        self._clock = clock

    def announce(self, seconds: float, cause: LLMConnectorError) -> None:
        """Tell the others to send nothing for ``seconds`` from now. What cannot be told costs no request: it is logged."""
        if not 0 < seconds <= _LONGEST_MS / 1000:
            return
        known = self.latest()
        if known is not None and known[0] >= seconds:
            return
        name = f"cool-down.{round(self._clock() * 1000)}.{math.ceil(seconds * 1000)}.{type(cause).__name__}"
        try:
            path = os.path.join(self._meeting.made(), name)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        except (OSError, LLMConnectorError) as error:
            _log.debug("a cool-down of %.1f s cannot be passed on to other processes: %s", seconds, error)

    def latest(self) -> tuple[float, LLMConnectorError] | None:
        """The seconds left of the one that lasts longest, and an error of the class that caused it."""
        folder = self._meeting.folder()
        try:
            names = os.listdir(folder)
        except OSError:  # nobody has been here yet
            return None
        longest: tuple[float, str] | None = None
        for name in names:
            found = _NAME.fullmatch(name)
            if found is None:
                continue
            left = self._left(int(found[1]), int(found[2]))
            if left <= 0:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(folder, name))
            elif longest is None or left > longest[0]:
                longest = left, found[3]
        return None if longest is None else (longest[0], _error(longest[1]))

    def _left(self, told: int, length: int) -> float:
        """Seconds, never more than were told: clocks are set back. 0 for what cannot be meant."""
        now = round(self._clock() * 1000)
        if length > _LONGEST_MS or told > now + _SKEW_MS:
            return 0.0
        return min(told + length - now, length) / 1000


def _error(name: str) -> ProviderError:
    kind = getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, ProviderError)):
        kind = RateLimitError
    return kind("another process on this machine got this error")
