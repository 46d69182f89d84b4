"""How one dialect spells one kind of error."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

# Values in messages, where the caller gives none.
_DEFAULT_DETAILS: Mapping[str, object] = {
    "model": "the model",
    "key": "sk-simul****",
    "version": "v1beta",
    "window": 128_000,
    "requested": 205_429,
}


class ErrorSpelling(NamedTuple):
    """One dialect's error: status, message, and members of the error object; ``should_retry`` is the header x-should-retry.

    ``phrase``: a phrase that the message must contain, if clients can recognise the error by nothing else.
    ``members_by_status``: the members that identify the error if it is sent with another status. ``headers``: those in which an
    API names the error.
    """

    status: int
    message: str
    members: Mapping[str, Any] = {}
    should_retry: bool | None = None
    phrase: re.Pattern[str] | None = None
    members_by_status: Mapping[int, Mapping[str, Any]] = {}
    headers: Mapping[str, str] = {}

    def render(self, **named: object) -> str:
        """The message with its values filled in."""
        known = {name: value for name, value in named.items() if value}
        return self.message.format_map(defaultdict(str, {**_DEFAULT_DETAILS, **known}))


def phrase(text: str) -> re.Pattern[str]:
    """A phrase to look for in a message, whatever its capitals."""
    return re.compile(text, re.IGNORECASE)
